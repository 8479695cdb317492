/**
 * Brings a backup back as a data directory, as it was or as it was at an earlier moment: then at the last rows up to that moment that fit
 * together over all shards (see cut.ts).
 *
 * `sycee.json` is written last, so that what was cut off cannot be served from, and is begun anew by the next try: `restoring.json` says that
 * what lies there is only half of a restore. A directory that is in the way is refused, or with `force` moved aside as a whole; it is never
 * changed. Every row that was copied is checked again where it lies now.
 */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkCopy } from '../persistence/archiver.ts';
import { shardName, takeLock } from '../persistence/data-directory.ts';
import {
  copyFile,
  makeDirectory,
  moveDurably,
  placeFile,
  removeFile,
} from '../persistence/file-copy.ts';
import { resetWitness } from '../persistence/head-witness.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import type { LinkMarks } from '../persistence/link-marks.ts';
import { copyRows } from '../persistence/segment-cut.ts';
import {
  BackupError,
  type BackupManifest,
  type BackupSegment,
  expectApart,
  expectDirectory,
  marksOf,
  readManifest,
} from './manifest.ts';
import { cutAt, openSources, planOf, type ShardPlan, type ShardSource } from './restore-plan.ts';

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
  readonly log?: (line: string) => void;
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
const LOCK_NAME = 'lock';
/** What a file system puts into its root, and the mark while it is written. */
const NAMES_BEFORE_MARKER = ['lost+found', `${MARKER_NAME}.new`];

export function restoreBackup(options: RestoreOptions): RestoreDone {
  const directory = resolve(options.directory);
  const backup = resolve(options.backup);
  const { onStep = () => undefined } = options;
  expectApart(backup, directory);
  const isFree = isWayFree(directory, options.force === true);
  const manifest = readManifest(backup);
  if (manifest === undefined) {
    throw new BackupError(`There is no backup at ${backup}: it has no backup.json.`, 1);
  }
  using stack = new DisposableStack();
  const sources = openSources(backup, manifest, stack);
  const cut = cutAt(sources, options.to);
  const log = options.log ?? (() => undefined);
  const plans = sources.map((source, k) => planOf(source, cut[k]!, log));
  const aside = isFree ? undefined : moveAside(directory);
  if (aside !== undefined) {
    options.onAside?.(aside);
    onStep('aside');
  }
  begin(directory);
  onStep('marked');
  for (const [k, plan] of plans.entries()) {
    new ShardRestore(sources[k]!, directory, onStep).copy(plan);
  }
  // The one beside the directory knows of what was there before, and would refuse an older state.
  resetWitness(directory);
  finish(directory, manifest);
  onStep('whole');
  const shards = plans.map(({ shard, sequence, timestamp }) => ({ shard, sequence, timestamp }));
  return { shards, aside };
}

/** Whether nothing is there but what an earlier try has left, with a full disk perhaps not even its mark. Refuses what is in the way. */
function isWayFree(directory: string, force: boolean): boolean {
  if (!existsSync(directory)) return true;
  expectDirectory(directory);
  const names = readdirSync(directory);
  if (names.includes(MARKER_NAME) && !names.includes(META_NAME)) return true;
  if (names.every((name) => NAMES_BEFORE_MARKER.includes(name))) return true;
  if (force) return false;
  throw new BackupError(
    `${directory} is not empty. Nothing was changed. Name another place, or move it aside as a whole with --force.`,
    1,
  );
}

/** Where it is afterwards. Nobody may have it open, and nobody is to open it while it is moved. */
function moveAside(directory: string): string {
  const release = mayBeOpen(directory) ? takeLock(directory) : undefined;
  const stamp = new Date().toISOString().replaceAll(/[^0-9TZ]/g, '');
  const aside = `${directory}.before-${stamp}`;
  try {
    moveDurably(directory, aside);
  } catch (error: unknown) {
    release?.(directory);
    throw error;
  }
  release?.(aside);
  return aside;
}

/** A ledger's directory, damaged or not: a process may go on in one that has lost its `sycee.json`. Its lock is always empty. */
function mayBeOpen(directory: string): boolean {
  const lock = statSync(join(directory, LOCK_NAME), { throwIfNoEntry: false });
  return existsSync(join(directory, META_NAME)) || (lock?.isFile() === true && lock.size === 0);
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
  readonly #source: ShardSource;
  readonly #to: string;
  readonly #onStep: (step: RestoreStep) => void;

  constructor(source: ShardSource, directory: string, onStep: (step: RestoreStep) => void) {
    this.#source = source;
    this.#to = join(directory, shardName(source.identity.shard));
    this.#onStep = onStep;
  }

  copy({ sequence, segments, files, archived }: ShardPlan): void {
    makeDirectory(this.#to);
    const { shard, identity } = this.#source;
    let marks = this.#source.marks();
    for (const segment of segments) {
      marks = this.#copySegment(segment, Math.min(segment.last, sequence), marks);
    }
    if (sequence === shard.sequence && !isSame(marks, marksOf(shard))) {
      const rule = 'its rows say something else of the links than the backup does';
      throw this.#source.damaged(rule);
    }
    this.#copyFiles(files);
    archived?.write(this.#to);
    using copied = JournalReader.open({ ...identity, directory: this.#to });
    copied.checkSegments();
  }

  #copyFiles(files: readonly string[]): void {
    const { shard, directory } = this.#source;
    for (const name of files) {
      const sum = copyFile(join(directory, name), join(this.#to, name), 'as it is');
      const said = shard.files.find((file) => file.name === name)!;
      if (sum.crc32 !== said.crc32) {
        throw this.#source.damaged(`${name} does not match its checksum`);
      }
      this.#onStep('file');
    }
  }

  #copySegment(
    { name, first, last: whole, lastChecksum }: BackupSegment,
    last: number,
    marks: LinkMarks,
  ): LinkMarks {
    const { journal, identity, directory } = this.#source;
    const from = join(directory, name);
    const to = join(this.#to, name);
    // A run that was cut off may have left more rows in it than the backup counts; not where another segment follows.
    const isWholeFile = last === whole && journal.firsts.includes(whole + 1);
    if (isWholeFile) copyFile(from, to, 'sealed segment');
    else copyRows(journal, identity, { first, last }, to);
    const checked = checkCopy(to, identity, { first, last, marks });
    if (last === whole && checked.checksum !== lastChecksum) {
      throw this.#source.damaged(`${name} does not end with the row that the backup says`);
    }
    this.#onStep('segment');
    return checked.marks;
  }
}

function isSame(one: LinkMarks, other: LinkMarks): boolean {
  return JSON.stringify(one.toJson()) === JSON.stringify(other.toJson());
}
