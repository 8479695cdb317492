/**
 * The frames of one shard's journal for readers of single rows. A large frame is read in the parts that are asked for, around SQLite: from the
 * file of a sealed segment, else from the WAL. Small frames are read whole, checked against their checksums, and kept for a while. Frames
 * never change, but they move once: from the WAL into the file.
 *
 * A partial read checks neither the row's checksum nor the chain: the frame's header must fit, and the caller compares ids. Whole frames are
 * checked here as everywhere; the index of a segment was made from frames that were.
 */
import { assert } from '../engine/assert.ts';
import type { JournalReader } from '../persistence/journal-reader.ts';
import type { FramePlace } from '../persistence/page-file.ts';
import type { SegmentPages } from '../persistence/segment-pages.ts';
import type { WalPages } from '../persistence/wal-pages.ts';
import { type FrameBytes, WholeFrame } from './frame-bytes.ts';
import { FrameView } from './frame-view.ts';
import { KeptSections } from './kept-sections.ts';

/** What a frame costs at least in memory, whatever is in it. */
const VIEW_BYTES = 1024;
/** Below this SQLite reads a whole frame about as fast as its parts are read. */
export const PAGED_BYTES_MIN = 16 << 10;
/**
 * Then it pays to read the whole frame: a read costs 1.1 us, and 0.8 MB cost 130 us. Only reads with no other frame in between count. Frames that
 * many questions touch once each would all become whole in time, and reading those and collecting them again took longer than anything else.
 */
const COPIES_MAX = 96;
/** File descriptors. */
const PAGES_OPEN_MAX = 32;
const WALS_OPEN_MAX = 2;
const PLACES_MAX = 65_536;
/** Of all shards together: the places of the previous ones of ten million transfers. */
const SECTIONS_BYTES_MAX = 128 << 20;

export class FrameStore implements Disposable {
  readonly #journal: JournalReader;
  readonly #shards: number;
  readonly #bytesMax: number;
  /** Least recently used first, as the others here. */
  readonly #views = new Map<number, FrameView>();
  #bytes = 0;
  readonly #pages = new Map<number, OpenPages>();
  readonly #remembered = new Set<number>();
  readonly #wals = new Map<number, WalPages>();
  readonly #places = new Map<number, FramePlace>();
  readonly #sections: KeptSections;
  /** What paged frames read from. */
  readonly #source: PagedSource = {
    read: (frame, from, target, to) => this.#readPart(frame, from, target, to),
    readWhole: ({ sequence }) => wordsOf(this.#journal.read(sequence)),
    section: (frame, from, bytes) =>
      this.#sections.get(frame.sequence) ?? this.#readSection(frame, from, bytes),
    onWhole: ({ sequence, byteLength }) => {
      if (this.#views.has(sequence)) this.grew(byteLength);
    },
  };
  /** The frame that was asked for last. */
  #lastView: FrameView | undefined;

  /** Keeps so many bytes of frames at most, but for the last one. */
  constructor(
    journal: JournalReader,
    shards: number,
    bytesMax: number,
    sections = new KeptSections(SECTIONS_BYTES_MAX / shards),
  ) {
    this.#journal = journal;
    this.#shards = shards;
    this.#bytesMax = bytesMax;
    this.#sections = sections;
  }

  /** What is kept of frames costs about so much. */
  get byteLength(): number {
    return this.#bytes;
  }

  /** Valid as long as the caller keeps it. */
  view(sequence: number): FrameView {
    if (this.#lastView?.sequence === sequence) return this.#lastView;
    const view = this.#known(sequence) ?? this.#read(sequence);
    this.#lastView = view;
    if (view.bytes instanceof PagedFrame) view.bytes.beginRun();
    return view;
  }

  /** The same of a frame that is read in parts; undefined when it would have to be read whole. */
  large(sequence: number): FrameView | undefined {
    if (!this.#views.has(sequence)) {
      const paged = this.#paged(sequence);
      if (paged === undefined) return undefined;
      this.#keep(sequence, paged);
    }
    const view = this.view(sequence);
    return view.bytes instanceof PagedFrame ? view : undefined;
  }

  /** Where the frame lies in a sealed segment, as kept in the segment's index. */
  remember(sequence: number, place: FramePlace): void {
    this.#places.set(sequence, place);
    if (this.#places.size <= PLACES_MAX) return;
    const [eldest] = this.#places.keys();
    this.#places.delete(eldest!);
    this.#remembered.delete(segmentWith(this.#journal.firsts, eldest!) ?? 0);
  }

  /** Every large frame of a segment is remembered: the others need not be looked for. */
  rememberedAll(first: number): void {
    this.#remembered.add(first);
  }

  /** Where a large frame lies in the file of its segment; undefined while that is not sealed. */
  sealedPlace(sequence: number): FramePlace | undefined {
    const known = this.#places.get(sequence);
    if (known !== undefined) return known;
    if (this.#remembered.has(segmentWith(this.#journal.firsts, sequence) ?? 0)) return undefined;
    const place = this.#sealed(sequence)?.place(sequence);
    if (place === undefined || place.bytes < PAGED_BYTES_MIN) return undefined;
    this.remember(sequence, place);
    return place;
  }

  /** Has the WAL looked through up to a frame, so that a question does not wait for it: 20 ms for a full one. */
  foresee(sequence: number): void {
    this.#closeMoved();
    if (this.sealedPlace(sequence) === undefined) this.#wal(sequence)?.place(sequence);
  }

  /** Files that were moved to the archive, and WALs that were deleted, take room here as long as they are open. */
  #closeMoved(): void {
    for (const [first, wal] of this.#wals) {
      if (!wal.isGone()) continue;
      wal.close();
      this.#wals.delete(first);
    }
    for (const [first, { pages, isArchived }] of this.#pages) {
      if (isArchived === this.#journal.isArchived(first)) continue;
      pages.close();
      this.#pages.delete(first);
    }
  }

  /** A paged frame has read itself whole. */
  grew(bytes: number): void {
    this.#bytes += bytes;
    for (const [sequence, { bytes: eldest }] of this.#views) {
      if (this.#bytes <= this.#bytesMax || this.#views.size === 1) return;
      this.#views.delete(sequence);
      this.#bytes -= sizeOf(eldest);
    }
  }

  close(): void {
    for (const { pages } of this.#pages.values()) pages.close();
    this.#pages.clear();
    for (const wal of this.#wals.values()) wal.close();
    this.#wals.clear();
    this.#views.clear();
    this.#sections.clear();
    this.#lastView = undefined;
    this.#bytes = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #known(sequence: number): FrameView | undefined {
    const known = this.#views.get(sequence);
    // While nothing is dropped the order does not matter, and a Map in which entries move makes a new table of itself again and again.
    if (known === undefined || this.#bytes < this.#bytesMax / 2) return known;
    this.#views.delete(sequence);
    this.#views.set(sequence, known);
    return known;
  }

  #read(sequence: number): FrameView {
    const paged = this.#paged(sequence);
    return this.#keep(sequence, paged ?? new WholeFrame(wordsOf(this.#journal.read(sequence))));
  }

  #keep(sequence: number, bytes: WholeFrame | PagedFrame): FrameView {
    const view = new FrameView(bytes, sequence, this.#shards, this.#journal.shard);
    this.#views.set(sequence, view);
    this.grew(bytes instanceof WholeFrame ? bytes.byteLength : VIEW_BYTES);
    return view;
  }

  #paged(sequence: number): PagedFrame | undefined {
    const sealed = this.sealedPlace(sequence);
    const wal = sealed === undefined ? this.#wal(sequence) : undefined;
    const inWal = wal?.place(sequence);
    const found = sealed ?? inWal;
    if (found === undefined || found.bytes < PAGED_BYTES_MIN) return undefined;
    return new PagedFrame(sequence, found, wal, this.#source);
  }

  /** A WAL that was closed here is not read: its file descriptor may be another file's. One that was cut off is too short. */
  // Hot path.
  #readPart(
    frame: PagedFrame,
    from: number,
    target: NodeJS.ArrayBufferView,
    to: PartOfTarget,
  ): boolean {
    const { sequence, wal } = frame;
    if (wal !== undefined) {
      const isOpen = this.#wals.get(segmentWith(this.#journal.firsts, sequence) ?? 0) === wal;
      if (isOpen && wal.read(frame.place, from, target, to)) return true;
      const sealed = this.sealedPlace(sequence);
      if (sealed === undefined) return false;
      // It has moved into the file, and stays there.
      frame.wal = undefined;
      frame.place = sealed;
    }
    if (frame.pages === undefined || frame.pages.isClosed) frame.pages = this.#sealed(sequence);
    return frame.pages?.read(frame.place, from, target, to) === true;
  }

  #readSection(frame: PagedFrame, from: number, bytes: number): Uint8Array | undefined {
    if (!this.#sections.wants(frame.sequence, bytes)) return undefined;
    const section = new Uint8Array(bytes);
    if (!this.#readPart(frame, from, section, { at: 0, bytes })) return undefined;
    this.#sections.keep(frame.sequence, section);
    return section;
  }

  #sealed(sequence: number): SegmentPages | undefined {
    const first = segmentWith(this.#journal.firsts, sequence);
    if (first === undefined) return undefined;
    const known = this.#pages.get(first);
    if (known !== undefined) return known.pages;
    if (!this.#journal.isSealed(first)) return undefined;
    if (this.#pages.size >= PAGES_OPEN_MAX) {
      const [eldest] = this.#pages.keys();
      this.#pages.get(eldest!)!.pages.close();
      this.#pages.delete(eldest!);
    }
    const isArchived = this.#journal.isArchived(first);
    const pages = this.#journal.pages(first);
    this.#pages.set(first, { pages, isArchived });
    return pages;
  }

  /** The WAL of the segment with a frame, while there is one. At most two are open: the live one, and one that is being sealed. */
  #wal(sequence: number): WalPages | undefined {
    const first = segmentWith(this.#journal.firsts, sequence);
    if (first === undefined) return undefined;
    const known = this.#wals.get(first);
    if (known !== undefined) {
      if (!known.isGone()) return known;
      known.close();
      this.#wals.delete(first);
    }
    const wal = this.#journal.walPages(first);
    if (wal === undefined) return undefined;
    this.#wals.set(first, wal);
    for (const [eldest, old] of this.#wals) {
      if (this.#wals.size <= WALS_OPEN_MAX) break;
      old.close();
      this.#wals.delete(eldest);
    }
    return wal;
  }
}

interface OpenPages {
  readonly pages: SegmentPages;
  readonly isArchived: boolean;
}

interface PartOfTarget {
  readonly at: number;
  readonly bytes: number;
}

/** One object for all reads. */
const part = { at: 0, bytes: 0 };

interface PagedSource {
  read(frame: PagedFrame, from: number, target: Uint32Array, to: PartOfTarget): boolean;
  /** Over SQLite, with its checksum. */
  readWhole(frame: PagedFrame): Uint32Array;
  section(frame: PagedFrame, from: number, bytes: number): Uint8Array | undefined;
  onWhole(frame: PagedFrame): void;
}

/** Reads what it is asked for, until it was asked so often that it reads everything. */
class PagedFrame implements FrameBytes {
  readonly sequence: number;
  place: FramePlace;
  /** Where the place is; undefined when that is the file of a sealed segment. */
  wal: WalPages | undefined;
  /** The file of the sealed segment, kept so as not to look for it with every read. Others close it. */
  pages: SegmentPages | undefined;
  readonly #source: PagedSource;
  #copies = 0;
  #words: Uint32Array | undefined;

  constructor(sequence: number, place: FramePlace, wal: WalPages | undefined, source: PagedSource) {
    this.sequence = sequence;
    this.place = place;
    this.wal = wal;
    this.#source = source;
  }

  get byteLength(): number {
    return this.place.bytes;
  }

  get isWhole(): boolean {
    return this.#words !== undefined;
  }

  /** Another frame was asked for in between. */
  beginRun(): void {
    this.#copies = 0;
  }

  // Hot path.
  copy(from: number, target: Uint32Array, at: number, count: number): void {
    if (this.#words === undefined && ++this.#copies > COPIES_MAX) this.#readWhole();
    const words = this.#words;
    if (words === undefined) {
      part.at = at * 4;
      part.bytes = count * 4;
      if (this.#source.read(this, from, target, part)) return;
      this.#readWhole();
      this.copy(from, target, at, count);
      return;
    }
    const word = from >> 2;
    assert(word + count <= words.length, 'the words are in the frame');
    for (let w = 0; w < count; w++) target[at + w] = words[word + w]!;
  }

  section(from: number, bytes: number): Uint8Array | undefined {
    return this.#words === undefined ? this.#source.section(this, from, bytes) : undefined;
  }

  /** Also when its WAL was cut off and its segment's file is not counted as sealed yet. */
  #readWhole(): void {
    const words = new Uint32Array(this.byteLength / 4);
    const isRead = this.#source.read(this, 0, words, { at: 0, bytes: this.byteLength });
    this.#words = isRead ? words : this.#source.readWhole(this);
    this.#source.onWhole(this);
  }
}

function sizeOf(bytes: FrameBytes): number {
  if (bytes instanceof WholeFrame) return bytes.byteLength;
  return bytes instanceof PagedFrame && bytes.isWhole ? bytes.byteLength + VIEW_BYTES : VIEW_BYTES;
}

/** The first sequence of the segment in whose range a sequence lies. */
export function segmentWith(firsts: readonly number[], sequence: number): number | undefined {
  let low = 0;
  let high = firsts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (firsts[middle]! <= sequence) low = middle + 1;
    else high = middle;
  }
  return firsts[low - 1];
}

/** The bytes of a frame as words; copied only where they do not lie on a word boundary. */
export function wordsOf(frame: Uint8Array): Uint32Array {
  if (frame.byteOffset % 4 !== 0) return wordsOf(frame.slice());
  return new Uint32Array(frame.buffer, frame.byteOffset, frame.byteLength >> 2);
}
