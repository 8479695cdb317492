/**
 * Looks at the WAL of a segment before SQLite opens it. SQLite takes the first frame that does not fit for the end of the WAL, and says nothing:
 * a flipped bit would take back every commit behind it. So the two things that look alike are told apart here.
 *
 * A torn tail is what a crash leaves of the last append, which nobody was told of. An append begins when the one before it is synced, so
 * a WAL whose first bad frame belongs to the last append may go on: behind a bad frame at most the rest of the same append can follow.
 * A later append behind a bad frame proves damage to something that was synced, and is refused. That the last append itself was damaged
 * after it was synced cannot be seen here; the head witness (head-witness.ts) says so.
 *
 * Behind the last append may be what a file was given as room (wal-room.ts): zeros, or frames of another WAL, which have other salts. So after a loss of
 * power each sector of the last append may be there or be what it was before, and a header that lies in two of them may be half of each.
 *
 * What is used of SQLite's WAL format (documented and frozen): a header of 32 bytes; frames of a header of 24 bytes and a page; the sums
 * over both go on from frame to frame. SQLite writes the pages of one commit in ascending order.
 *
 * Somebody may be writing the file. A later append that was seen proves that what is before it was written, so a frame that did not fit is then
 * looked at once more. That the file is still the WAL of the segment is for the caller to see to.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../engine/assert.ts';
import { journalCorrupt, placeIn } from './errors.ts';
import { segmentName, segmentsIn } from './segment.ts';
import { isKeptHeader, WAL_HEADER_BYTES as HEADER_BYTES } from './wal-room.ts';

const FRAME_HEADER_BYTES = 24;
/** With sums over little-endian words: what a machine writes on which this program runs. */
const MAGIC = 0x377f0682;
const FORMAT = 3_007_000;
const PAGE_BYTES_MIN = 512;
/** What a disk writes as a whole at least. */
const SECTOR_BYTES = 512;
const PAGE_BYTES_MAX = 65_536;
const READ_FRAMES = 32;
/** Bits in which the salts of a frame may differ from those of its WAL. */
const SALT_FLIPS_MAX = 4;

/** Offsets in a frame's header. */
const PAGE_NUMBER_AT = 0;
/** Pages of the file after the commit; 0 in all frames of a commit but its last. */
const COMMIT_AT = 4;
const SALT_AT = 8;
const SUM_AT = 16;

export interface WalCheckResult {
  /** Bytes that SQLite may read: the header, and the frames that fit; 0 when there is none. */
  readonly bytes: number;
  /** Where the last append begins that is there as a whole, or `bytes`. */
  readonly lastAppendAt: number;
}

const NOTHING: WalCheckResult = { bytes: 0, lastAppendAt: 0 };

/** Every WAL of a shard's segments. Throws JOURNAL_CORRUPT; changes nothing. Returns what was found in that of the last segment, if it has one. */
export function preflightWals(directory: string): WalCheckResult | undefined {
  let last: WalCheckResult | undefined;
  for (const first of segmentsIn(directory)) {
    last = checkWal(join(directory, segmentName(first)), first);
  }
  return last;
}

/**
 * The WAL of one segment, if it has one. `first` is the segment's first sequence. Returns how many bytes of it SQLite may read: its header, and
 * the frames that fit.
 */
export function preflightWal(segment: string, first: number): number {
  return checkWal(segment, first)?.bytes ?? 0;
}

function checkWal(segment: string, first: number): WalCheckResult | undefined {
  let file: number;
  try {
    file = openSync(`${segment}-wal`, 'r');
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const check = new WalCheck(file, segment, first);
    if (statSync(segment).size >= PAGE_BYTES_MIN) return check.run();
    check.refuseContent();
    return NOTHING;
  } finally {
    closeSync(file);
  }
}

class WalCheck {
  readonly #file: number;
  readonly #segment: string;
  readonly #first: number;
  readonly #bytes: number;
  #pageBytes = 0;
  #saltLow = 0;
  #saltHigh = 0;
  /** The sums over everything up to here. */
  #sum0 = 0;
  #sum1 = 0;
  #commits = 0;
  /** The frames behind the last commit but one, and behind the last. */
  #lastFrom = 0;
  #lastTo = 0;
  /** Page number of the newest frame of a commit that has not ended; 0 at its beginning. */
  #lastPage = 0;

  constructor(file: number, segment: string, first: number) {
    this.#file = file;
    this.#segment = segment;
    this.#first = first;
    this.#bytes = fstatSync(file).size;
  }

  /** SQLite deletes the WAL of a file of no bytes, or of one, even when it only reads. The file has its first page before a commit can be. */
  refuseContent(): void {
    if (!this.#hasContentFrom(HEADER_BYTES) || this.#isKept()) return;
    throw this.#corrupt('the WAL has commits, and its segment has been cut off', 0);
  }

  run(): WalCheckResult {
    if (this.#bytes === 0 || this.#isKept()) return NOTHING;
    if (!this.#openHeader()) {
      // The header is synced before the first frame is written, so behind a torn one there is nothing.
      if (this.#hasContentFrom(HEADER_BYTES)) {
        throw this.#corrupt('the header of the WAL is damaged, and commits follow it', 0);
      }
      return NOTHING;
    }
    for (let from = 0; ;) {
      const bad = this.#firstBadFrame(from);
      const later = this.#laterAppend(bad);
      if (later === undefined) return this.#upTo(bad);
      from = this.#firstBadFrame(bad);
      if (from > bad) continue;
      throw this.#corrupt(
        `the frame of the WAL at byte ${this.#at(bad)} is damaged, and a later commit goes on at byte ${this.#at(later)}`,
        bad,
      );
    }
  }

  #upTo(frames: number): WalCheckResult {
    const isWhole = this.#lastTo > this.#lastFrom;
    return { bytes: this.#at(frames), lastAppendAt: this.#at(isWhole ? this.#lastFrom : frames) };
  }

  #isKept(): boolean {
    const header = new Uint8Array(HEADER_BYTES);
    readSync(this.#file, header, 0, HEADER_BYTES, 0);
    return isKeptHeader(header);
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

  /** Index of the first frame that does not fit, or is not there as a whole; those from `from` on were not looked at before. */
  #firstBadFrame(from: number): number {
    const stride = this.#pageBytes + FRAME_HEADER_BYTES;
    const view = new DataView(new ArrayBuffer(READ_FRAMES * stride));
    const words = new Int32Array(view.buffer);
    for (let frame = from; ;) {
      const bytes = readSync(this.#file, view, 0, view.byteLength, this.#at(frame));
      const end = frame + Math.floor(bytes / stride);
      for (let at = 0; frame < end; frame++, at += stride) {
        if (!this.#isWhole(view, words, at)) return frame;
        this.#lastPage = view.getUint32(at + PAGE_NUMBER_AT);
        if (view.getUint32(at + COMMIT_AT) !== 0) {
          this.#commits++;
          this.#lastPage = 0;
          this.#lastFrom = this.#lastTo;
          this.#lastTo = frame + 1;
        }
      }
      if (bytes < view.byteLength) return frame;
    }
  }

  /** The sums go on over a frame that fits. */
  #isWhole(view: DataView, words: Int32Array, at: number): boolean {
    if (view.getUint32(at + SALT_AT) !== this.#saltHigh) return false;
    if (view.getUint32(at + SALT_AT + 4) !== this.#saltLow) return false;
    if (view.getUint32(at + PAGE_NUMBER_AT) === 0) return false;
    const sum0 = this.#sum0;
    const sum1 = this.#sum1;
    this.#add(words, at / 4, 2);
    this.#add(words, (at + FRAME_HEADER_BYTES) / 4, this.#pageBytes / 4);
    if (this.#isSum(view, at + SUM_AT)) return true;
    this.#sum0 = sum0;
    this.#sum1 = sum1;
    return false;
  }

  /** The first frame behind a bad one that a later append has written. */
  #laterAppend(bad: number): number | undefined {
    const header = new DataView(new ArrayBuffer(FRAME_HEADER_BYTES));
    let lastPage = this.#lastPage;
    let hasEnded = false;
    for (let frame = bad; ; frame++) {
      if (readSync(this.#file, header, 0, FRAME_HEADER_BYTES, this.#at(frame)) < header.byteLength)
        return undefined;
      if (!this.#isOurs(header) || !this.#isProof(frame)) continue;
      const page = header.getUint32(PAGE_NUMBER_AT);
      if (frame > bad && (hasEnded || page <= lastPage)) return frame;
      lastPage = page;
      if (header.getUint32(COMMIT_AT) !== 0) hasEnded = true;
    }
  }

  /** Whether the header of a frame was written as a whole: in one sector, or with a page that fits what the frame before says its sums are. */
  #isProof(frame: number): boolean {
    if ((this.#at(frame) % SECTOR_BYTES) + FRAME_HEADER_BYTES <= SECTOR_BYTES) return true;
    if (frame === 0) return false;
    const before = new DataView(new ArrayBuffer(FRAME_HEADER_BYTES));
    readSync(this.#file, before, 0, FRAME_HEADER_BYTES, this.#at(frame - 1));
    const view = new DataView(new ArrayBuffer(this.#pageBytes + FRAME_HEADER_BYTES));
    const bytes = readSync(this.#file, view, 0, view.byteLength, this.#at(frame));
    if (bytes < view.byteLength) return false;
    const sums = [this.#sum0, this.#sum1] as const;
    this.#sum0 = before.getInt32(SUM_AT);
    this.#sum1 = before.getInt32(SUM_AT + 4);
    const isWhole = this.#isWhole(view, new Int32Array(view.buffer), 0);
    [this.#sum0, this.#sum1] = sums;
    return isWhole;
  }

  /** Whether a frame is one of this WAL, also when its salts were hit by a few flips: 64 random bits of another one are not that near. */
  #isOurs(header: DataView): boolean {
    const high = header.getUint32(SALT_AT) ^ this.#saltHigh;
    const low = header.getUint32(SALT_AT + 4) ^ this.#saltLow;
    return onesIn(high) + onesIn(low) <= SALT_FLIPS_MAX;
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
    return journalCorrupt(placeIn(`${this.#segment}-wal`, sequence), rule);
  }
}

function onesIn(word: number): number {
  let ones = 0;
  for (let left = word; left !== 0; left &= left - 1) ones++;
  return ones;
}
