/**
 * Brings a backup back as a data directory, as it was or as it was at an earlier moment: then at the last rows up to that moment that fit
 * together over all shards (see cut.ts).
 *
 * `sycee.json` is written last, so that what was cut off cannot be served from, and is begun anew by the next try: `restoring.json` says that
 * what lies there is only half of a restore. A directory that is in the way is refused, or with `force` moved aside as a whole; it is never
 * changed. Every row that was copied is checked again where it lies now.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ArchivedSegments } from '../persistence/archived-segments.ts';
import { checkCopy } from '../persistence/archiver.ts';
import type { JournalIdentity } from '../persistence/checksum-chain.ts';
import { DataDirectory, shardName } from '../persistence/data-directory.ts';
import { DataDirectoryError } from '../persistence/errors.ts';
import {
  copyFile,
  makeDirectory,
  moveDurably,
  placeFile,
  removeFile,
} from '../persistence/file-copy.ts';
import { resetWitness } from '../persistence/head-witness.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import { LinkMarks } from '../persistence/link-marks.ts';
import { copyRows } from '../persistence/segment-cut.ts';
import { findCut } from './cut.ts';
import {
  BackupError,
  type BackupManifest,
  type BackupSegment,
  type BackupShard,
  expectApart,
  marksOf,
  readManifest,
  SNAPSHOT_FILE,
} from './manifest.ts';
import { ShardLinks } from './shard-links.ts';

/** Durable steps on the way, for tests. */
export type RestoreStep = 'aside' | 'marked' | 'segment' | 'file' | 'whole';

export interface RestoreOptions {
  readonly backup: string;
  readonly directory: string;
  /** ns: nothing behind this moment comes back. */
  readonly to?: bigint | undefined;
  /** Move aside what is in the way. */
  readonly force?: boolean;
  readonly onStep?: (step: RestoreStep) => void;
  /** Told at once where it is now, whatever becomes of the restore. */
  readonly onAside?: (aside: string) => void;
}

export interface RestoredShard {
  readonly shard: number;
  readonly sequence: number;
  /** Of its last row, ns. */
  readonly timestamp: string;
}

export interface RestoreDone {
  readonly shards: readonly RestoredShard[];
  /** Where the directory that was in the way is now. */
  readonly aside: string | undefined;
}

const MARKER_NAME = 'restoring.json';
const META_NAME = 'sycee.json';

export function restoreBackup(options: RestoreOptions): RestoreDone {
  const directory = resolve(options.directory);
  const backup = resolve(options.backup);
  const { onStep = () => undefined } = options;
  expectApart(backup, directory);
  const manifest = readManifest(backup);
  if (manifest === undefined) {
    throw new BackupError(`There is no backup at ${backup}: it has no backup.json.`, 4);
  }
  using stack = new DisposableStack();
  const journals = openJournals(backup, manifest, stack);
  const cut = cutAt(journals, manifest, options.to);
  const plans = manifest.shards.map((shard, k) => planOf(shard, k, cut[k]!));
  const aside = makeWay(directory, options.force === true);
  if (aside !== undefined) {
    options.onAside?.(aside);
    onStep('aside');
  }
  begin(directory);
  onStep('marked');
  const shards = plans.map((plan, k) => {
    const restore = new ShardRestore({ ...options, directory, backup }, manifest, k);
    restore.copy(plan, journals[k]!);
    const timestamp = String(journals[k]!.timestamp(plan.sequence));
    return { shard: k, sequence: plan.sequence, timestamp };
  });
  // The one beside the directory knows of what was there before, and would refuse an older state.
  resetWitness(directory);
  finish(directory, manifest);
  onStep('whole');
  return { shards, aside };
}

function openJournals(
  backup: string,
  { meta }: BackupManifest,
  stack: DisposableStack,
): readonly JournalReader[] {
  const { clusterId, shards } = meta;
  return Array.from({ length: shards }, (_, shard) => {
    const directory = join(backup, shardName(shard));
    return stack.use(JournalReader.open({ clusterId, shard, shards, directory }));
  });
}

/** The rows with which the shards are to end. */
function cutAt(
  journals: readonly JournalReader[],
  { shards }: BackupManifest,
  to: bigint | undefined,
): readonly number[] {
  if (to === undefined) return shards.map(({ sequence }) => sequence);
  const tops: number[] = [];
  const links = shards.map(({ sequence: last }, k) => {
    const journal = journals[k]!;
    const first = journal.firsts.find((one) => !journal.isArchived(one)) ?? 1;
    if (first > 1 && journal.timestamp(first) > to) throw tooEarly(k, first);
    const top = lastRowUpTo(journal, { first, last }, to);
    tops.push(top);
    const marks = first > 1 ? journal.archived!.marks : new LinkMarks(shards.length);
    return new ShardLinks(journal, { sequence: first - 1, marks }, { top, last });
  });
  return findCut(links, tops);
}

/** Timestamps of rows never go down. */
function lastRowUpTo(
  journal: JournalReader,
  { first, last }: { readonly first: number; readonly last: number },
  to: bigint,
): number {
  let low = first - 1;
  let high = last;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (journal.timestamp(middle) <= to) low = middle;
    else high = middle - 1;
  }
  return low;
}

function tooEarly(shard: number, first: number): BackupError {
  return new BackupError(
    `the backup of shard ${shard} begins with row ${first}: what was before that moment is in the archive. Name a later moment.`,
    1,
  );
}

interface ShardPlan {
  readonly sequence: number;
  readonly segments: readonly BackupSegment[];
  readonly files: readonly string[];
}

/** What is to be copied of a shard, up to its last row. Segments without its rows and later snapshots are left out. */
function planOf(shard: BackupShard, k: number, sequence: number): ShardPlan {
  const segments = shard.segments.filter(({ first }) => first <= sequence);
  const files = shard.files
    .map(({ name }) => name)
    .filter((name) => Number(SNAPSHOT_FILE.exec(name)?.[1] ?? 0) <= sequence);
  const first = shard.segments[0]?.first ?? 1;
  if (first > 1 && !files.some((name) => name.endsWith('.image'))) throw tooEarly(k, first);
  return { sequence, segments, files };
}

/** Leaves nothing at the place but what an earlier try has left. */
function makeWay(directory: string, force: boolean): string | undefined {
  if (!existsSync(directory)) return undefined;
  const names = readdirSync(directory);
  const isLeftover = names.includes(MARKER_NAME) && !names.includes(META_NAME);
  if (isLeftover || names.every((name) => name === 'lost+found')) return undefined;
  if (!force) {
    throw new BackupError(
      `${directory} is not empty. Nothing was changed. Name another place, or move it aside as a whole with --force.`,
      4,
    );
  }
  using taken = names.includes(META_NAME) ? lockIfSound(directory) : undefined;
  const stamp = new Date().toISOString().replaceAll(/[^0-9TZ]/g, '');
  const aside = `${directory}.before-${stamp}`;
  moveDurably(directory, aside);
  taken?.closeMoved(aside);
  return aside;
}

/** Nobody may have it open, and nobody is to open it while it is moved. A damaged one cannot be opened by anybody. */
function lockIfSound(directory: string): DataDirectory | undefined {
  try {
    return DataDirectory.open({ directory, create: false });
  } catch (error: unknown) {
    if (!(error instanceof DataDirectoryError) || error.code === 'DATA_IN_USE') throw error;
    return undefined;
  }
}

function begin(directory: string): void {
  makeDirectory(directory);
  placeFile(join(directory, MARKER_NAME), '{"format":1}\n');
  for (const name of readdirSync(directory)) {
    if (name === MARKER_NAME || name === 'lost+found') continue;
    rmSync(join(directory, name), { recursive: true });
  }
}

/** After the rename the directory counts as one. */
function finish(directory: string, { metaText }: BackupManifest): void {
  placeFile(join(directory, META_NAME), metaText);
  removeFile(join(directory, MARKER_NAME));
}

class ShardRestore {
  readonly #options: RestoreOptions;
  readonly #identity: JournalIdentity;
  readonly #shard: BackupShard;
  readonly #from: string;
  readonly #to: string;

  constructor(options: RestoreOptions, { meta, shards }: BackupManifest, k: number) {
    this.#options = options;
    this.#identity = { clusterId: meta.clusterId, shard: k, shards: meta.shards };
    this.#shard = shards[k]!;
    this.#from = join(options.backup, shardName(k));
    this.#to = join(options.directory, shardName(k));
  }

  copy({ sequence, segments, files }: ShardPlan, journal: JournalReader): void {
    makeDirectory(this.#to);
    let marks = this.#origin(segments);
    for (const segment of segments) {
      marks = this.#copySegment(segment, Math.min(segment.last, sequence), { journal, marks });
    }
    const isWhole = sequence === this.#shard.sequence;
    if (isWhole && journal.checksum(sequence) !== this.#shard.checksum) {
      throw this.#damaged(`row ${sequence} is another one than the backup says`);
    }
    if (isWhole && !isSame(marks, marksOf(this.#shard))) {
      throw this.#damaged('its rows say something else of the links than the backup does');
    }
    this.#copyFiles(files);
    using copied = JournalReader.open({ ...this.#identity, directory: this.#to });
    copied.checkSegments();
  }

  #copyFiles(files: readonly string[]): void {
    for (const name of files) {
      const sum = copyFile(join(this.#from, name), join(this.#to, name), 'as it is');
      const said = this.#shard.files.find((file) => file.name === name)!;
      if (sum.crc32 !== said.crc32) throw this.#damaged(`${name} does not match its checksum`);
      this.#options.onStep?.('file');
    }
  }

  #origin(segments: readonly BackupSegment[]): LinkMarks {
    const none = new LinkMarks(this.#identity.shards);
    if ((segments[0]?.first ?? 1) === 1) return none;
    return ArchivedSegments.read(this.#from, this.#identity)?.marks ?? none;
  }

  #copySegment(
    { name, first, last: whole, lastChecksum }: BackupSegment,
    last: number,
    { journal, marks }: { readonly journal: JournalReader; readonly marks: LinkMarks },
  ): LinkMarks {
    const from = join(this.#from, name);
    const to = join(this.#to, name);
    const next = journal.firsts.find((one) => one > first);
    // A run that was cut off may have left more rows in it than the backup counts.
    const isWholeFile = last === whole && (next === undefined ? false : next === whole + 1);
    if (isWholeFile) copyFile(from, to, 'sealed segment');
    else copyRows(journal, this.#identity, { first, last }, to);
    const checked = checkCopy(to, this.#identity, { first, last, marks });
    if (last === whole && checked.checksum !== lastChecksum) {
      throw this.#damaged(`${name} does not end with the row that the backup says`);
    }
    this.#options.onStep?.('segment');
    return checked.marks;
  }

  #damaged(rule: string): BackupError {
    return new BackupError(`the backup is damaged: ${this.#from}: ${rule}. Take another one.`, 3);
  }
}

function isSame(one: LinkMarks, other: LinkMarks): boolean {
  return JSON.stringify(one.toJson()) === JSON.stringify(other.toJson());
}
