/**
 * What a path that a tool is to write to really is, once links are followed: standard output, an open descriptor, a device or a pipe, which are written
 * to as they are, or a file, which is replaced when the new one is whole. Nothing is changed here.
 *
 * I1 No file of a ledger is replaced: nothing within a data directory or a backup is taken, whatever links lead there, nor the witness beside one.
 */
import { existsSync, fstatSync, lstatSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { UsageError } from './usage.ts';

export type SinkTarget =
  | { readonly type: 'stdout' }
  /** Of this process. */
  | { readonly type: 'descriptor'; readonly descriptor: number }
  /** Device or named pipe. */
  | { readonly type: 'special'; readonly path: string }
  | { readonly type: 'file'; readonly path: string };

/** What makes a directory one of a ledger. */
const MARKS = ['sycee.json', 'backup.json', 'restoring.json'];
/** A ledger's files lie in its directory, or in one within that; one more for what may come. */
const LEVELS = 3;
const WITNESS_END = '.head';
/** As many as Linux follows. */
const LINKS_MAX = 40;
const DESCRIPTORS = /^\/proc\/(\d+)\/(?:task\/\d+\/)?fd$/;

/** `-` is standard output. Throws UsageError for what is not to be written to; `flag` is named in it. */
export function sinkTarget(path: string, flag: string): SinkTarget {
  if (path === '-') return { type: 'stdout' };
  const real = followed(resolve(path), path, flag);
  const [, owner] = DESCRIPTORS.exec(dirname(real)) ?? [];
  if (owner === String(process.pid)) return openDescriptor(Number(basename(real)), path, flag);
  const stats = statSync(real, { throwIfNoEntry: false });
  if (stats?.isDirectory() === true) {
    throw new UsageError(`${flag} ${path} is a directory: name a file`);
  }
  if (stats?.isCharacterDevice() === true || stats?.isFIFO() === true) {
    return { type: 'special', path: real };
  }
  if (stats?.isFile() === false || owner !== undefined) {
    throw new UsageError(`${flag} ${path} is neither a file, nor a device or a pipe for text`);
  }
  checkOutside(real, path, flag);
  const output = fstatSync(1);
  const isOutput = stats !== undefined && stats.ino === output.ino && stats.dev === output.dev;
  return isOutput ? { type: 'stdout' } : { type: 'file', path: real };
}

/** The same one twice loses what is written to it first. */
export function checkApart(one: SinkTarget | undefined, other: SinkTarget | undefined): void {
  if (one === undefined || other === undefined) return;
  if (JSON.stringify(one) !== JSON.stringify(other)) return;
  throw new UsageError('--csv and --out are the same file: name two');
}

/** Without links, but for those to open descriptors, whose texts are no paths. What a link names need not be there. */
function followed(start: string, path: string, flag: string): string {
  let at = start;
  for (let links = 0; links < LINKS_MAX; links++) {
    const directory = realDirectory(dirname(at), path, flag);
    at = join(directory, basename(at));
    const isLink = lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    if (!isLink || DESCRIPTORS.test(directory)) return at;
    at = resolve(directory, readlinkSync(at));
  }
  throw new UsageError(`${flag} ${path} is a link that leads round in a circle: name a file`);
}

function realDirectory(directory: string, path: string, flag: string): string {
  try {
    return realpathSync(directory);
  } catch (error: unknown) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`${flag} ${path}: its directory cannot be found (${code}): make it first`);
  }
}

function openDescriptor(descriptor: number, path: string, flag: string): SinkTarget {
  let isDirectory: boolean;
  try {
    isDirectory = fstatSync(descriptor).isDirectory();
  } catch {
    isDirectory = true; // not open
  }
  if (isDirectory) throw new UsageError(`${flag} ${path} is not open for text: name a file`);
  return descriptor === 1 ? { type: 'stdout' } : { type: 'descriptor', descriptor };
}

function checkOutside(real: string, path: string, flag: string): void {
  if (real.endsWith(WITNESS_END) && isOfLedger(real.slice(0, -WITNESS_END.length))) {
    throw new UsageError(
      `${flag} ${path} is the head witness of a data directory: name another file`,
    );
  }
  let directory = real;
  for (let level = 0; level < LEVELS; level++) {
    directory = dirname(directory);
    if (!isOfLedger(directory)) continue;
    throw new UsageError(
      `${flag} ${path} is in the data directory or the backup ${directory}, where nothing is to be written`,
    );
  }
}

const isOfLedger = (directory: string): boolean =>
  MARKS.some((name) => existsSync(join(directory, name)));
