/**
 * Memory for the tables, which other threads may read. It is carved out of large buffers, so that a row of 64 or 128 bytes begins where a line of
 * the processor's cache does: a row across one line more costs a third more time where tables are larger than the cache.
 */
import { assert } from './assert.ts';

const ARENA_BYTES = 64 << 20;
const LINE_BYTES = 64;
/** A buffer of this size begins 16 bytes behind a page: glibc's header. Elsewhere rows may lie as they fall; nothing but time depends on it. */
const FIRST_BYTES = LINE_BYTES - 16;

let arena = new SharedArrayBuffer(0);
let used = 0;

/** So many words, all 0. */
export function sharedWords(count: number): Uint32Array {
  const bytes = (count * 4 + LINE_BYTES - 1) & ~(LINE_BYTES - 1);
  assert(bytes <= ARENA_BYTES, 'a chunk of a table within an arena');
  if (used + bytes > arena.byteLength) {
    arena = new SharedArrayBuffer(ARENA_BYTES + LINE_BYTES);
    used = FIRST_BYTES;
  }
  const words = new Uint32Array(arena, used, count);
  used += bytes;
  return words;
}
