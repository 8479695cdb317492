/**
 * What a snapshot needs of the past: a log of before-images. A snapshot is read by another thread while its shard goes on, so from the moment
 * it begins, whoever changes a row, a slot, or an entry for the first time writes its old words here before. The reader copies the tables as they
 * are, torn or not, and lays the old words over its copy: what was changed is put back, and what was not changed was read whole.
 *
 * Of a slot that was empty the old words are known. It has a bit instead (`slotBits`), which the reader may read at any time after: however late it
 * is seen, the slot was empty when the image began. That is most of what changes: a shard fills slots, and seldom changes one, but when a bucket splits.
 *
 * The log is pages of shared memory. An entry is {table << 29 | chunk, word offset in the chunk, one for the reader's own use} and the old words,
 * as many as its table has in a row. Of an account it has only the words that ever change and are not 0, few of 19: in place of the offset there are
 * its row in the chunk and a bit for each (`changingWord`). An entry of slots has their number in place of the offset, and each slot its own offset in
 * front: those that follow each other in the same chunk share an entry until the log is published. No entry crosses a page; what is left of one begins
 * with END. What was made after the beginning does not belong to the image, and what the reader has behind it (`pass`) is not saved any more.
 */
import { assert } from './assert.ts';

export const ImageTable = { accounts: 0, slots: 1, pendings: 2, users: 3 } as const;
export type ImageTable = (typeof ImageTable)[keyof typeof ImageTable];

/** Words of a row, or whatever each table has. */
export const IMAGE_TABLE_WORDS = [32, 6, 18, 8] as const;
export const IMAGE_BUCKET_SLOTS = 2048;
/** Words of an account that change: its balances; its code and flags, and its head. */
const BALANCES = 4;
const BALANCES_END = 20;
const FLAGS_AND_HEAD = 29;
const FLAGS_AND_HEAD_END = 32;
export const CHANGING_WORDS = BALANCES_END - BALANCES + FLAGS_AND_HEAD_END - FLAGS_AND_HEAD;
/** Words that the log has of each of them, its offset in an entry of slots included; of an account at most. */
export const IMAGE_SAVED_WORDS = [CHANGING_WORDS, 1 + 6, 18, 8] as const;
/** How many of them a chunk has, as a shift: 8,192 accounts, the slots of 64 buckets, 4,096 entries. */
export const IMAGE_CHUNK_SHIFTS = [13, 17, 12, 12] as const;

/** Where the bits of an account's words begin. */
export const ACCOUNT_MASK_SHIFT = IMAGE_CHUNK_SHIFTS[0];

/** Which word of a row the n-th of those that change is. */
export function changingWord(n: number): number {
  const balances = BALANCES_END - BALANCES;
  return n < balances ? BALANCES + n : FLAGS_AND_HEAD + n - balances;
}

/** What the two bits of a slot say; neither: it is as it was. */
const SLOT_SAVED = 1;
export const SLOT_FILLED = 2;

export const IMAGE_PAGE_WORDS = 1 << 18;
export const IMAGE_ENTRY_WORDS = 3;
export const IMAGE_TABLE_SHIFT = 29;
export const IMAGE_PAGE_END = 0xffffffff;

/** A state is the directory of the buckets, at most two words of each and one, and what is in flight: usually little. */
const STATE_WORDS = 1 << 16;
const STATE_WORDS_OF_BUCKET = 3;
/** 64 MiB: 1.8 million accounts as most are. */
const SPARE_PAGES_MAX = 64;
const SLOT_WORDS = IMAGE_TABLE_WORDS[ImageTable.slots];
const SLOT_SAVED_WORDS = IMAGE_SAVED_WORDS[ImageTable.slots];
const SLOT_CHUNK_SHIFT = IMAGE_CHUNK_SHIFTS[ImageTable.slots];
/** Both sums posted, of 64 bits, and nothing pending; code and head. */
const ACCOUNT_ENTRY_WORDS = IMAGE_ENTRY_WORDS + 4 + 2;

/** What each table has when an image begins. */
export interface ImageSizes {
  readonly rows: number;
  readonly buckets: number;
  readonly pendings: number;
  readonly users: number;
}

/** Pages of a log that has every account as most are, or as many as are kept. */
export function logPagesOf({ rows }: Pick<ImageSizes, 'rows'>): number {
  return Math.min(Math.ceil((rows * ACCOUNT_ENTRY_WORDS) / IMAGE_PAGE_WORDS), SPARE_PAGES_MAX);
}

/**
 * A page of the log, of memory that was written to. To do so costs more than all that is written later, and whoever writes snapshots has the time
 * for it.
 */
export function freshPage(): Uint32Array<SharedArrayBuffer> {
  return new Uint32Array(new SharedArrayBuffer(IMAGE_PAGE_WORDS * 4)).fill(0);
}

/** What an image needs at its beginning; used where it is large enough. */
export interface ImageMemory {
  readonly marks: SharedArrayBuffer;
  /** For the words of its state. */
  readonly state: SharedArrayBuffer;
}

/** The same of memory for so much, and a quarter more: what is made until the image begins. */
export function freshMemory(sizes: ImageSizes): ImageMemory {
  const stateWords = STATE_WORDS + sizes.buckets * STATE_WORDS_OF_BUCKET;
  return { marks: fresh(marksBytes(sizes) * 1.25), state: fresh(stateWords * 4 * 1.25) };
}

function fresh(bytes: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(Math.ceil(bytes / 4) * 4);
  new Uint8Array(buffer).fill(0);
  return buffer;
}

/** Two bits for each slot, then one for each of the other tables. */
function marksBytes({ rows, buckets, pendings, users }: ImageSizes): number {
  return (
    (buckets * IMAGE_BUCKET_SLOTS) / 4 + bitsBytes(rows) + bitsBytes(pendings) + bitsBytes(users)
  );
}

function bitsBytes(count: number): number {
  return Math.ceil(count / 8);
}

export class BeforeImages {
  /** Whether a snapshot is under way. Tables ask this first. */
  isActive = false;
  /** What there is of the log, in order. */
  readonly pages: Uint32Array[] = [];
  #page: Uint32Array = new Uint32Array(0);
  #at = 0;
  /** Pages of the log before, and those that were made for it. */
  readonly #spare: Uint32Array[] = [];
  /** By table: how many there were at the beginning. */
  readonly #limits = [0, 0, 0, 0];
  /** By table: how many of them, from the first one on, the reader has behind it. */
  readonly #passed = [0, 0, 0, 0];
  /** By table: which of them are saved. Those of slots are in `slotBits`. */
  readonly #saved: Uint8Array[] = Object.values(ImageTable).map(() => new Uint8Array(0));
  /** Two bits for each slot of the image, SLOT_SAVED or SLOT_FILLED once it has changed. Shared memory. */
  slotBits: Uint32Array = new Uint32Array(0);
  /** The entry of slots that was written last, where it ends, and its chunk; more slots may follow while the log ends there too. */
  #slots = 0;
  #slotsEnd = -1;
  #slotsChunk = 0;

  /** `marks`: see `freshMemory`. */
  begin(sizes: ImageSizes, marks?: SharedArrayBuffer): void {
    assert(!this.isActive, 'one snapshot at a time');
    this.isActive = true;
    this.#passed.fill(0);
    this.pages.length = 0;
    this.#nextPage();
    const needed = marksBytes(sizes);
    const isEnough = marks !== undefined && marks.byteLength >= needed;
    this.#mark(sizes, isEnough ? marks : new SharedArrayBuffer(needed));
  }

  #mark({ rows, buckets, pendings, users }: ImageSizes, marks: SharedArrayBuffer): void {
    const slots = buckets * IMAGE_BUCKET_SLOTS;
    this.slotBits = new Uint32Array(marks, 0, slots / 16);
    let at = slots / 4;
    for (const [table, limit] of [rows, slots, pendings, users].entries()) {
      this.#limits[table] = limit;
      if (table === ImageTable.slots) continue;
      this.#saved[table] = new Uint8Array(marks, at, bitsBytes(limit));
      at += bitsBytes(limit);
    }
  }

  /** `isRead`: nobody will look at the log any more, and its pages may be written over. */
  end(isRead: boolean): void {
    assert(this.isActive, 'a snapshot is under way');
    this.isActive = false;
    if (isRead) this.#spare.push(...this.pages.slice(0, SPARE_PAGES_MAX - this.#spare.length));
    this.pages.length = 0;
    this.#page = new Uint32Array(0);
    this.#at = 0;
    this.#mark({ rows: 0, buckets: 0, pendings: 0, users: 0 }, new SharedArrayBuffer(0));
  }

  /** The reader has the first `count` of a table, with all that was logged of them: nobody needs what they were. */
  pass(table: ImageTable, count: number): void {
    this.#passed[table] = count;
  }

  get spare(): number {
    return this.#spare.length;
  }

  /** A page that was made elsewhere, see `freshPage`. */
  supply(page: Uint32Array): void {
    assert(page.length === IMAGE_PAGE_WORDS, 'a page of the log');
    if (this.#spare.length < SPARE_PAGES_MAX) this.#spare.push(page);
  }

  /** Words in the log so far, ends of pages included. */
  get length(): number {
    return (this.pages.length - 1) * IMAGE_PAGE_WORDS + this.#at;
  }

  /** The same, for the reader: what is there now is not written to any more. */
  publish(): number {
    this.#slotsEnd = -1;
    return this.length;
  }

  /** Whether the image has it as it still is, and nobody has read it yet; marks it as changed: whoever asks saves it. Not for slots. */
  // Hot path.
  takes(table: ImageTable, index: number): boolean {
    if (index < this.#passed[table]! || index >= this.#limits[table]!) return false;
    const saved = this.#saved[table]!;
    const bit = 1 << (index & 7);
    if ((saved[index >>> 3]! & bit) !== 0) return false;
    saved[index >>> 3]! |= bit;
    return true;
  }

  /** Keeps an entry, or whatever the table has by that number: the words of the source from there on. */
  // Hot path.
  save(table: ImageTable, index: number, source: Uint32Array): void {
    const count = IMAGE_TABLE_WORDS[table];
    assert(table >= ImageTable.pendings, 'accounts and slots are kept in ways of their own');
    const from = index * count;
    const to = this.#entry(table, index);
    const page = this.#page;
    for (let w = 0; w < count; w++) page[to + w] = source[from + w]!;
  }

  /** As `takes`, for a slot. Of one that is empty there is nothing to save. */
  // Hot path.
  takesSlot(slot: number, isEmpty: boolean): boolean {
    if (slot < this.#passed[ImageTable.slots]! || slot >= this.#limits[ImageTable.slots]!) {
      return false;
    }
    const bits = this.slotBits[slot >>> 4]!;
    const shift = (slot & 15) * 2;
    if (((bits >>> shift) & (SLOT_SAVED | SLOT_FILLED)) !== 0) return false;
    this.slotBits[slot >>> 4] = bits | ((isEmpty ? SLOT_FILLED : SLOT_SAVED) << shift);
    return !isEmpty;
  }

  /** Reads the bits of the first `n` slots of a list, for the cache's sake only; see `AccountTable.touchAll`. What it says means nothing. */
  // Hot path.
  touchSlots(slots: Int32Array, n: number): number {
    const bits = this.slotBits;
    let touched = 0;
    for (let i = 0; i < n; i++) {
      const word = slots[i]! >>> 4;
      if (word < bits.length) touched = (touched + bits[word]!) | 0;
    }
    return touched;
  }

  /** Keeps a slot that was taken: `source` has the words of all slots. */
  // Hot path.
  saveSlot(slot: number, source: Uint32Array): void {
    const chunk = slot >>> SLOT_CHUNK_SHIFT;
    const fits = this.#at + SLOT_SAVED_WORDS <= IMAGE_PAGE_WORDS;
    if (this.#slotsEnd !== this.#at || this.#slotsChunk !== chunk || !fits) {
      const first = this.#entry(ImageTable.slots, slot);
      this.#at = first;
      this.#slots = first - IMAGE_ENTRY_WORDS;
      this.#page[this.#slots + 1] = 0;
      this.#slotsChunk = chunk;
    }
    const page = this.#page;
    let to = this.#at;
    const from = slot * SLOT_WORDS;
    page[to++] = (slot & ((1 << SLOT_CHUNK_SHIFT) - 1)) * SLOT_WORDS;
    for (let w = 0; w < SLOT_WORDS; w++) page[to++] = source[from + w]!;
    page[this.#slots + 1]!++;
    this.#at = to;
    this.#slotsEnd = to;
  }

  // Hot path.
  saveAccount(row: number, source: Uint32Array): void {
    const from = row * IMAGE_TABLE_WORDS[ImageTable.accounts];
    const first = this.#entry(ImageTable.accounts, row);
    const page = this.#page;
    let to = first;
    let mask = 0;
    for (let w = BALANCES; w < BALANCES_END; w++) {
      const word = source[from + w]!;
      if (word === 0) continue;
      page[to++] = word;
      mask |= 1 << (w - BALANCES);
    }
    for (let w = FLAGS_AND_HEAD; w < FLAGS_AND_HEAD_END; w++) {
      const word = source[from + w]!;
      if (word === 0) continue;
      page[to++] = word;
      mask |= 1 << (w - FLAGS_AND_HEAD + BALANCES_END - BALANCES);
    }
    const rowInChunk = row & ((1 << ACCOUNT_MASK_SHIFT) - 1);
    page[first - IMAGE_ENTRY_WORDS + 1] = ((mask << ACCOUNT_MASK_SHIFT) | rowInChunk) >>> 0;
    this.#at = to;
  }

  /** Returns where the old words of a new entry belong in the page. */
  // Hot path.
  #entry(table: ImageTable, index: number): number {
    const count = IMAGE_SAVED_WORDS[table];
    const shift = IMAGE_CHUNK_SHIFTS[table];
    if (this.#at + IMAGE_ENTRY_WORDS + count > IMAGE_PAGE_WORDS) this.#nextPage();
    const page = this.#page;
    const at = this.#at;
    page[at] = ((table << IMAGE_TABLE_SHIFT) | (index >>> shift)) >>> 0;
    page[at + 1] = (index & ((1 << shift) - 1)) * IMAGE_TABLE_WORDS[table];
    this.#at = at + IMAGE_ENTRY_WORDS + count;
    return at + IMAGE_ENTRY_WORDS;
  }

  #nextPage(): void {
    if (this.#at < this.#page.length) this.#page[this.#at] = IMAGE_PAGE_END;
    const page = this.#spare.pop() ?? new Uint32Array(new SharedArrayBuffer(IMAGE_PAGE_WORDS * 4));
    this.pages.push(page);
    this.#page = page;
    this.#at = 0;
    this.#slotsEnd = -1;
  }
}
