/**
 * The index of one segment: its blocks, and where its larger frames lie in the file. While the segment grows it is in memory; of a sealed
 * segment it is a file beside it, `segment-….index`, that can be deleted at any time and is made again.
 *
 * File, 32-bit words, little-endian: a header (see `Word`), the blocks, their filters, the places of frames; CRC-32 over all behind the
 * first four words. It is written under another name and renamed. Not synced: one that a power cut tore fails its checksum. It says the
 * checksum of the segment's last journal row, so that it cannot be taken for the index of another segment of that name.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { assert } from '../engine/assert.ts';
import { bigintOfUint64 } from '../engine/uint128.ts';
import type { FramePlace } from '../persistence/page-file.ts';
import {
  BLOCK_WORDS,
  BlockBuilder,
  type BlockFilter,
  blockMayHold,
  BlockWord,
  readNumber,
  writeNumber,
} from './block.ts';
import type { FrameInput } from './frame-input.ts';
import type { FrameRows } from './frame-rows.ts';
import { PAGED_BYTES_MIN } from './frame-store.ts';
import type { FrameView } from './frame-view.ts';
import type { Pause } from './pause.ts';
import { GrowingWords } from './value-set.ts';

const MAGIC = 0x58495953;
const VERSION = 2;
const HEADER_WORDS = 16;
const Word = {
  magic: 0,
  version: 1,
  crc: 2,
  first: 4,
  last: 6,
  lastChecksum: 8,
  blocks: 9,
  filterWords: 10,
  places: 11,
} as const;
/** {sequence 2, bytes, place of the local part 2, its bytes, place of the first overflow page 2}. */
const PLACE_WORDS = 8;

/** Some frames in a row that are looked at, or not, together. */
export interface BlockSpan {
  readonly first: number;
  readonly last: number;
  mayHold(filter: BlockFilter): boolean;
  readonly changeMin: bigint;
  readonly effectMin: bigint;
}

export interface SegmentIdentity {
  readonly first: number;
  readonly last: number;
  /** Of the journal row `last`. */
  readonly lastChecksum: number;
}

/** Bounds the filters of index files that are in memory; those that were used least recently are read again when needed. */
export class FilterMemory {
  readonly #bytesMax: number;
  readonly #used = new Set<SegmentIndex>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  used(index: SegmentIndex, bytes: number): void {
    if (!this.#used.delete(index)) this.#bytes += bytes;
    this.#used.add(index);
    for (const eldest of this.#used) {
      if (this.#bytes <= this.#bytesMax || eldest === index) return;
      this.#used.delete(eldest);
      this.#bytes -= eldest.forgetFilters();
    }
  }
}

export class SegmentIndex {
  readonly first: number;
  /** Set when the segment has ended, and its file is written. */
  #file: { readonly path: string; readonly identity: SegmentIdentity } | undefined;
  readonly #memory: FilterMemory;
  #heads = new GrowingWords();
  #filters: GrowingWords | undefined = new GrowingWords();
  readonly #builder: BlockBuilder;
  /** Those that are worth reading in parts; known when the index was made from the segment itself. */
  readonly largeFrames: number[] = [];

  /** The index of a segment of which nothing is read yet. */
  constructor(first: number, rows: FrameRows, memory: FilterMemory) {
    this.first = first;
    this.#memory = memory;
    this.#builder = new BlockBuilder(rows);
  }

  get isWritten(): boolean {
    return this.#file !== undefined;
  }

  /** The last frame that was looked at. */
  get last(): number {
    if (!this.#builder.isEmpty) return this.#builder.last;
    const blocks = this.#blocks;
    return blocks === 0
      ? this.first - 1
      : readNumber(this.#heads.words, (blocks - 1) * BLOCK_WORDS + BlockWord.last);
  }

  get #blocks(): number {
    return this.#heads.length / BLOCK_WORDS;
  }

  /** In steps, see `BlockBuilder`. */
  *add(sequence: number, words: Uint32Array): Generator<Pause, void> {
    assert(sequence === this.last + 1, 'frames are looked at one after the other');
    yield* this.#builder.add(sequence, words);
    if (words.byteLength >= PAGED_BYTES_MIN) this.largeFrames.push(sequence);
    if (this.#builder.isFull) this.finish();
  }

  /** The same of a large frame that has plain runs only, see `BlockBuilder`. */
  addPlain(sequence: number, view: FrameView, inputs: readonly FrameInput[], shards: number): void {
    assert(sequence === this.last + 1, 'frames are looked at one after the other');
    this.#builder.addPlain(sequence, view, inputs, shards);
    this.largeFrames.push(sequence);
    if (this.#builder.isFull) this.finish();
  }

  /** Makes a block of what is not one yet. */
  finish(): void {
    if (!this.#builder.isEmpty) this.#builder.finish(this.#heads, this.#filters!);
  }

  /** The block with a frame, or the frames that are no block yet. */
  span(sequence: number): BlockSpan {
    assert(sequence >= this.first && sequence <= this.last, 'the frame was looked at');
    const heads = this.#heads;
    let low = 0;
    let high = this.#blocks;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (readNumber(heads.words, middle * BLOCK_WORDS + BlockWord.last) < sequence)
        low = middle + 1;
      else high = middle;
    }
    if (low === this.#blocks) return this.#openSpan();
    const at = low * BLOCK_WORDS;
    const { words } = heads;
    return {
      first: readNumber(words, at + BlockWord.first),
      last: readNumber(words, at + BlockWord.last),
      mayHold: (filter) => blockMayHold(words, at, () => this.#loadFilters(), filter),
      changeMin: bigintOfUint64(words, at + BlockWord.changeMin),
      effectMin: bigintOfUint64(words, at + BlockWord.effectMin),
    };
  }

  #openSpan(): BlockSpan {
    const { first, last, changeMin, effectMin } = this.#builder;
    return { first, last, mayHold: () => true, changeMin, effectMin };
  }

  /** Writes the file. The segment is sealed, and all of it was looked at. */
  write(path: string, identity: SegmentIdentity, places: ReadonlyMap<number, FramePlace>): void {
    this.finish();
    assert(this.last === identity.last, 'the whole segment is in its index');
    const filters = this.#filters!.used();
    const heads = this.#heads.used();
    const length = HEADER_WORDS + heads.length + filters.length + places.size * PLACE_WORDS;
    const words = new Uint32Array(length);
    words[Word.magic] = MAGIC;
    words[Word.version] = VERSION;
    writeNumber(words, Word.first, identity.first);
    writeNumber(words, Word.last, identity.last);
    words[Word.lastChecksum] = identity.lastChecksum;
    words[Word.blocks] = heads.length / BLOCK_WORDS;
    words[Word.filterWords] = filters.length;
    words[Word.places] = places.size;
    words.set(heads, HEADER_WORDS);
    words.set(filters, HEADER_WORDS + heads.length);
    let at = HEADER_WORDS + heads.length + filters.length;
    for (const [sequence, place] of places) {
      writeNumber(words, at, sequence);
      words[at + 2] = place.bytes;
      writeNumber(words, at + 3, place.localAt);
      words[at + 5] = place.localBytes;
      writeNumber(words, at + 6, place.overflowAt);
      at += PLACE_WORDS;
    }
    words[Word.crc] = crcOf(words);
    const unfinished = `${path}-unfinished`;
    writeFileSync(unfinished, words);
    renameSync(unfinished, path);
    this.#file = { path, identity };
    this.#memory.used(this, filters.byteLength);
  }

  /** Undefined when there is no such file, or not one of this segment and version. `onPlace` gets the places of its frames. */
  static load(
    path: string,
    identity: SegmentIdentity,
    { rows, memory, onPlace }: SegmentIndexLoad,
  ): SegmentIndex | undefined {
    const words = readIndex(path, identity);
    if (words === undefined) return undefined;
    const index = new SegmentIndex(identity.first, rows, memory);
    const headWords = words[Word.blocks]! * BLOCK_WORDS;
    index.#heads.extend(headWords);
    index.#heads.words.set(words.subarray(HEADER_WORDS, HEADER_WORDS + headWords));
    index.#filters = filtersIn(words);
    index.#file = { path, identity };
    memory.used(index, index.#filters.length * 4);
    let at = HEADER_WORDS + headWords + words[Word.filterWords]!;
    for (let i = 0; i < words[Word.places]!; i++, at += PLACE_WORDS) {
      onPlace(readNumber(words, at), {
        bytes: words[at + 2]!,
        localAt: readNumber(words, at + 3),
        localBytes: words[at + 5]!,
        overflowAt: readNumber(words, at + 6),
      });
    }
    return index;
  }

  forgetFilters(): number {
    assert(this.isWritten, 'filters that are in no file are not forgotten');
    const bytes = (this.#filters?.length ?? 0) * 4;
    this.#filters = undefined;
    return bytes;
  }

  /** Undefined when the file is gone: blocks are then told apart by their least and greatest values only. */
  #loadFilters(): Uint32Array | undefined {
    if (this.#filters === undefined) {
      const { path, identity } = this.#file!;
      const words = readIndex(path, identity);
      if (words === undefined) return undefined;
      this.#filters = filtersIn(words);
    }
    if (this.isWritten) this.#memory.used(this, this.#filters.length * 4);
    return this.#filters.words;
  }
}

export interface SegmentIndexLoad {
  readonly rows: FrameRows;
  readonly memory: FilterMemory;
  readonly onPlace: (sequence: number, place: FramePlace) => void;
}

function readIndex(path: string, identity: SegmentIdentity): Uint32Array<ArrayBuffer> | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (bytes.byteLength < HEADER_WORDS * 4 || bytes.byteLength % 4 !== 0) return undefined;
  const words = new Uint32Array(bytes.byteLength / 4);
  new Uint8Array(words.buffer).set(bytes);
  const length =
    HEADER_WORDS +
    words[Word.blocks]! * BLOCK_WORDS +
    words[Word.filterWords]! +
    words[Word.places]! * PLACE_WORDS;
  const isOurs =
    words[Word.magic] === MAGIC &&
    words[Word.version] === VERSION &&
    words.length === length &&
    readNumber(words, Word.first) === identity.first &&
    readNumber(words, Word.last) === identity.last &&
    words[Word.lastChecksum] === identity.lastChecksum &&
    words[Word.crc] === crcOf(words);
  return isOurs ? words : undefined;
}

function filtersIn(words: Uint32Array<ArrayBuffer>): GrowingWords {
  const from = HEADER_WORDS + words[Word.blocks]! * BLOCK_WORDS;
  const filters = new GrowingWords();
  filters.words = words.slice(from, from + words[Word.filterWords]!);
  filters.length = filters.words.length;
  return filters;
}

function crcOf(words: Uint32Array): number {
  return crc32(
    new Uint8Array(
      words.buffer,
      words.byteOffset + Word.first * 4,
      words.byteLength - Word.first * 4,
    ),
  );
}
