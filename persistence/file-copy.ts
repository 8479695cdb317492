/**
 * Copies of files that nobody writes any more: under another name first, synced, read back and compared by CRC-32, then renamed. So a copy is
 * there as a whole, or not at all, wherever it was cut off; doing it again begins anew.
 *
 * A copy of a sealed segment says in its header that it is in rollback mode, where the segment says WAL: nobody will write it, and so it can
 * be read from a medium that cannot be written, and no side files appear beside it. Everything else is the same, byte for byte.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../engine/assert.ts';
import { fsyncDirectory, fsyncPath } from './database.ts';

const CHUNK_BYTES = 1 << 20;
/** In SQLite's header: the versions of the format for writers and for readers, 1 for rollback mode and 2 for WAL. */
const WRITE_VERSION_AT = 18;
const ROLLBACK_MODE = 1;
const WAL_MODE = 2;

export interface FileSum {
  readonly bytes: number;
  readonly crc32: number;
}

export type CopyKind = 'as it is' | 'sealed segment';

/** Durable when it returns, but for the directory's own name: see `makeDirectory`. */
export function copyFile(from: string, to: string, kind: CopyKind): FileSum {
  const unfinished = `${to}.unfinished`;
  const source = openSync(from, 'r');
  let written: FileSum;
  try {
    const target = openSync(unfinished, 'w', 0o600);
    try {
      written = readThrough(source, kind, (chunk) => writeWhole(target, chunk));
      fsyncSync(target);
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
  const again = sumOf(unfinished, 'as it is');
  if (again.bytes !== written.bytes || again.crc32 !== written.crc32) {
    throw new Error(
      `${unfinished} was read back with other contents than were written: check that disk`,
    );
  }
  renameSync(unfinished, to);
  fsyncDirectory(dirname(to));
  return written;
}

/** What a copy of this kind would sum up to. */
export function sumOf(path: string, kind: CopyKind): FileSum {
  const file = openSync(path, 'r');
  try {
    return readThrough(file, kind, () => undefined);
  } finally {
    closeSync(file);
  }
}

/** Makes a directory for the owner alone, and everything above it that is not there, durably. */
export function makeDirectory(path: string): void {
  const missing: string[] = [];
  let at = resolve(path);
  for (; statSync(at, { throwIfNoEntry: false }) === undefined; at = dirname(at)) missing.push(at);
  if (!isDirectory(at)) throw new Error(`${at} is not a directory`);
  // One by one: where a file system says ENOENT whatever is made, as /proc does, Node's own recursive mkdir never comes back.
  for (const one of missing.toReversed()) {
    try {
      mkdirSync(one, { mode: 0o700 });
    } catch (error: unknown) {
      if (!isDirectory(one)) throw error;
    }
    fsyncDirectory(dirname(one));
  }
}

const isDirectory = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Writes a small file in one step, durably. */
export function placeFile(path: string, text: string): void {
  const unfinished = `${path}.new`;
  writeFileSync(unfinished, text, { mode: 0o600 });
  fsyncPath(unfinished, 'r+');
  fsyncDirectory(dirname(path));
  renameSync(unfinished, path);
  fsyncDirectory(dirname(path));
}

/** Durably. */
export function removeFile(path: string): void {
  rmSync(path);
  fsyncDirectory(dirname(path));
}

/** To another name in the same place, durably. */
export function moveDurably(from: string, to: string): void {
  renameSync(from, to);
  fsyncDirectory(dirname(to));
}

function readThrough(file: number, kind: CopyKind, onChunk: (chunk: Uint8Array) => void): FileSum {
  const buffer = new Uint8Array(CHUNK_BYTES);
  let bytes = 0;
  let sum = 0;
  for (;;) {
    const count = readSync(file, buffer, 0, CHUNK_BYTES, bytes);
    if (count === 0) return { bytes, crc32: sum };
    const chunk = buffer.subarray(0, count);
    if (bytes === 0 && kind === 'sealed segment') toRollbackMode(chunk);
    sum = crc32(chunk, sum);
    onChunk(chunk);
    bytes += count;
  }
}

function toRollbackMode(header: Uint8Array): void {
  for (const at of [WRITE_VERSION_AT, WRITE_VERSION_AT + 1]) {
    assert(header[at] === WAL_MODE || header[at] === ROLLBACK_MODE, 'a SQLite file has a mode');
    header[at] = ROLLBACK_MODE;
  }
}

function writeWhole(file: number, chunk: Uint8Array): void {
  for (let at = 0; at < chunk.byteLength;) at += writeSync(file, chunk, at);
}
