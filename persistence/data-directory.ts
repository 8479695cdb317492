/**
 * The data directory: whose it is (`sycee.json`), which process holds it (`lock`), and a directory for each shard's journal.
 *
 * I1 `sycee.json` is written last and in one step: where it is, everything else was there. A crash before it leaves nothing of worth, and
 *    the next start begins anew.
 * I2 `lock` is a SQLite file that is held with BEGIN EXCLUSIVE for the life of the process; the kernel drops it with the process, however
 *    that ends. It holds no bytes. Nobody opens it by other means: closing any other descriptor on it would drop the lock.
 * I3 A directory that is refused is not changed, but for the lock file of one that is ours.
 * I4 `sycee.json` has a checksum over what it says: a flipped bit in the cluster's id or in the seed is not taken for another cluster.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  type Dirent,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../engine/assert.ts';
import { SHARDS_MAX } from '../engine/limits.ts';
import { type Connection, fsyncDirectory, fsyncPath, openAsLock, sqliteCode } from './database.ts';
import { restoreDoubtfulWals } from './doubtful-wal.ts';
import { DataDirectoryError } from './errors.ts';
import { makeDirectory } from './file-copy.ts';

export const DIRECTORY_FORMAT = 3;
const META_NAME = 'sycee.json';
const META_NAME_NEW = 'sycee.json.new';
const LOCK_NAME = 'lock';
const LOCK_PID_NAME = 'lock.pid';
const SHARD_NAME = /^shard-\d{3}$/;
/** As an archive has them. */
const CLUSTER_NAME = /^[0-9a-f]{32}$/;
/** For who only looks. */
const NAME_ONE =
  'Name the directory that serve has with --data; ./sycee verify takes a backup or an archive as well.';
/** What a creation that was cut short can leave, and what a file system puts into its root. */
const NAMES_BEFORE_META = [META_NAME_NEW, LOCK_NAME, LOCK_PID_NAME, 'lost+found'];

export interface DirectoryMeta {
  readonly format: number;
  /** 32 hexadecimal digits. */
  readonly clusterId: string;
  readonly shards: number;
  /** A random u32, fixed for the life of the directory. */
  readonly seed: number;
  /** ISO 8601. */
  readonly created: string;
}

export interface DataDirectoryOptions {
  readonly directory: string;
  /** For a new directory, by default one less than the cores; for an existing one, refused when it is another number. */
  readonly shards?: number | undefined;
  /** Whether to make it when there is none. */
  readonly create: boolean;
}

export class DataDirectory implements Disposable {
  readonly directory: string;
  readonly meta: DirectoryMeta;
  readonly #lock: Connection;

  private constructor(directory: string, meta: DirectoryMeta, lock: Connection) {
    this.directory = directory;
    this.meta = meta;
    this.#lock = lock;
  }

  /** Takes the directory for this process, or throws DataDirectoryError. */
  static open(options: DataDirectoryOptions): DataDirectory {
    const { shards } = options;
    assert(shards === undefined || isShardCount(shards), 'a shard count within its bound');
    const directory = resolve(options.directory);
    const isOurs = openInspect(directory, options.create);
    if (!isOurs) makeDirectory(directory);
    const lock = openLock(directory);
    try {
      // Another process may have made it in the meantime.
      const isInitialised = readdirSync(directory).includes(META_NAME);
      const meta = isInitialised
        ? openCheck(directory, shards)
        : initialise(directory, shards ?? Math.max(1, availableParallelism() - 1));
      for (let shard = 0; shard < meta.shards; shard++) {
        restoreDoubtfulWals(join(directory, shardName(shard)));
      }
      return new DataDirectory(directory, meta, lock);
    } catch (error: unknown) {
      releaseLock(directory, lock);
      throw error;
    }
  }

  shardDirectory(shard: number): string {
    assert(shard >= 0 && shard < this.meta.shards, 'a shard of this directory');
    return join(this.directory, shardName(shard));
  }

  close(): void {
    if (this.#lock.open) releaseLock(this.directory, this.#lock);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What a directory says of itself, for those who only look: takes no lock and changes nothing. Throws DataDirectoryError. */
export function inspectDirectory(directory: string): DirectoryMeta {
  openInspect(directory, false);
  return openCheck(directory, undefined);
}

/** Whether it is a data directory already. Changes nothing. */
function openInspect(directory: string, create: boolean): boolean {
  const there = statSync(directory, { throwIfNoEntry: false });
  if (there?.isDirectory() === false) {
    const advice = create ? 'Nothing was changed. Name an empty or a new one.' : NAME_ONE;
    throw new DataDirectoryError('DATA_FOREIGN', `${directory} is not a directory. ${advice}`);
  }
  if (there !== undefined) {
    const entries = readdirSync(directory, { withFileTypes: true });
    if (entries.some((entry) => entry.name === META_NAME)) return true;
    const foreign = entries.find((entry) => !mayPrecedeMeta(directory, entry));
    if (foreign !== undefined) {
      throw withoutMeta(directory, entries, { foreign: foreign.name, create });
    }
  }
  if (create) return false;
  throw new DataDirectoryError(
    'DATA_MISSING',
    `There is no data directory at ${directory}, and no backup or archive. Check the path. ${NAME_ONE}`,
  );
}

function mayPrecedeMeta(directory: string, entry: Dirent): boolean {
  if (NAMES_BEFORE_META.includes(entry.name)) return true;
  return isShard(entry) && readdirSync(join(directory, entry.name)).length === 0;
}

const isShard = (entry: Dirent): boolean => entry.isDirectory() && SHARD_NAME.test(entry.name);

/** A ledger's files without the one that says whose they are must not be taken for nothing of worth, nor for somebody else's. */
function withoutMeta(
  directory: string,
  entries: readonly Dirent[],
  { foreign, create }: { readonly foreign: string; readonly create: boolean },
): DataDirectoryError {
  const has = (name: string): boolean => entries.some((entry) => entry.name === name);
  const refuse = (why: string): DataDirectoryError =>
    new DataDirectoryError('DATA_FOREIGN', `${directory} ${why}`);
  if (has('restoring.json')) {
    return refuse('is what a restore that was cut off has left. Run ./sycee restore again.');
  }
  if (has('backup.json')) {
    return refuse('is a backup. Bring it back in another place with ./sycee restore.');
  }
  if (has('head') && entries.some(isShard)) {
    return damaged(join(directory, META_NAME), 'it is missing, and shards of a ledger are there');
  }
  if (create) {
    return refuse(
      `is not a data directory: it has no ${META_NAME}, and it is not empty (${foreign}). ` +
        'Nothing was changed. Name an empty or a new directory.',
    );
  }
  if (isArchivePart(resolve(directory), entries)) {
    return refuse(
      'is laid out as an archive of segments, or a part of one, and is no data directory. Name the one that the segments are from, and the archive ' +
        'with --archive; ./sycee verify reads an archive with segments by itself.',
    );
  }
  return refuse(
    `is no data directory (it has no ${META_NAME}), no backup, and no archive; it has ${foreign}. ${NAME_ONE}`,
  );
}

function isArchivePart(path: string, entries: readonly Dirent[]): boolean {
  if (entries.some(isShard)) return CLUSTER_NAME.test(basename(path));
  if (SHARD_NAME.test(basename(path))) return CLUSTER_NAME.test(basename(dirname(path)));
  return entries.some((entry) => entry.isDirectory() && CLUSTER_NAME.test(entry.name));
}

/** Takes only the lock, whatever else is there, and gives what releases it where the directory is then. */
export function takeLock(directory: string): (now: string) => void {
  const lock = openLock(directory);
  return (now) => releaseLock(now, lock);
}

function openLock(directory: string): Connection {
  const file = join(directory, LOCK_NAME);
  let lock: Connection;
  try {
    lock = openAsLock(file);
  } catch (error: unknown) {
    const code = sqliteCode(error);
    if (code !== 'SQLITE_BUSY') throw notLocked(file, code, error);
    throw new DataDirectoryError(
      'DATA_IN_USE',
      `${directory} is in use by ${holderOf(directory)}. Stop that one first, or name another directory.`,
      error,
    );
  }
  noteHolder(directory, lock);
  return lock;
}

function notLocked(file: string, code: string | undefined, cause: unknown): Error {
  const { message } = cause as Error;
  const isAnother =
    code === 'SQLITE_NOTADB' || lstatSync(file, { throwIfNoEntry: false })?.isFile() === false;
  const what = isAnother
    ? 'It is not the file that this program makes, and that holds nothing: when no process has the directory, move it away, and a new one is made.'
    : 'It must belong to this user, on a disk that can be written.';
  return new Error(`Cannot lock ${file}: ${code ?? message}. ${what}`, { cause });
}

/** For the sentence of whoever is refused. On a full disk it may be missing: a start gives the ballast back only later. */
function noteHolder(directory: string, lock: Connection): void {
  try {
    writeFileSync(join(directory, LOCK_PID_NAME), `${process.pid}\n`);
  } catch (error: unknown) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') return;
    lock.close();
    throw new Error(
      `Cannot write in ${directory}: ${code}. It must belong to this user, on a disk that can be written.`,
      { cause: error },
    );
  }
}

function holderOf(directory: string): string {
  let pid: string;
  try {
    pid = readFileSync(join(directory, LOCK_PID_NAME), 'utf8').trim();
  } catch (error: unknown) {
    return `another process (${(error as NodeJS.ErrnoException).code})`;
  }
  if (pid === String(process.pid)) return 'this very process';
  return /^\d+$/.test(pid) ? `process ${pid}` : 'another process';
}

function releaseLock(directory: string, lock: Connection): void {
  rmSync(join(directory, LOCK_PID_NAME), { force: true });
  lock.close();
}

function initialise(directory: string, shards: number): DirectoryMeta {
  assert(isShardCount(shards), 'a shard count within its bound');
  chmodSync(directory, 0o700);
  for (const name of readdirSync(directory)) {
    if (SHARD_NAME.test(name)) rmdirSync(join(directory, name));
  }
  for (let shard = 0; shard < shards; shard++) {
    mkdirSync(join(directory, shardName(shard)), { mode: 0o700 });
  }
  const meta: DirectoryMeta = {
    format: DIRECTORY_FORMAT,
    clusterId: randomBytes(16).toString('hex'),
    shards,
    seed: randomBytes(4).readUInt32LE(),
    created: new Date().toISOString(),
  };
  const file = join(directory, META_NAME_NEW);
  const text = JSON.stringify({ ...meta, checksum: metaChecksum(meta) }, undefined, 2);
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
  fsyncPath(file, 'r+');
  fsyncDirectory(directory);
  // After this point the directory counts as initialised.
  renameSync(file, join(directory, META_NAME));
  fsyncDirectory(directory);
  return meta;
}

/** CRC-32 of the fields in this form, eight hexadecimal digits. */
export function metaChecksum({ format, clusterId, shards, seed, created }: DirectoryMeta): string {
  const text = `sycee.json/${format}/${clusterId}/${shards}/${seed}/${created}`;
  return crc32(text).toString(16).padStart(8, '0');
}

function openCheck(directory: string, shards: number | undefined): DirectoryMeta {
  const meta = readMeta(join(directory, META_NAME));
  if (shards !== undefined && shards !== meta.shards) {
    throw new DataDirectoryError(
      'DATA_OTHER_SHARDS',
      `${directory} was made with ${meta.shards} shards, and ${shards} were asked for. ` +
        'The count is fixed for the life of a directory: leave it out, or name a new directory.',
    );
  }
  for (let shard = 0; shard < meta.shards; shard++) {
    const path = join(directory, shardName(shard));
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) continue;
    throw damaged(path, 'the directory of this shard is missing');
  }
  return meta;
}

function readMeta(file: string): DirectoryMeta {
  let meta: unknown;
  try {
    meta = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error: unknown) {
    throw damaged(file, `it is not readable as JSON (${String(error)})`, error);
  }
  if (typeof meta !== 'object' || meta === null) throw damaged(file, 'it is not a JSON object');
  const { format, clusterId, shards, seed, created, checksum } = meta as Record<string, unknown>;
  if (typeof format !== 'number' || !Number.isSafeInteger(format))
    throw damaged(file, 'format is not an integer');
  if (format !== DIRECTORY_FORMAT) {
    throw new DataDirectoryError(
      'DATA_OTHER_VERSION',
      `${file} says format ${String(format)}, and this program reads format ${DIRECTORY_FORMAT}. Use the version that wrote it.`,
    );
  }
  if (typeof clusterId !== 'string' || !/^[0-9a-f]{32}$/.test(clusterId)) {
    throw damaged(file, 'clusterId is not 32 hexadecimal digits');
  }
  if (!isShardCount(shards)) throw damaged(file, `shards is not from 1 to ${SHARDS_MAX}`);
  if (typeof seed !== 'number' || seed !== seed >>> 0) {
    throw damaged(file, 'seed is not an unsigned 32-bit integer');
  }
  if (typeof created !== 'string') throw damaged(file, 'created is not a string');
  const read: DirectoryMeta = { format, clusterId, shards, seed, created };
  if (checksum !== metaChecksum(read)) {
    throw damaged(file, 'the fields do not match their checksum');
  }
  return read;
}

function isShardCount(shards: unknown): shards is number {
  return Number.isSafeInteger(shards) && Number(shards) >= 1 && Number(shards) <= SHARDS_MAX;
}

export function shardName(shard: number): string {
  return `shard-${String(shard).padStart(3, '0')}`;
}

function damaged(file: string, rule: string, cause?: unknown): DataDirectoryError {
  return new DataDirectoryError(
    'DATA_DAMAGED',
    `The data directory is damaged: ${file}: ${rule}. Put it back from a copy; nothing was changed.`,
    cause,
  );
}
