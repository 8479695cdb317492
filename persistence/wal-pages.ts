/**
 * Reads parts of frames from the WAL of a segment that is not sealed yet, as `SegmentPages` does from a sealed one. An append is one commit:
 * a run of WAL frames, each a header and a page, the last one with the size of the file. The first commit of a segment is its `meta` row, so
 * the one of a journal row follows from its sequence; a WAL that was begun later, after a restart, says its place by its last row. That a
 * commit's leaf page names the sequence is checked, and what does not fit is left to SQLite. Nothing is written over while a WAL is its segment's.
 *
 * I1 Only rows that SQLite has said to be durable are asked for; whatever the writer is at lies behind them.
 * I2 As in segment-pages.ts, the row's checksum is not checked.
 *
 * I3 When the segment is sealed, its WAL gets another header before anything else in it is written over or cut (wal-room.ts). So what was read is
 *    sound where the header is the same afterwards.
 *
 * The `-wal` file carries no locks, so it may be opened and closed at any time.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type FramePlace, LEAF_PAGE, PageFile, readVarint } from './page-file.ts';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** Without the bit that says in which byte order its checksums are. */
const MAGIC = 0x377f0682;
/** Leaf pages are the first or the last of a commit: SQLite writes in the order of pages, and a new leaf comes behind the frame's own. */
const LEAF_TRIES = 4;

export class WalPages implements Disposable {
  readonly #file: number;
  /** The sequence that the commit numbered 0 would be; it is that of `meta`, in a segment's first WAL. */
  #before: number;
  #isSettled = false;
  readonly #pages: PageFile;
  readonly #stride: number;
  readonly #page: DataView;
  readonly #salt: readonly [number, number];
  readonly #headerNow = new DataView(new ArrayBuffer(HEADER_BYTES));
  /** Page numbers of the WAL's frames, and how many frames each commit ends with. */
  readonly #numbers: number[] = [];
  readonly #ends: number[] = [];

  private constructor(file: number, first: number, header: DataView) {
    const pageBytes = header.getUint32(8);
    this.#file = file;
    this.#before = first - 1;
    this.#stride = pageBytes + FRAME_HEADER_BYTES;
    // Segments leave no bytes of a page unused.
    this.#pages = new PageFile(file, { pageBytes, usableBytes: pageBytes, stride: this.#stride });
    this.#page = new DataView(new ArrayBuffer(pageBytes));
    this.#salt = [header.getUint32(16), header.getUint32(20)];
  }

  /** Undefined when there is no WAL, or it is empty. `first` is the segment's first sequence. */
  static open(path: string, first: number): WalPages | undefined {
    let file: number;
    try {
      file = openSync(`${path}-wal`, 'r');
    } catch (error: unknown) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const header = new DataView(new ArrayBuffer(HEADER_BYTES));
    const isWhole = readSync(file, header, 0, HEADER_BYTES, 0) === HEADER_BYTES;
    if (isWhole && (header.getUint32(0) & ~1) >>> 0 === MAGIC) {
      return new WalPages(file, first, header);
    }
    closeSync(file);
    return undefined;
  }

  /** Undefined when SQLite is to read the row. */
  place(sequence: number): FramePlace | undefined {
    if (sequence - this.#before >= this.#ends.length) this.#scan();
    const place = this.#placeInCommit(sequence, sequence - this.#before);
    if (place !== undefined || this.#isSettled) return place;
    this.#isSettled = true;
    const last = this.#ends.length - 1;
    const lastRow = last < 0 ? undefined : this.#lastRowOf(last);
    if (lastRow === undefined) return undefined;
    this.#before = lastRow - last;
    return this.#placeInCommit(sequence, sequence - this.#before);
  }

  read(
    place: FramePlace,
    from: number,
    target: NodeJS.ArrayBufferView,
    to: { readonly at: number; readonly bytes: number },
  ): boolean {
    return this.#pages.read(place, from, target, to) && this.#hasHeader();
  }

  /** Whether the file was deleted, as it is when the last connection is closed, or is not this segment's WAL any more. */
  isGone(): boolean {
    return fstatSync(this.#file).nlink === 0 || !this.#hasHeader();
  }

  #hasHeader(): boolean {
    const header = this.#headerNow;
    return (
      readSync(this.#file, header, 0, HEADER_BYTES, 0) === HEADER_BYTES &&
      header.getUint32(16) === this.#salt[0] &&
      header.getUint32(20) === this.#salt[1]
    );
  }

  close(): void {
    closeSync(this.#file);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Looks at the headers of the frames that came since. */
  #scan(): void {
    const header = this.#page;
    for (let frame = this.#numbers.length; ; frame++) {
      const at = HEADER_BYTES + frame * this.#stride;
      if (!this.#pages.readExactly(header, at, FRAME_HEADER_BYTES)) break;
      const isOurs =
        header.getUint32(8) === this.#salt[0] && header.getUint32(12) === this.#salt[1];
      if (!isOurs) break;
      this.#numbers.push(header.getUint32(0));
      if (header.getUint32(4) !== 0) this.#ends.push(frame + 1);
    }
    // What is not a whole commit yet may still be begun anew.
    this.#numbers.length = this.#ends.at(-1) ?? 0;
  }

  #placeInCommit(sequence: number, commit: number): FramePlace | undefined {
    const end = this.#ends[commit];
    if (end === undefined) return undefined;
    const begin = this.#ends[commit - 1] ?? 0;
    for (const frame of leafTries(begin, end)) {
      const place = this.#placeInLeaf(frame, sequence, { begin, end });
      if (place !== undefined) return place;
    }
    return undefined;
  }

  /** The greatest row number in the leaf pages of a commit. */
  #lastRowOf(commit: number): number | undefined {
    const page = this.#page;
    let last: number | undefined;
    for (const frame of leafTries(this.#ends[commit - 1] ?? 0, this.#ends[commit]!)) {
      if (!this.#readLeaf(frame)) continue;
      const cells = page.getUint16(3);
      if (cells === 0) continue;
      const payload = readVarint(page, page.getUint16(8 + (cells - 1) * 2));
      last = Math.max(last ?? 0, readVarint(page, payload.end).value);
    }
    return last;
  }

  #readLeaf(frame: number): boolean {
    const at = this.#offsetOf(frame);
    const page = this.#page;
    if (!this.#pages.readExactly(page, at, 1) || page.getUint8(0) !== LEAF_PAGE) return false;
    return this.#pages.readExactly(page, at, page.byteLength);
  }

  #placeInLeaf(
    frame: number,
    sequence: number,
    commit: { readonly begin: number; readonly end: number },
  ): FramePlace | undefined {
    if (!this.#readLeaf(frame)) return undefined;
    const at = this.#offsetOf(frame);
    const cell = this.#pages.cell(this.#page, sequence);
    if (cell === undefined) return undefined;
    const { bytes, local, localBytes, firstPage, pages } = cell;
    const start = this.#numbers.indexOf(firstPage, commit.begin);
    if (start < 0 || start + pages > commit.end) return undefined;
    for (let i = 0; i < pages; i++) {
      if (this.#numbers[start + i] !== firstPage + i) return undefined;
    }
    if (!this.#goesOn(start, pages === 1 ? 0 : firstPage + 1)) return undefined;
    if (!this.#goesOn(start + pages - 1, 0)) return undefined;
    return { bytes, localAt: at + local, localBytes, overflowAt: this.#offsetOf(start) };
  }

  /** Whether an overflow page names this one as its next. All pages in between are new and lie in order. */
  #goesOn(frame: number, next: number): boolean {
    const page = this.#page;
    return this.#pages.readExactly(page, this.#offsetOf(frame), 4) && page.getUint32(0) === next;
  }

  #offsetOf(frame: number): number {
    return HEADER_BYTES + frame * this.#stride + FRAME_HEADER_BYTES;
  }
}

/** WAL frames of a commit in which a leaf page may be. */
function leafTries(begin: number, end: number): number[] {
  const tries = new Set<number>();
  for (let i = 0; i < LEAF_TRIES && begin + i < end; i++) tries.add(begin + i).add(end - 1 - i);
  return [...tries];
}
