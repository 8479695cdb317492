/**
 * Reads parts of frames from the file of a *sealed* segment, around SQLite: a row of a frame of 8,189 is a few hundred bytes, and SQLite
 * cannot read less than the whole blob. Finds a frame by the B-tree of the table of journal rows, and checks once for each that its overflow
 * pages follow each other; a frame where they do not is not read here. A frame has a hundred pages, and the first pages of histories after a
 * start come by a hundred frames that nobody has looked for yet, so only pages at both ends are looked at (I3).
 *
 * I1 Only sealed segments: a later one exists, and the WAL is empty (`JournalReader.isSealed`). Nobody writes such a file any more.
 * I2 What is read here is not checked against the row's checksum, which covers whole frames. Callers check what they can: the frame's
 *    header, and that ids are those that they expect; of a whole frame the checksum.
 * I3 The overflow pages of a row ascend, and no other row's are between them. SQLite takes them one after the other in one insert, from the end of
 *    the file, since nothing is ever deleted from a segment and no page of it becomes free. What lies between them, where anything does (a page of
 *    the B-tree, a map of pointers), moves the last one away from where it would be.
 *
 * Gotcha: closing a file descriptor drops the POSIX locks of this process on that file. On a sealed segment these are the shared locks of
 * idle readers. Connections of this process know of each other without them, and another process that took itself for the last one would
 * move an empty WAL: nothing is lost. On a live segment it would be otherwise, hence (I1).
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { assert } from '../engine/assert.ts';
import { GROUP_BYTES_MAX } from '../engine/limits.ts';
import { type FrameCell, type FramePlace, LEAF_PAGE, PageFile, readVarint } from './page-file.ts';

const FILE_HEADER_BYTES = 100;
const INTERIOR_PAGE = 5;
/** A B-tree of journal rows is two or three pages deep. */
const DEPTH_MAX = 8;

/** Where whole frames are read to, one after the other. */
export class FrameMemory {
  #bytes = new DataView(new ArrayBuffer(0));

  /** So many bytes at least. */
  of(bytes: number): DataView<ArrayBuffer> {
    if (bytes > this.#bytes.byteLength) this.#bytes = new DataView(new ArrayBuffer(bytes * 2));
    return this.#bytes;
  }
}

export class SegmentPages implements Disposable {
  readonly #file: number;
  readonly #pages: PageFile;
  readonly #rootPage: number;
  readonly #page: DataView<ArrayBuffer>;
  /** Where the pages end of which the file's header says that it has them: SQLite refuses what lies behind them. */
  readonly #end: number;
  /** The root of the B-tree, which every search begins with; read with the first one. */
  #root: DataView<ArrayBuffer> | undefined;
  #isClosed = false;

  private constructor(file: number, rootPage: number, header: DataView) {
    const size = header.getUint16(16);
    const pageBytes = size === 1 ? 65_536 : size;
    const usableBytes = pageBytes - header.getUint8(20);
    this.#file = file;
    this.#rootPage = rootPage;
    this.#pages = new PageFile(file, { pageBytes, usableBytes, stride: pageBytes });
    this.#page = new DataView(new ArrayBuffer(pageBytes));
    this.#end = header.getUint32(28) * pageBytes;
  }

  /** `rootPage` of the table of journal rows, as SQLite says it. The segment is sealed (I1). */
  static open(path: string, rootPage: number): SegmentPages {
    const file = openSync(path, 'r');
    try {
      const header = new DataView(new ArrayBuffer(FILE_HEADER_BYTES));
      assert(readSync(file, header) === FILE_HEADER_BYTES, 'a SQLite file has a header');
      return new SegmentPages(file, rootPage, header);
    } catch (error: unknown) {
      closeSync(file);
      throw error;
    }
  }

  /** Undefined when the row is not there, lies within one page, its pages do not follow each other, or one is damaged: SQLite is to read it then. */
  place(sequence: number): FramePlace | undefined {
    try {
      return this.#find(sequence);
    } catch (error: unknown) {
      // Numbers in a damaged page lead out of it.
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  #find(sequence: number): FramePlace | undefined {
    let page = this.#rootPage;
    for (let depth = 0; depth < DEPTH_MAX; depth++) {
      const at = this.#offsetOf(page);
      const node =
        depth === 0 ? (this.#root ??= this.#readPage(at)) : this.#readPage(at, this.#page);
      if (node === undefined) return undefined;
      const type = node.getUint8(0);
      if (type === LEAF_PAGE) {
        const cell = this.#pages.cell(node, sequence);
        if (cell === undefined || !this.#isContiguous(cell)) return undefined;
        const { bytes, local, localBytes, firstPage } = cell;
        return { bytes, localAt: at + local, localBytes, overflowAt: this.#offsetOf(firstPage) };
      }
      if (type !== INTERIOR_PAGE) return undefined;
      page = childOf(node, sequence);
    }
    return undefined;
  }

  read(
    place: FramePlace,
    from: number,
    target: NodeJS.ArrayBufferView,
    to: { readonly at: number; readonly bytes: number },
  ): boolean {
    assert(!this.#isClosed, 'what is closed is not read');
    return this.#pages.read(place, from, target, to);
  }

  /** A whole frame, in memory that the next one takes; undefined where SQLite is to read it. */
  frame(sequence: number, memory: FrameMemory): Uint8Array | undefined {
    const place = this.place(sequence);
    if (place === undefined || place.bytes > GROUP_BYTES_MAX) return undefined;
    const span = this.#pages.spanOf(place);
    if (place.overflowAt + span - place.localBytes > this.#end) return undefined;
    const target = memory.of(span);
    const firstPage = place.overflowAt / this.#pages.pageBytes + 1;
    if (!this.#pages.readWhole(place, firstPage, target)) return undefined;
    return new Uint8Array(target.buffer, 0, place.bytes);
  }

  /** It reads no more: its file descriptor may be another file's by now. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    this.#isClosed = true;
    closeSync(this.#file);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #offsetOf(page: number): number {
    return (page - 1) * this.#pages.pageBytes;
  }

  #readPage(
    at: number,
    page = new DataView(new ArrayBuffer(this.#pages.pageBytes)),
  ): DataView<ArrayBuffer> | undefined {
    return this.#pages.readExactly(page, at, page.byteLength) ? page : undefined;
  }

  /**
   * Whether the overflow pages follow each other, by the first two and the last two of them. That the others do as well follows from (I3): of pages in
   * ascending order none is left out when the last one is where it has to be.
   */
  #isContiguous({ firstPage, pages }: FrameCell): boolean {
    const last = firstPage + pages - 1;
    for (let page = firstPage; page <= last; page++) {
      if (page === firstPage + 2 && page < last - 1) page = last - 1;
      if (!this.#pages.readExactly(this.#page, this.#offsetOf(page), 4)) return false;
      if (this.#page.getUint32(0) !== (page === last ? 0 : page + 1)) return false;
    }
    return true;
  }
}

/** In an interior page, the child in which a row is: each cell has the largest row number of its child. */
function childOf(page: DataView, sequence: number): number {
  const cells = page.getUint16(3);
  let low = 0;
  let high = cells;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const cell = page.getUint16(12 + middle * 2);
    if (readVarint(page, cell + 4).value >= sequence) high = middle;
    else low = middle + 1;
  }
  return low === cells ? page.getUint32(8) : page.getUint32(page.getUint16(12 + low * 2));
}
