/**
 * Reads parts of frames out of a file of SQLite pages: a sealed segment, or the WAL of one that is being written. What is used of SQLite's file
 * formats (documented and frozen): cells of a table's leaf pages with their varints, and overflow pages, which begin with the number of the
 * next one. A segment is only ever appended to, so the overflow pages of a frame follow each other; who makes a `FramePlace` checks that.
 */
import { readSync } from 'node:fs';
import { assert } from '../engine/assert.ts';

/** Where a frame lies in the file: its first bytes in a leaf page, the rest in overflow pages one after the other. */
export interface FramePlace {
  readonly bytes: number;
  readonly localAt: number;
  readonly localBytes: number;
  /** Where the first overflow page begins. */
  readonly overflowAt: number;
}

/** A frame's cell in a leaf page; `local` counts from the start of the page. */
export interface FrameCell {
  readonly bytes: number;
  readonly local: number;
  readonly localBytes: number;
  readonly firstPage: number;
  readonly pages: number;
}

export const LEAF_PAGE = 13;
const NEXT_BYTES = 4;

export class PageFile {
  readonly pageBytes: number;
  /** What SQLite leaves unused at the end of a page is not. */
  readonly usableBytes: number;
  /** From the start of a page to that of the next: in a WAL each has a header. */
  readonly #stride: number;
  readonly #file: number;
  #stage = new Uint8Array(0);
  /** Where #locate has found an offset, and how many bytes of the frame follow there on the same page. */
  #position = 0;
  #left = 0;

  constructor(file: number, sizes: { pageBytes: number; usableBytes: number; stride: number }) {
    assert(sizes.pageBytes >= 512 && sizes.usableBytes > 480, 'a SQLite file has pages');
    this.#file = file;
    this.pageBytes = sizes.pageBytes;
    this.usableBytes = sizes.usableBytes;
    this.#stride = sizes.stride;
  }

  /** Reads bytes of a frame into `target` at byte `at`. False when the file is too short. */
  // Hot path.
  read(
    place: FramePlace,
    from: number,
    target: NodeJS.ArrayBufferView,
    to: { readonly at: number; readonly bytes: number },
  ): boolean {
    let { at, bytes } = to;
    assert(from + bytes <= place.bytes, 'the bytes are in the frame');
    let offset = from;
    while (bytes > 0) {
      this.#locate(place, offset);
      const position = this.#position;
      const left = this.#left;
      // What lies on one page is read right to its place; more is staged, because of what lies between pages.
      if (bytes > left && offset >= place.localBytes) {
        return this.#readStaged(position, left, target, { at, bytes });
      }
      const count = Math.min(bytes, left);
      if (readSync(this.#file, target, at, count, position) !== count) return false;
      at += count;
      offset += count;
      bytes -= count;
    }
    return true;
  }

  /**
   * Reads a whole frame to the beginning of `target`, which has room for `spanOf(place)` bytes. False when the file is too short, or a page does not name
   * the one behind it, which then has to be looked for.
   */
  // Hot path.
  readWhole(place: FramePlace, firstPage: number, target: DataView<ArrayBuffer>): boolean {
    const { localBytes, overflowAt } = place;
    if (!this.readExactly(target, place.localAt, localBytes)) return false;
    const span = this.spanOf(place) - localBytes;
    if (readSync(this.#file, target, localBytes, span, overflowAt) !== span) return false;
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    const perPage = this.usableBytes - NEXT_BYTES;
    let page = firstPage;
    for (let at = localBytes, from = localBytes; at < place.bytes; at += perPage, page++) {
      const isLast = at + perPage >= place.bytes;
      if (target.getUint32(from) !== (isLast ? 0 : page + 1)) return false;
      bytes.copyWithin(at, from + NEXT_BYTES, from + NEXT_BYTES + perPage);
      from += this.#stride;
    }
    return true;
  }

  /** Bytes of a frame together with what lies between its pages. */
  spanOf({ bytes, localBytes }: FramePlace): number {
    const perPage = this.usableBytes - NEXT_BYTES;
    const pages = Math.ceil((bytes - localBytes) / perPage);
    return bytes + NEXT_BYTES + (pages - 1) * (this.#stride - perPage);
  }

  readExactly(target: DataView, position: number, bytes: number): boolean {
    return position >= 0 && readSync(this.#file, target, 0, bytes, position) === bytes;
  }

  /** The cell of a journal row in a leaf page, if it is there and goes on in overflow pages. */
  cell(page: DataView, sequence: number): FrameCell | undefined {
    let low = 0;
    let high = page.getUint16(3);
    while (low < high) {
      const middle = (low + high) >>> 1;
      const payload = readVarint(page, page.getUint16(8 + middle * 2));
      const rowId = readVarint(page, payload.end);
      if (rowId.value === sequence) return this.#cellAt(page, rowId.end, payload.value);
      if (rowId.value < sequence) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  #cellAt(page: DataView, at: number, payloadBytes: number): FrameCell | undefined {
    const usable = this.usableBytes;
    if (payloadBytes <= usable - 35) return undefined;
    const least = Math.floor(((usable - 12) * 32) / 255) - 23;
    const wanted = least + ((payloadBytes - least) % (usable - NEXT_BYTES));
    const local = wanted <= usable - 35 ? wanted : least;
    const frame = frameColumn(page, at);
    if (frame === undefined || frame.before + frame.bytes !== payloadBytes) return undefined;
    if (frame.before > local) return undefined;
    return {
      bytes: frame.bytes,
      local: at + frame.before,
      localBytes: local - frame.before,
      firstPage: page.getUint32(at + local),
      pages: Math.ceil((payloadBytes - local) / (usable - NEXT_BYTES)),
    };
  }

  // Hot path.
  #locate(place: FramePlace, offset: number): void {
    if (offset < place.localBytes) {
      this.#position = place.localAt + offset;
      this.#left = place.localBytes - offset;
      return;
    }
    const perPage = this.usableBytes - NEXT_BYTES;
    const within = offset - place.localBytes;
    const page = Math.floor(within / perPage);
    const inPage = within - page * perPage;
    this.#position = place.overflowAt + page * this.#stride + NEXT_BYTES + inPage;
    this.#left = perPage - inPage;
  }

  /** Reads over page boundaries in one go, and leaves out what lies between. */
  #readStaged(
    position: number,
    left: number,
    target: NodeJS.ArrayBufferView,
    to: { readonly at: number; readonly bytes: number },
  ): boolean {
    const perPage = this.usableBytes - NEXT_BYTES;
    const gap = this.#stride - perPage;
    const span = to.bytes + Math.ceil((to.bytes - left) / perPage) * gap;
    if (this.#stage.byteLength < span) this.#stage = new Uint8Array(span);
    if (readSync(this.#file, this.#stage, 0, span, position) !== span) return false;
    const bytes = new Uint8Array(target.buffer, target.byteOffset + to.at, to.bytes);
    let from = 0;
    let at = 0;
    let count = left;
    while (at < to.bytes) {
      bytes.set(this.#stage.subarray(from, from + count), at);
      at += count;
      from += count + gap;
      count = Math.min(perPage, to.bytes - at);
    }
    return true;
  }
}

/** In a journal row's record (sequence, timestamp, checksum, frame): bytes before the frame, and of it. */
function frameColumn(page: DataView, at: number): { before: number; bytes: number } | undefined {
  const header = readVarint(page, at);
  let before = header.value;
  let end = header.end;
  for (let column = 0; column < 3; column++) {
    const serial = readVarint(page, end);
    end = serial.end;
    const bytes = INTEGER_BYTES[serial.value];
    if (bytes === undefined) return undefined;
    before += bytes;
  }
  const { value, end: last } = readVarint(page, end);
  const isBlob = value >= 12 && value % 2 === 0;
  return isBlob && last === at + header.value ? { before, bytes: (value - 12) / 2 } : undefined;
}

/** Bytes of an integer column by its serial type; 0 is NULL, which stands for the row's number, 8 and 9 are constants. */
const INTEGER_BYTES: readonly (number | undefined)[] = [0, 1, 2, 3, 4, 6, 8, undefined, 0, 0];

export function readVarint(
  view: DataView,
  at: number,
): { readonly value: number; readonly end: number } {
  let value = 0;
  for (let i = 0; i < 8; i++) {
    const byte = view.getUint8(at + i);
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return { value, end: at + i + 1 };
  }
  return { value: value * 256 + view.getUint8(at + 8), end: at + 9 };
}
