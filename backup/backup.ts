/**
 * Makes a backup of a data directory, live or stopped, at a cut that fits over all shards (see cut.ts), so that it holds whatever was answered
 * before the backup began.
 *
 * Read-only: the live process is not asked, and not held up. Sealed segments are copied as files, the rows of the others up to the cut into
 * segments of their own. The target has the layout of a data directory, but for `sycee.json`, whose contents are in the manifest: a backup is
 * not to be served from. What an earlier backup in the same place has already is kept. Cut off anywhere, the earlier backup is still whole.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ARCHIVED_NAME } from '../persistence/archived-segments.ts';
import { checkCopy } from '../persistence/archiver.ts';
import type { JournalIdentity } from '../persistence/checksum-chain.ts';
import { DataDirectory, inspectDirectory, shardName } from '../persistence/data-directory.ts';
import { DataDirectoryError } from '../persistence/errors.ts';
import { copyFile, type FileSum, makeDirectory } from '../persistence/file-copy.ts';
import { checkHead, newestHead, readWitness } from '../persistence/head-witness.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import { LinkMarks } from '../persistence/link-marks.ts';
import { copyRows } from '../persistence/segment-cut.ts';
import { segmentName } from '../persistence/segment.ts';
import { preflightWals } from '../persistence/wal-preflight.ts';
import { findCut } from './cut.ts';
import {
  BackupError,
  type BackupFile,
  type BackupManifest,
  type BackupSegment,
  type BackupShard,
  expectApart,
  marksOf,
  readManifest,
  SNAPSHOT_FILE,
  writeManifest,
} from './manifest.ts';
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
    const copy = new ShardCopy({ ...options, directory }, source, shard, earlier?.shards[shard]);
    const made = copy.make(journal, cut[shard]!, links.shards[shard]!);
    counts.segments += copy.segments;
    counts.bytes += copy.bytes;
    return made;
  });
  expectLinksFit(shards);
  const manifest = { created: new Date().toISOString(), ...source.manifest, shards };
  writeManifest(options.target, manifest);
  options.onStep?.('manifest');
  removeLeftovers(options.target, manifest);
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
  return { manifest: { meta, metaText }, journals, identities };
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
    const foreign = existsSync(target)
      ? readdirSync(target).find((name) => !/^shard-\d{3}$|^backup\.json\.new$/.test(name))
      : undefined;
    if (foreign === undefined) return;
    throw new BackupError(
      `${target} is not empty and holds no backup (${foreign}). Nothing was changed. Name an empty or a new directory.`,
      4,
    );
  }
  if (earlier.meta.clusterId !== clusterId) {
    throw new BackupError(
      `${target} holds a backup of another ledger (${earlier.meta.clusterId}). Name another directory.`,
      4,
    );
  }
  for (const [shard, { sequence, checksum }] of earlier.shards.entries()) {
    const journal = source.journals[shard]!;
    if (sequence <= journal.lastSequence() && isSameRow(journal, sequence, checksum)) continue;
    throw new BackupError(
      `${target} holds a backup of another line of history: shard ${shard} has another row ${sequence} there, or none. ` +
        'The directory was put back to an older state since. Name another directory for new backups.',
      4,
    );
  }
}

function isSameRow(journal: JournalReader, sequence: number, checksum: number): boolean {
  // An archived row is behind two snapshots of this very line.
  const isArchived = sequence > 0 && sequence <= (journal.archived?.last ?? 0);
  return isArchived || journal.checksum(sequence) === checksum;
}

/** Rows are counted twice: whatever the rows up to `tops` have received was sent by the rows that are there afterwards. */
function readLinks(
  source: Source,
  earlier: BackupManifest | undefined,
): { readonly shards: readonly ShardLinks[]; readonly tops: readonly number[] } {
  const tops = source.journals.map((journal) => journal.lastSequence());
  const shards = source.journals.map((journal, shard) => {
    const origin = originOf(journal, source.identities[shard]!, earlier?.shards[shard]);
    return new ShardLinks(journal, origin, { top: tops[shard]!, last: journal.lastSequence() });
  });
  return { shards, tops };
}

/** The latest row whose links are known. */
function originOf(
  journal: JournalReader,
  { shards }: JournalIdentity,
  earlier: BackupShard | undefined,
): LinksOrigin {
  const { archived } = journal;
  if (earlier !== undefined && earlier.sequence >= (archived?.last ?? 0)) {
    return { sequence: earlier.sequence, marks: marksOf(earlier) };
  }
  if (archived !== undefined) return { sequence: archived.last, marks: archived.marks };
  return { sequence: 0, marks: new LinkMarks(shards) };
}

/** The copy of one shard. */
class ShardCopy {
  readonly #options: BackupOptions;
  readonly #identity: JournalIdentity;
  readonly #from: string;
  readonly #to: string;
  readonly #earlier: BackupShard | undefined;
  segments = 0;
  bytes = 0;

  constructor(
    options: BackupOptions,
    { identities }: Source,
    shard: number,
    earlier: BackupShard | undefined,
  ) {
    this.#options = options;
    this.#identity = identities[shard]!;
    this.#from = join(options.directory, shardName(shard));
    this.#to = join(options.target, shardName(shard));
    this.#earlier = earlier;
  }

  make(journal: JournalReader, sequence: number, links: ShardLinks): BackupShard {
    makeDirectory(this.#to);
    const segments = this.#copySegments(journal, sequence);
    const files = this.#copyFiles(sequence);
    const hasSnapshot = files.some(({ name }) => name.endsWith('.image'));
    if ((segments[0]?.first ?? 1) > 1 && !hasSnapshot) {
      throw new BackupError(
        `shard ${this.#identity.shard} begins with row ${segments[0]!.first}, and no snapshot lies at or before row ${sequence}: ` +
          'make a snapshot (./sycee snapshot), then the backup again',
        1,
      );
    }
    return {
      sequence,
      timestamp: String(journal.timestamp(sequence)),
      checksum: journal.checksum(sequence),
      links: links.marksAt(sequence).toJson(),
      segments,
      files,
    };
  }

  #copySegments(journal: JournalReader, sequence: number): BackupSegment[] {
    const kept = this.#earlier?.segments ?? [];
    const { firsts } = journal;
    const segments = kept.filter(({ first }) => journal.isArchived(first));
    for (const [i, first] of firsts.entries()) {
      if (journal.isArchived(first) || first > sequence) continue;
      const next = firsts[i + 1];
      const last = next === undefined ? undefined : next - 1;
      const known = kept.find((one) => one.first === first && one.last === last);
      if (known !== undefined && this.#isThere(known)) {
        segments.push(known);
        continue;
      }
      const isWhole = last !== undefined && last <= sequence && journal.isSealed(first);
      const span = { first, last: isWhole ? last : Math.min(last ?? sequence, sequence) };
      segments.push(this.#copySegment(journal, span, isWhole));
    }
    return segments;
  }

  #copySegment(
    journal: JournalReader,
    span: { readonly first: number; readonly last: number },
    isWhole: boolean,
  ): BackupSegment {
    const name = segmentName(span.first);
    const path = join(this.#to, name);
    const sum = isWhole
      ? copySealed(journal, span.first, path)
      : copyRows(journal, this.#identity, span, path);
    const marks = new LinkMarks(this.#identity.shards);
    const { checksum } = checkCopy(path, this.#identity, { ...span, marks });
    if (checksum !== journal.checksum(span.last)) {
      throw new BackupError(`${path} does not end with the row ${span.last} of the directory`, 1);
    }
    this.segments++;
    this.bytes += sum.bytes;
    this.#options.onStep?.('segment');
    return { name, ...span, ...sum, lastChecksum: checksum };
  }

  #isThere({ name, bytes }: BackupFile): boolean {
    return statSync(join(this.#to, name), { throwIfNoEntry: false })?.size === bytes;
  }

  /** Snapshots up to the cut, an image before its manifest; one that the live process has removed meanwhile is passed over. */
  #copyFiles(sequence: number): BackupFile[] {
    const files: BackupFile[] = [];
    const names = readdirSync(this.#from);
    const snapshots = names
      .flatMap((name) => SNAPSHOT_FILE.exec(name)?.[1] ?? [])
      .filter((digits) => Number(digits) <= sequence);
    for (const digits of new Set(snapshots)) {
      const pair = [`snapshot-${digits}.image`, `snapshot-${digits}.json`];
      if (!pair.every((name) => names.includes(name))) continue;
      const copied = pair.flatMap((name) => this.#copyFile(name) ?? []);
      if (copied.length === pair.length) files.push(...copied);
    }
    if (names.includes(ARCHIVED_NAME)) files.push(...[this.#copyFile(ARCHIVED_NAME) ?? []].flat());
    return files;
  }

  #copyFile(name: string): BackupFile | undefined {
    const known = this.#earlier?.files.find((one) => one.name === name);
    if (known !== undefined && name !== ARCHIVED_NAME && this.#isThere(known)) return known;
    try {
      const sum = copyFile(join(this.#from, name), join(this.#to, name), 'as it is');
      this.bytes += sum.bytes;
      this.#options.onStep?.('file');
      return { name, ...sum };
    } catch (error: unknown) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}

/** From the archive, when it was moved there a moment ago. */
function copySealed(journal: JournalReader, first: number, path: string): FileSum {
  try {
    return copyFile(journal.path(first), path, 'sealed segment');
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    journal.refresh();
    return copyFile(journal.path(first), path, 'sealed segment');
  }
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

/** What the manifest does not name: snapshots of earlier backups, and copies that were cut off. */
function removeLeftovers(target: string, manifest: BackupManifest): void {
  for (const [shard, { segments, files }] of manifest.shards.entries()) {
    const own = join(target, shardName(shard));
    const named = new Set([...segments, ...files].map(({ name }) => name));
    for (const name of readdirSync(own)) {
      if (!named.has(name)) rmSync(join(own, name), { force: true });
    }
  }
}
