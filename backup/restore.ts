/**
 * Brings a backup back as a data directory, as it was or as it was at an earlier moment: then at the last rows up to that moment that fit
 * together over all shards (see cut.ts).
 *
 * `sycee.json` is written last, so that what was cut off cannot be served from, and is begun anew by the next try: `restoring.json` says that
 * what lies there is only half of a restore. A directory that is in the way is refused, or with `force` moved aside as a whole; it is never
 * changed. Every row that was copied is checked again where it lies now.
 *
 * A restore that fails behind that point puts back what it has moved aside: what it has made is taken away, its mark last, and the directory has its
 * name again. Killed in between, that name is free or the mark is in it, and what was moved aside is whole under the name that was said.
 */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkCopy } from '../persistence/archiver.ts';
import { shardName, takeLock } from '../persistence/data-directory.ts';
import { JournalError } from '../persistence/errors.ts';
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
  isDiskFull,
  marksOf,
  readManifest,
} from './manifest.ts';
import {
  cutAt,
  damagedBackup,
  openSources,
  planOf,
  type ShardPlan,
  type ShardSource,
} from './restore-plan.ts';

/** Durable steps on the way, for tests. */
export type RestoreStep = 'aside' | 'marked' | 'segment' | 'file' | 'cleared' | 'whole';

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
  const log = options.log ?? (() => undefined);
  const { sources, plans } = lookAt(backup, manifest, { to: options.to, log, stack });
  const aside = isFree ? undefined : moveAside(directory);
  if (aside !== undefined) {
    options.onAside?.(aside);
    onStep('aside');
  }
  try {
    begin(directory);
    onStep('marked');
    for (const [k, plan] of plans.entries()) {
      new ShardRestore(sources[k]!, directory, onStep).copy(plan);
    }
    // The one beside the directory knows of what was there before, and would refuse an older state.
    resetWitness(directory);
    finish(directory, manifest);
  } catch (error: unknown) {
    throw halfWay(directory, aside, { error, onStep });
  }
  onStep('whole');
  const shards = plans.map(({ shard, sequence, timestamp }) => ({ shard, sequence, timestamp }));
  return { shards, aside };
}

interface Looked {
  readonly sources: readonly ShardSource[];
  readonly plans: readonly ShardPlan[];
}

/** Everything that shows before anything is changed. */
function lookAt(
  backup: string,
  manifest: BackupManifest,
  {
    to,
    log,
    stack,
  }: {
    readonly to: bigint | undefined;
    readonly log: (line: string) => void;
    readonly stack: DisposableStack;
  },
): Looked {
  try {
    const sources = openSources(backup, manifest, stack);
    const cut = cutAt(sources, to);
    return { sources, plans: sources.map((source, k) => planOf(source, cut[k]!, log)) };
  } catch (error: unknown) {
    if (!(error instanceof JournalError) || error.damage?.shard === undefined) throw error;
    const { shard, file, sequence, rule } = error.damage;
    throw damagedBackup(join(backup, shardName(shard)), `${file}, sequence ${sequence}: ${rule}`);
  }
}

/** What the caller is told when a restore has failed behind the point at which the way was free. */
function halfWay(
  directory: string,
  aside: string | undefined,
  { error, onStep }: { readonly error: unknown; readonly onStep: (step: RestoreStep) => void },
): Error {
  const { exitCode } = error as { readonly exitCode?: unknown };
  const what = error instanceof Error ? error.message : String(error);
  const why = isDiskFull(error)
    ? 'There is no room on the disk that the restore goes to. Make room, and run the same command again.'
    : /[.!]$/.test(what)
      ? what
      : `${what}.`;
  let now: string;
  if (aside === undefined) {
    now = `At ${directory} is half a restore now, which no start takes: the next restore begins it anew, or remove it.`;
  } else {
    try {
      putBack(directory, aside, onStep);
      now = `What was at ${directory} is there again, as it was.`;
    } catch (problem: unknown) {
      now =
        `At ${directory} is at most half a restore now, which no start takes. What was there is ${aside}, and could not be put back (${String(problem)}): ` +
        `rm -rf ${directory} && mv ${aside} ${directory}`;
    }
  }
  return new BackupError(`${why} ${now}`, exitCode === 3 ? 3 : 1, error);
}

function putBack(directory: string, aside: string, onStep: (step: RestoreStep) => void): void {
  if (existsSync(directory)) {
    removeAllBut(directory, MARKER_NAME);
    rmSync(directory, { recursive: true });
  }
  onStep('cleared');
  moveDurably(aside, directory);
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
  removeAllBut(directory, MARKER_NAME, 'lost+found');
}

function removeAllBut(directory: string, ...kept: readonly string[]): void {
  for (const name of readdirSync(directory)) {
    if (!kept.includes(name)) rmSync(join(directory, name), { recursive: true });
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

  copy(plan: ShardPlan): void {
    try {
      this.#copy(plan);
    } catch (error: unknown) {
      throw this.#blame(error);
    }
  }

  /** A row that is wrong in the copy is wrong in the backup; if it is not, the disk of the copy is to be looked at. */
  #blame(error: unknown): unknown {
    if (!(error instanceof JournalError) || error.damage === undefined) return error;
    const { file, sequence, rule } = error.damage;
    const what = `${file}, sequence ${sequence}: ${rule}`;
    try {
      this.#source.journal.read(sequence);
    } catch {
      return this.#source.damaged(what);
    }
    const message = `the copy is damaged, and the backup is not: ${this.#to}: ${what}. Check that disk.`;
    return new BackupError(message, 3, error);
  }

  #copy({ sequence, segments, files, archived }: ShardPlan): void {
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
