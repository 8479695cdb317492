/**
 * Reads the journal of one shard over all its segments, in any thread, while another one may be writing it. Owns read-only connections to
 * at most SEGMENTS_OPEN_MAX segments. Nothing that it returns is unchecked: format, identity, density, and the chain of checksums.
 *
 * I1 Segments follow each other: the first begins with sequence 1, or after what was archived, and each with the sequence and checksum after the last row
 *    of the one before. Only the last one may lack its `meta` row; it counts as absent then, since its writer has not come round to it.
 * I2 The first ones may have been moved to an archive, as archived-segments.ts says. A segment is looked for here first, then there; one that
 *    is nowhere throws SEGMENT_ARCHIVED, and may be there the next time. So is one of a view that was moved since.
 */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../engine/assert.ts';
import { archiveDirectory, ArchivedSegments } from './archived-segments.ts';
import { chainStart, type JournalIdentity, rowChecksum } from './checksum-chain.ts';
import {
  journalCorrupt,
  type JournalError,
  journalFileMissing,
  SegmentArchivedError,
} from './errors.ts';
import { openImmutable } from './immutable-file.ts';
import type { ViewedSegment } from './journal-view.ts';
import type { JournalRow } from './journal.ts';
import { FrameMemory, SegmentPages } from './segment-pages.ts';
import { SegmentReader } from './segment-reader.ts';
import { segmentName, segmentsIn } from './segment.ts';
import { WalPages } from './wal-pages.ts';

/** So many are read at once by who reads all rows: small ones to ask SQLite less often, large ones one by one, while they are in the cache. */
const ROWS_AHEAD_MAX = 16;
const BYTES_AHEAD = 512 << 10;
/** Behind a row of so many bytes the next one is expected to be as large, and is lent. */
const LENT_BYTES_MIN = 16 << 10;
/** Each open segment costs three file descriptors and a page cache. */
const SEGMENTS_OPEN_MAX = 8;

export interface JournalReaderOptions extends JournalIdentity {
  readonly directory: string;
  /** Reads these segments, and looks for no others: the directory as it was at one moment (journal-view.ts). */
  readonly view?: readonly ViewedSegment[] | undefined;
  /** Frames that `rows` gives are valid only until the next row is asked for: for those who go through a journal once, and are done with each by then. */
  readonly lendsFrames?: boolean;
}

export class JournalReader implements Disposable {
  readonly #options: JournalReaderOptions;
  /** First sequences, ascending. */
  #firsts: readonly number[] = [];
  /** The first one that is in this directory; what comes before it is in the archive (I2). */
  #firstHere = 1;
  #archived: ArchivedSegments | undefined;
  /** By first sequence, the least recently used one first. */
  readonly #open = new Map<number, SegmentReader>();
  /** By path, where the journal's rows begin in sealed segments that SQLite has opened once: to open one takes it 2 ms. */
  readonly #rootPages = new Map<string, number>();

  private constructor(options: JournalReaderOptions) {
    this.#options = options;
  }

  static open(options: JournalReaderOptions): JournalReader {
    const reader = new JournalReader(options);
    try {
      reader.refresh();
      return reader;
    } catch (error: unknown) {
      reader.close();
      throw error;
    }
  }

  /** The last durable sequence at this moment, 0 when there is none. */
  lastSequence(): number {
    this.refresh();
    const last = this.#firsts.at(-1);
    return last === undefined ? 0 : this.#segment(last).lastSequence();
  }

  /** The frame of one durable row, checked. It is the caller's. */
  read(sequence: number): Uint8Array {
    const segment = this.#segmentWith(sequence);
    const row = segment?.row(sequence);
    if (segment === undefined || row === undefined) throw this.#missing(sequence);
    this.#check(segment, row, this.#checksumBefore(segment, sequence));
    return row.frame;
  }

  /** All rows from `first` to `last`, or up to the last one that is durable when it is asked for. */
  *rows(first: number, last = Number.MAX_SAFE_INTEGER): Generator<JournalRow, void, undefined> {
    assert(Number.isSafeInteger(first) && first >= 1, 'sequences start at 1');
    const memory = this.#options.lendsFrames === true ? new FrameMemory() : undefined;
    let before: number | undefined;
    let sequence = first;
    let count = 1;
    let isLarge = false;
    while (sequence <= last) {
      const segment = this.#segmentWith(sequence);
      if (isLarge && before !== undefined && segment?.isSealed === true) {
        const large = segment.lendLarge(sequence, before, memory!);
        if (large !== undefined) {
          before = large.checksum;
          yield large;
          sequence++;
          continue;
        }
      }
      const rows = segment?.rowsFrom(sequence, Math.min(count, last - sequence + 1)) ?? [];
      if (segment === undefined || rows.length === 0) {
        if (sequence > this.lastSequence()) return;
        throw this.#missing(sequence);
      }
      if (before === undefined || sequence === segment.firstSequence) {
        const said = this.#checksumBefore(segment, sequence);
        if (before !== undefined && before !== said) throw brokenChain(segment, sequence);
        before = said;
      }
      isLarge = memory !== undefined && rows.at(-1)!.frame.byteLength >= LENT_BYTES_MIN;
      count = isLarge && segment.isSealed ? 1 : rowsAhead(rows);
      for (const row of rows) {
        if (row.sequence !== sequence) throw this.#missing(sequence);
        this.#check(segment, row, before);
        before = row.checksum;
        yield row;
        sequence++;
      }
    }
  }

  /** The checksum of a durable row, or what the first row follows for 0. Not checked itself. */
  checksum(sequence: number): number {
    if (sequence === 0) return chainStart(this.#options);
    if (sequence < this.#firstHere) {
      const archived = this.#archived?.segments.find(({ last }) => last === sequence);
      if (archived !== undefined) return archived.lastChecksum;
    }
    const first = this.#firsts[0];
    if (first === sequence + 1) return this.#segment(first).previousChecksum;
    const checksum = this.#segmentWith(sequence)?.checksum(sequence);
    if (checksum === undefined) throw this.#missing(sequence);
    return checksum;
  }

  /** The timestamp of a durable row, not checked; 0 for sequence 0. */
  timestamp(sequence: number): bigint {
    if (sequence === 0) return 0n;
    const timestamp = this.#segmentWith(sequence)?.timestamp(sequence);
    if (timestamp === undefined) throw this.#missing(sequence);
    return timestamp;
  }

  /** The first row that is here, or would be; 1 unless what was before it has been archived. */
  get firstSequence(): number {
    return this.#firsts[0] ?? 1;
  }

  /** First sequences of the segments that were seen, ascending. All but the last one are full, and get no more rows. */
  get firsts(): readonly number[] {
    return this.#firsts;
  }

  get identity(): JournalIdentity {
    return this.#options;
  }

  get shard(): number {
    return this.#options.shard;
  }

  /** Where this shard's files are, those of the archive aside. */
  get directory(): string {
    return this.#options.directory;
  }

  /** The path of a segment, whether it is there or not. */
  path(first: number): string {
    return join(this.#place(first), segmentName(first));
  }

  /** What was moved to the archive; undefined when nothing was. */
  get archived(): ArchivedSegments | undefined {
    return this.#archived;
  }

  /** Whether a segment was moved to the archive. */
  isArchived(first: number): boolean {
    return first < this.#firstHere;
  }

  /**
   * Whether nobody will write this file any more: its writer has gone on to a later segment, which has its `meta`, and the WAL was moved into
   * the file. An empty WAL of a segment that is not the last stays empty.
   */
  isSealed(first: number): boolean {
    const at = this.#firsts.indexOf(first);
    if (at < 0 || at === this.#firsts.length - 1) return false;
    const wal = statSync(`${this.path(first)}-wal`, { throwIfNoEntry: false });
    return wal === undefined || wal.size === 0;
  }

  /** Reads parts of the frames of a sealed segment. The caller closes it. */
  pages(first: number): SegmentPages {
    assert(this.isSealed(first), 'only the file of a sealed segment is read around SQLite');
    if (this.isArchived(first)) this.#expectArchived(first);
    const path = this.path(first);
    let rootPage = this.#rootPages.get(path);
    if (rootPage === undefined) {
      rootPage = this.#segment(first).rootPage();
      this.#rootPages.set(path, rootPage);
    }
    return SegmentPages.open(path, rootPage);
  }

  /** Reads parts of the frames of a segment that is not sealed, while its WAL lasts. The caller closes it. */
  walPages(first: number): WalPages | undefined {
    return WalPages.open(this.path(first), first);
  }

  /** Checks that every segment follows the one before it (I1). A snapshot does not stand for rows that are gone: it has no history. */
  checkSegments(): void {
    this.refresh();
    let before = this.#lastMoved();
    for (const first of this.#firsts) {
      if (this.isArchived(first)) continue;
      const segment = this.#segment(first);
      this.#expectFollows(segment, before);
      const sequence = segment.lastSequence();
      const isEmpty = sequence < first;
      before = {
        sequence,
        checksum: isEmpty ? segment.previousChecksum : this.checksum(sequence),
      };
    }
  }

  /** Checks that nothing is missing before the first segment here but what was moved to the archive. */
  checkBeginning(): void {
    this.refresh();
    const first = this.#firsts.find((one) => !this.isArchived(one));
    if (first !== undefined) this.#expectFollows(this.#segment(first), this.#lastMoved());
  }

  #expectFollows(segment: SegmentReader, { sequence, checksum }: RowBefore): void {
    const { firstSequence: first } = segment;
    if (first !== sequence + 1) throw this.rowsMissing(sequence + 1, first - 1);
    if (segment.previousChecksum !== checksum) throw brokenChain(segment, first);
  }

  /**
   * Damage: no file has these rows, though one behind them is there. Whether they were in a file of their own, or at the end of the one before, does
   * not show; what is looked for first is the file. `sequence` is the row that was asked for.
   */
  rowsMissing(from: number, to: number, sequence = from): JournalError {
    const file = segmentName(from);
    const before = this.#firsts[lastAtMost(this.#firsts, from - 1)];
    const end =
      before === undefined || this.isArchived(before)
        ? ''
        : `, and ${segmentName(before)} ends with row ${from - 1}`;
    const rule = `the rows ${from} to ${to} are missing: no file has them; ${file} is not there${end}`;
    return journalFileMissing({ file, sequence, shard: this.shard }, rule);
  }

  /** What the first segment here follows. */
  #lastMoved(): RowBefore {
    const moved = this.#archived?.segments.findLast(({ first }) => this.isArchived(first));
    if (moved === undefined) return { sequence: 0, checksum: chainStart(this.#options) };
    return { sequence: moved.last, checksum: moved.lastChecksum };
  }

  /** Sees segments that came since, and that were moved. */
  refresh(): void {
    const { directory, view } = this.#options;
    const here = view?.map(({ first }) => first) ?? segmentsIn(directory);
    this.#seeMoved(here[0]);
    const last = here.at(-1);
    if (last !== undefined && this.#tryOpen(last) === undefined) here.pop();
    const moved = this.#archived?.segments.filter(({ first }) => this.isArchived(first)) ?? [];
    this.#firsts = moved.length === 0 ? here : [...moved.map(({ first }) => first), ...here];
  }

  /** The list is written before a segment is dropped, and so it is read after that was seen. Connections to what was moved are closed. */
  #seeMoved(firstHere: number | undefined): void {
    if (firstHere === this.#firstHere) return;
    this.#archived = ArchivedSegments.read(this.#options.directory, this.#options);
    this.#firstHere = firstHere ?? (this.#archived?.last ?? 0) + 1;
    for (const [first, segment] of this.#open) {
      if (!this.isArchived(first)) continue;
      segment.close();
      this.#open.delete(first);
    }
  }

  #place(first: number): string {
    if (this.#archived === undefined || !this.isArchived(first)) return this.#options.directory;
    return archiveDirectory(this.#archived.archive, this.#options);
  }

  #expectArchived(first: number): void {
    if (!existsSync(this.path(first))) throw this.#isAway(first);
  }

  #isAway(first: number): SegmentArchivedError {
    return new SegmentArchivedError(
      first,
      join(archiveDirectory('', this.#options), segmentName(first)),
    );
  }

  /** Closes the connection to a segment, so that its writer is the last to close it and no side files stay. It is opened again if asked for. */
  release(file: string): void {
    for (const [first, segment] of this.#open) {
      if (segment.file !== file) continue;
      segment.close();
      this.#open.delete(first);
    }
  }

  /** Whether a finished segment of this first sequence was seen. */
  hasSegment(first: number): boolean {
    return this.#firsts.includes(first);
  }

  close(): void {
    for (const segment of this.#open.values()) segment.close();
    this.#open.clear();
    this.#firsts = [];
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The segment in whose range the sequence lies, looking for new ones when it may be in one of those. */
  #segmentWith(sequence: number): SegmentReader | undefined {
    let at = lastAtMost(this.#firsts, sequence);
    if (at === this.#firsts.length - 1) {
      const known = at < 0 ? undefined : this.#segment(this.#firsts[at]!);
      if (known !== undefined && sequence <= known.lastSequence()) return known;
      this.refresh();
      at = lastAtMost(this.#firsts, sequence);
    }
    return at < 0 ? undefined : this.#segment(this.#firsts[at]!);
  }

  #segment(first: number): SegmentReader {
    const segment = this.#tryOpen(first);
    if (segment !== undefined) return segment;
    throw journalCorrupt(
      { file: segmentName(first), sequence: first, shard: this.shard },
      'the segment does not say whose it is, and is not the last one',
    );
  }

  #tryOpen(first: number): SegmentReader | undefined {
    let segment = this.#open.get(first);
    if (segment === undefined) {
      segment = this.#openSegment(first);
      if (segment === undefined) return undefined;
      this.#closeEldest();
    } else {
      this.#open.delete(first);
    }
    this.#open.set(first, segment);
    return segment;
  }

  #openSegment(first: number): SegmentReader | undefined {
    if (this.isArchived(first)) this.#expectArchived(first);
    const viewed = this.#options.view?.find((one) => one.first === first);
    if (viewed !== undefined) return this.#openViewed(viewed);
    try {
      // One that nobody writes any more: SQLite would put an index of its empty WAL beside it, which takes longer than all else here.
      const open = this.isSealed(first) ? openImmutable : undefined;
      return SegmentReader.open(this.path(first), first, this.#options, open);
    } catch (error: unknown) {
      if (this.isArchived(first) || existsSync(this.path(first))) throw error;
      // It was moved a moment ago.
      this.refresh();
      if (!this.isArchived(first)) throw error;
      return this.#openSegment(first);
    }
  }

  #openViewed(viewed: ViewedSegment): SegmentReader | undefined {
    const { first, path, isInPlace } = viewed;
    const open = isInPlace ? openImmutable : undefined;
    try {
      return SegmentReader.open(path, first, this.#options, open);
    } catch (error: unknown) {
      if (!isInPlace || existsSync(path)) throw error;
      return SegmentReader.open(this.#pathSince(viewed), first, this.#options, open);
    }
  }

  /** Where a segment is that is not where it was viewed: the archive has it before it is dropped. */
  #pathSince({ first, movesTo }: ViewedSegment): string {
    const list = ArchivedSegments.read(this.#options.directory, this.#options);
    const isListed = list?.segments.some((one) => one.first === first) === true;
    const places = movesTo === undefined ? [] : [movesTo];
    if (isListed) {
      places.push(join(archiveDirectory(list.archive, this.#options), segmentName(first)));
    }
    const found = places.find((place) => existsSync(place));
    if (found !== undefined) return found;
    if (isListed) throw this.#isAway(first);
    throw journalCorrupt(
      { file: segmentName(first), sequence: first, shard: this.shard },
      'the segment was there a moment ago, is gone, and archived.json does not list it',
    );
  }

  #closeEldest(): void {
    if (this.#open.size < SEGMENTS_OPEN_MAX) return;
    const [eldest] = this.#open.keys();
    this.#open.get(eldest!)!.close();
    this.#open.delete(eldest!);
  }

  #checksumBefore(segment: SegmentReader, sequence: number): number {
    if (sequence === segment.firstSequence) {
      const said = segment.previousChecksum;
      // A view may begin in the middle of a journal; what the rows before it were is not to be seen then.
      const isEldest = this.#options.view !== undefined && sequence === this.#firsts[0];
      if (isEldest && sequence > 1) return said;
      if (said !== this.checksum(sequence - 1)) throw brokenChain(segment, sequence);
      return said;
    }
    const checksum = segment.checksum(sequence - 1);
    if (checksum === undefined) throw this.#missing(sequence - 1);
    return checksum;
  }

  #check(segment: SegmentReader, row: JournalRow & { checksum: number }, before: number): void {
    if (rowChecksum(before, row) === row.checksum) return;
    throw segment.corrupt(row.sequence, 'the row does not match its checksum');
  }

  #missing(sequence: number): Error {
    const at = lastAtMost(this.#firsts, sequence);
    const first = this.#firsts[at];
    const next = this.#firsts[at + 1];
    const { view, directory } = this.#options;
    if (view !== undefined) {
      // Of an archive that is named, a view has what is there.
      const list = ArchivedSegments.read(directory, this.#options)?.segments ?? [];
      const listed = list.findLast((one) => one.first <= sequence && sequence <= one.last);
      if (listed !== undefined && !this.#firsts.includes(listed.first)) {
        return this.#isAway(listed.first);
      }
    }
    if (next !== undefined) {
      const last = first === undefined ? 0 : this.#segment(first).lastSequence();
      // A number in it that is damaged may be smaller than any of its own.
      if (last < sequence && last >= (first ?? 1) - 1) {
        return this.rowsMissing(last + 1, next - 1, sequence);
      }
    }
    const file = segmentName(first ?? 1);
    return journalCorrupt({ file, sequence, shard: this.shard }, 'the row is missing');
  }
}

interface RowBefore {
  readonly sequence: number;
  readonly checksum: number;
}

function brokenChain(segment: SegmentReader, sequence: number): Error {
  return segment.corrupt(sequence, 'the segment does not follow the last row of the one before it');
}

/** How many rows like these are worth reading at once. */
function rowsAhead(rows: readonly JournalRow[]): number {
  const bytes = rows.reduce((sum, { frame }) => sum + frame.byteLength, 0);
  const wanted = Math.floor((BYTES_AHEAD * rows.length) / Math.max(bytes, 1));
  return Math.min(Math.max(wanted, 1), ROWS_AHEAD_MAX);
}

/** Index of the last element that is at most `value`, or -1. */
function lastAtMost(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
