/**
 * The place where the next page begins, as opaque text: base64url of version, kind of question, checksum of the question, numbers, checksum. It
 * holds for the question that it came from; with another one, or altered, it is refused.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../engine/assert.ts';
import { SyceeError } from '../lib/sycee-error.ts';

/** A number is not used again: 2 and 3 counted rows as they lie in a frame. */
export const CursorKind = { history: 1, changes: 4, transfers: 5, accounts: 6 } as const;
export type CursorKind = (typeof CursorKind)[keyof typeof CursorKind];

const VERSION = 1;
const HEAD_BYTES = 8;
const TAIL_BYTES = 4;
/** A place on each of the most shards that there can be, and some. */
const NUMBERS_MAX = 256;
const TEXT = /^[\w-]+$/;

/** Every number is a whole one from 0 to 2^53 - 1. */
export function encodeCursor(
  kind: CursorKind,
  question: number,
  numbers: readonly number[],
): string {
  assert(numbers.length <= NUMBERS_MAX, 'a cursor is within its bound');
  const bytes = Buffer.alloc(HEAD_BYTES + numbers.length * 8 + TAIL_BYTES);
  bytes.writeUInt16LE(VERSION, 0);
  bytes.writeUInt16LE(kind, 2);
  bytes.writeUInt32LE(question, 4);
  let at = HEAD_BYTES;
  for (const number of numbers) {
    assert(Number.isSafeInteger(number) && number >= 0, 'a cursor holds whole numbers');
    bytes.writeBigUInt64LE(BigInt(number), at);
    at += 8;
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(0, at)), at);
  return bytes.toString('base64url');
}

/** The numbers of a cursor of this question. Throws malformed_request. */
export function decodeCursor(
  cursor: string,
  kind: CursorKind,
  expected: { readonly question: number; readonly count: number },
): readonly number[] {
  const bytes = Buffer.from(TEXT.test(cursor) ? cursor : '', 'base64url');
  const length = HEAD_BYTES + expected.count * 8 + TAIL_BYTES;
  if (bytes.byteLength !== length || bytes.readUInt16LE(0) !== VERSION) throw unusableCursor();
  if (bytes.readUInt16LE(2) !== kind) throw unusableCursor();
  if (bytes.readUInt32LE(4) !== expected.question) throw unusableCursor();
  const end = length - TAIL_BYTES;
  if (bytes.readUInt32LE(end) !== crc32(bytes.subarray(0, end))) throw unusableCursor();
  const numbers: number[] = [];
  for (let at = HEAD_BYTES; at < end; at += 8) {
    const number = bytes.readBigUInt64LE(at);
    if (number > BigInt(Number.MAX_SAFE_INTEGER)) throw unusableCursor();
    numbers.push(Number(number));
  }
  return numbers;
}

/** What makes two filters the same question: everything but the size of a page and the cursor. */
export function questionOf(filter: object): number {
  const said = Object.entries(filter)
    .filter(([name]) => name !== 'limit' && name !== 'cursor')
    .map(([name, value]) => `${name}=${String(value)}`)
    .toSorted();
  return crc32(said.join('&'));
}

export function unusableCursor(): SyceeError {
  return new SyceeError(
    'malformed_request',
    'the cursor is not one that an earlier answer to this question gave as `next`; leave it out to begin anew',
    { field: 'cursor', rule: 'cursor' },
  );
}
