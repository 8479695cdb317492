/**
 * Makes a backup of a data directory, live or stopped, at a cut that fits over all shards (see cut.ts), so that it holds whatever was answered
 * before the backup began.
 *
 * Read-only: the live process is not asked, and not held up. Sealed segments are copied as files, the rows of the others up to the cut into
 * segments of their own. The target has the layout of a data directory, but for `sycee.json`, whose contents are in the manifest: a backup is
 * not to be served from. What an earlier backup in the same place has already is kept. Cut off anywhere, the earlier backup is still whole.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ArchivedSegments } from '../persistence/archived-segments.ts';
import type { JournalIdentity } from '../persistence/checksum-chain.ts';
import { DataDirectory, inspectDirectory, shardName } from '../persistence/data-directory.ts';
import { DataDirectoryError, isSegmentArchived } from '../persistence/errors.ts';
import { makeDirectory } from '../persistence/file-copy.ts';
import { checkHead, newestHead, readWitness } from '../persistence/head-witness.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import { LinkMarks } from '../persistence/link-marks.ts';
import { preflightWals } from '../persistence/wal-preflight.ts';
import { findCut } from './cut.ts';
import {
  BackupError,
  type BackupManifest,
  type BackupShard,
  expectApart,
  expectDirectory,
  marksOf,
  readManifest,
  writeManifest,
} from './manifest.ts';
import { removeLeftovers, ShardCopy } from './shard-copy.ts';
import { type LinksOrigin, ShardLinks } from './shard-links.ts';

/** Durable steps on the way, for tests. */
export type BackupStep = 'segment' | 'file' | 'manifest';

export interface BackupOptions {
  readonly directory: string;
  readonly target: string;
  readonly onStep?: (step: BackupStep) => void;
  readonly log?: (line: string) => void;
}

export interface BackupDone {
  readonly manifest: BackupManifest;
  readonly isLive: boolean;
  /** Copied now; the rest was there. */
  readonly segments: number;
  readonly bytes: number;
}

interface Source {
  readonly manifest: Pick<BackupManifest, 'meta' | 'metaText'>;
  readonly journals: readonly JournalReader[];
  readonly identities: readonly JournalIdentity[];
  /** Of each shard at the beginning: the cut lies behind it, though more may be moved meanwhile. */
  readonly archived: readonly (ArchivedSegments | undefined)[];
}

export function makeBackup(options: BackupOptions): BackupDone {
  const directory = resolve(options.directory);
  expectApart(resolve(options.target), directory);
  using lock = lockIfStopped(directory);
  if (lock !== undefined) {
    for (let shard = 0; shard < lock.meta.shards; shard++)
      preflightWals(lock.shardDirectory(shard));
  }
  using stack = new DisposableStack();
  const source = openSource(directory, stack);
  if (lock !== undefined) expectWhole(directory, source);
  const earlier = readManifest(options.target);
  expectTarget(options.target, source, earlier);
  makeDirectory(options.target);
  const links = readLinks(source, earlier);
  const cut = findCut(links.shards, links.tops);
  const counts = { segments: 0, bytes: 0 };
  const shards = source.journals.map((journal, shard) => {
    const copy = new ShardCopy({
      directory,
      target: options.target,
      identity: source.identities[shard]!,
      archived: source.archived[shard],
      earlier: earlier?.shards[shard],
      onStep: options.onStep ?? (() => undefined),
      log: options.log ?? (() => undefined),
    });
    const made = copy.make(journal, cut[shard]!, links.shards[shard]!);
    counts.segments += copy.segments;
    counts.bytes += copy.bytes;
    return made;
  });
  expectLinksFit(shards);
  const manifest = { created: new Date().toISOString(), ...source.manifest, shards };
  writeManifest(options.target, manifest);
  options.onStep?.('manifest');
  for (const [k, shard] of shards.entries()) {
    removeLeftovers(join(options.target, shardName(k)), shard);
  }
  return { manifest, isLive: lock === undefined, ...counts };
}

/** Keeps a stopped directory from being started meanwhile. Undefined: a process has it. */
function lockIfStopped(directory: string): DataDirectory | undefined {
  try {
    return DataDirectory.open({ directory, create: false });
  } catch (error: unknown) {
    if (error instanceof DataDirectoryError && error.code === 'DATA_IN_USE') return undefined;
    throw error;
  }
}

function openSource(directory: string, stack: DisposableStack): Source {
  const meta = inspectDirectory(directory);
  const metaText = readFileSync(join(directory, 'sycee.json'), 'utf8');
  const { clusterId, shards } = meta;
  const identities = Array.from({ length: shards }, (_, shard) => ({ clusterId, shard, shards }));
  const journals = identities.map((identity) => {
    const own = join(directory, shardName(identity.shard));
    return stack.use(JournalReader.open({ ...identity, directory: own }));
  });
  for (const journal of journals) journal.checkSegments();
  const archived = journals.map((journal) => journal.archived);
  return { manifest: { meta, metaText }, journals, identities, archived };
}

/** What a start would refuse of a stopped directory before it reads rows: a copy would hide it. */
function expectWhole(directory: string, { manifest, journals }: Source): void {
  const { clusterId, shards } = manifest.meta;
  const witness = readWitness(directory, { clusterId, shards });
  for (const [shard, journal] of journals.entries()) {
    const lastSequence = journal.lastSequence();
    checkHead(newestHead(witness, shard), { shard, lastSequence }, (row) => journal.checksum(row));
  }
}

function expectTarget(target: string, source: Source, earlier: BackupManifest | undefined): void {
  const { clusterId } = source.manifest.meta;
  if (earlier === undefined) {
    expectDirectory(target);
    const foreign = existsSync(target)
      ? readdirSync(target).find((name) => !/^shard-\d{3}$|^backup\.json\.new$/.test(name))
      : undefined;
    if (foreign === undefined) return;
    throw new BackupError(
      `${target} is not empty and holds no backup (${foreign}). Nothing was changed. Name an empty or a new directory.`,
      1,
    );
  }
  if (earlier.meta.clusterId !== clusterId) {
    throw new BackupError(
      `${target} holds a backup of another ledger (${earlier.meta.clusterId}). Name another directory.`,
      1,
    );
  }
  for (const [shard, { sequence, checksum }] of earlier.shards.entries()) {
    const journal = source.journals[shard]!;
    if (sequence <= journal.lastSequence() && isSameRow(journal, sequence, checksum)) continue;
    throw new BackupError(
      `${target} holds a backup of another line of history: shard ${shard} has another row ${sequence} there, or none. ` +
        'The directory was put back to an older state since. Name another directory for new backups.',
      1,
    );
  }
}

/** Rows are chained, so all before it are the same as well. One that was archived is looked at in the archive. */
function isSameRow(journal: JournalReader, sequence: number, checksum: number): boolean {
  try {
    return journal.checksum(sequence) === checksum;
  } catch (error: unknown) {
    if (!isSegmentArchived(error)) throw error;
    throw new BackupError(
      `The backup that is there ends with row ${sequence}, which was archived since, and the archive does not have ${journal.path(error.segment)} just now: ` +
        'whether it is of this line of history cannot be seen. Nothing was changed. Mount the archive, or name another directory.',
      1,
      error,
    );
  }
}

/** Rows are counted twice: whatever the rows up to `tops` have received was sent by the rows that are there afterwards. */
function readLinks(
  source: Source,
  earlier: BackupManifest | undefined,
): { readonly shards: readonly ShardLinks[]; readonly tops: readonly number[] } {
  const tops = source.journals.map((journal) => journal.lastSequence());
  const shards = source.journals.map((journal, shard) => {
    const origin = originOf(source, shard, earlier?.shards[shard]);
    return new ShardLinks(journal, origin, { top: tops[shard]!, last: journal.lastSequence() });
  });
  return { shards, tops };
}

/** The latest row whose links are known. */
function originOf(
  { identities, archived }: Source,
  shard: number,
  earlier: BackupShard | undefined,
): LinksOrigin {
  const moved = archived[shard];
  if (earlier !== undefined && earlier.sequence >= (moved?.last ?? 0)) {
    return { sequence: earlier.sequence, marks: marksOf(earlier) };
  }
  if (moved !== undefined) return { sequence: moved.last, marks: moved.marks };
  return { sequence: 0, marks: new LinkMarks(identities[shard]!.shards) };
}

/** What `findCut` promises, looked at once more in what is written down. */
export function expectLinksFit(shards: readonly BackupShard[]): void {
  const marks = shards.map((shard) => marksOf(shard));
  for (const [i, sender] of shards.entries()) {
    for (const [j, receiver] of marks.entries()) {
      if (i === j) continue;
      const isSent = receiver.stamps[i]! <= BigInt(sender.timestamp);
      const isThere = marks[i]!.acknowledged[j]! <= receiver.received[i]!;
      if (isSent && isThere) continue;
      throw new BackupError(`the copies of shards ${i} and ${j} are of different times`, 3);
    }
  }
}
