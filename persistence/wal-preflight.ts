/**
 * Looks at the WAL of a segment before SQLite opens it. SQLite takes the first frame that does not fit for the end of the WAL, and says nothing:
 * a flipped bit would take back every commit behind it. So the two things that look alike are told apart here.
 *
 * A torn tail is what a crash leaves of the last append, which nobody was told of. An append begins when the one before it is synced, so
 * a WAL whose first bad frame belongs to the last append may go on: behind a bad frame at most the rest of the same append can follow.
 * A later append behind a bad frame proves damage to something that was synced, and is refused. That the last append itself was damaged
 * after it was synced cannot be seen here; the head witness (head-witness.ts) says so.
 *
 * What is used of SQLite's WAL format (documented and frozen): a header of 32 bytes; frames of a header of 24 bytes and a page; the sums
 * over both go on from frame to frame. SQLite writes the pages of one commit in ascending order.
 * Only for a file that nobody writes.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../engine/assert.ts';
import { journalCorrupt } from './errors.ts';
import { segmentName, segmentsIn } from './segment.ts';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** With sums over little-endian words: what a machine writes on which this program runs. */
const MAGIC = 0x377f0682;
const FORMAT = 3_007_000;
const PAGE_BYTES_MIN = 512;
const PAGE_BYTES_MAX = 65_536;
const READ_FRAMES = 32;

/** Offsets in a frame's header. */
const PAGE_NUMBER_AT = 0;
/** Pages of the file after the commit; 0 in all frames of a commit but its last. */
const COMMIT_AT = 4;
const SALT_AT = 8;
const SUM_AT = 16;

/** Every WAL of a shard's segments. Throws JOURNAL_CORRUPT; changes nothing. */
export function preflightWals(directory: string): void {
  for (const first of segmentsIn(directory)) {
    preflightWal(join(directory, segmentName(first)), first);
  }
}

/** The WAL of one segment, if it has one. `first` is the segment's first sequence. */
export function preflightWal(segment: string, first: number): void {
  let file: number;
  try {
    file = openSync(`${segment}-wal`, 'r');
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    const check = new WalCheck(file, first);
    if (statSync(segment).size < PAGE_BYTES_MIN) check.refuseContent();
    else check.run();
  } finally {
    closeSync(file);
  }
}

class WalCheck {
  readonly #file: number;
  readonly #first: number;
  readonly #bytes: number;
  #pageBytes = 0;
  #saltLow = 0;
  #saltHigh = 0;
  /** The sums over everything up to here. */
  #sum0 = 0;
  #sum1 = 0;
  #commits = 0;
  /** Page number of the newest frame of a commit that has not ended; 0 at its beginning. */
  #lastPage = 0;

  constructor(file: number, first: number) {
    this.#file = file;
    this.#first = first;
    this.#bytes = fstatSync(file).size;
  }

  /** SQLite deletes the WAL of a file of no bytes, or of one, even when it only reads. The file has its first page before a commit can be. */
  refuseContent(): void {
    if (!this.#hasContentFrom(HEADER_BYTES)) return;
    throw this.#corrupt('the WAL has commits, and its segment has been cut off', 0);
  }

  run(): void {
    if (this.#bytes === 0) return;
    if (!this.#openHeader()) {
      // The header is synced before the first frame is written, so behind a torn one there is nothing.
      if (this.#hasContentFrom(HEADER_BYTES)) {
        throw this.#corrupt('the header of the WAL is damaged, and commits follow it', 0);
      }
      return;
    }
    const bad = this.#firstBadFrame();
    const later = bad === undefined ? undefined : this.#laterAppend(bad);
    if (later === undefined) return;
    throw this.#corrupt(
      `the frame of the WAL at byte ${this.#at(bad!)} is damaged, and a later commit goes on at byte ${this.#at(later)}`,
      bad!,
    );
  }

  #openHeader(): boolean {
    const header = new DataView(new ArrayBuffer(HEADER_BYTES));
    if (readSync(this.#file, header, 0, HEADER_BYTES, 0) < HEADER_BYTES) return false;
    if (header.getUint32(0) !== MAGIC || header.getUint32(4) !== FORMAT) return false;
    this.#pageBytes = header.getUint32(8);
    this.#saltHigh = header.getUint32(16);
    this.#saltLow = header.getUint32(20);
    this.#add(new Int32Array(header.buffer), 0, 6);
    if (!this.#isSum(header, 24)) return false;
    const pageBytes = this.#pageBytes;
    const isPower = (pageBytes & (pageBytes - 1)) === 0;
    return isPower && pageBytes >= PAGE_BYTES_MIN && pageBytes <= PAGE_BYTES_MAX;
  }

  /** Index of the first frame that is there as a whole and does not fit. */
  #firstBadFrame(): number | undefined {
    const stride = this.#pageBytes + FRAME_HEADER_BYTES;
    const frames = Math.floor((this.#bytes - HEADER_BYTES) / stride);
    const view = new DataView(new ArrayBuffer(READ_FRAMES * stride));
    const words = new Int32Array(view.buffer);
    for (let frame = 0; frame < frames; frame++) {
      const at = (frame % READ_FRAMES) * stride;
      if (at === 0) {
        const count = Math.min(READ_FRAMES, frames - frame) * stride;
        if (readSync(this.#file, view, 0, count, this.#at(frame)) < count) return undefined;
      }
      if (!this.#isWhole(view, words, at)) return frame;
      this.#lastPage = view.getUint32(at + PAGE_NUMBER_AT);
      if (view.getUint32(at + COMMIT_AT) !== 0) {
        this.#commits++;
        this.#lastPage = 0;
      }
    }
    return undefined;
  }

  #isWhole(view: DataView, words: Int32Array, at: number): boolean {
    if (view.getUint32(at + SALT_AT) !== this.#saltHigh) return false;
    if (view.getUint32(at + SALT_AT + 4) !== this.#saltLow) return false;
    if (view.getUint32(at + PAGE_NUMBER_AT) === 0) return false;
    this.#add(words, at / 4, 2);
    this.#add(words, (at + FRAME_HEADER_BYTES) / 4, this.#pageBytes / 4);
    return this.#isSum(view, at + SUM_AT);
  }

  /**
   * The first frame behind a bad one that a later append has written. One salt that fits is enough to know a frame of this WAL: it is 32 random
   * bits, and one flip spoils one of the two.
   */
  #laterAppend(bad: number): number | undefined {
    const header = new DataView(new ArrayBuffer(FRAME_HEADER_BYTES));
    let lastPage = this.#lastPage;
    let hasEnded = false;
    for (let frame = bad; ; frame++) {
      if (readSync(this.#file, header, 0, FRAME_HEADER_BYTES, this.#at(frame)) < header.byteLength)
        return undefined;
      const isOurs =
        header.getUint32(SALT_AT) === this.#saltHigh ||
        header.getUint32(SALT_AT + 4) === this.#saltLow;
      if (!isOurs) continue;
      const page = header.getUint32(PAGE_NUMBER_AT);
      if (frame > bad && (hasEnded || page <= lastPage)) return frame;
      lastPage = page;
      if (header.getUint32(COMMIT_AT) !== 0) hasEnded = true;
    }
  }

  #hasContentFrom(position: number): boolean {
    const bytes = new Uint8Array(1 << 16);
    for (let at = position; ; at += bytes.length) {
      const count = readSync(this.#file, bytes, 0, bytes.length, at);
      if (bytes.subarray(0, count).some((byte) => byte !== 0)) return true;
      if (count < bytes.length) return false;
    }
  }

  #at(frame: number): number {
    return HEADER_BYTES + frame * (this.#pageBytes + FRAME_HEADER_BYTES);
  }

  /** The sums that SQLite calls its checksum. */
  #add(words: Int32Array, from: number, count: number): void {
    assert(count % 2 === 0, 'the sums take words in pairs');
    let sum0 = this.#sum0;
    let sum1 = this.#sum1;
    for (let i = from; i < from + count; i += 2) {
      sum0 = (sum0 + words[i]! + sum1) | 0;
      sum1 = (sum1 + words[i + 1]! + sum0) | 0;
    }
    this.#sum0 = sum0;
    this.#sum1 = sum1;
  }

  #isSum(view: DataView, at: number): boolean {
    return view.getInt32(at) === this.#sum0 && view.getInt32(at + 4) === this.#sum1;
  }

  /** The first commit of a segment is its `meta` row, the next one its first sequence, so it is this one or a later one that is meant. */
  #corrupt(rule: string, frame: number): Error {
    const sequence = this.#first + (frame === 0 ? 0 : Math.max(0, this.#commits - 1));
    return journalCorrupt({ file: `${segmentName(this.#first)}-wal`, sequence }, rule);
  }
}
