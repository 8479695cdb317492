/**
 * What a snapshot needs of the past: a log of before-images. A snapshot is read by another thread while its shard goes on, so from the moment
 * it begins, whoever changes a row, a slot, or an entry writes its old words here first. The reader copies the tables as they are, torn or
 * not, and lays the old words over its copy, the earliest winning: what was changed is put back, and what was not changed was read whole.
 *
 * The log is pages of shared memory. An entry is {table << 29 | chunk, word offset in the chunk, one for the reader's own use} and the old words,
 * as many as its table has in a row, but of an account only those that ever change (ACCOUNT_SPANS). It never crosses a page; what is left of one
 * begins with END. Rows and buckets are saved once (`takes`); a slot each time it changes, until its bucket is saved as a whole. What was made after
 * the beginning does not belong to the image, and what the reader has behind it (`pass`) is not saved any more.
 */
import { assert } from './assert.ts';

export const ImageTable = { accounts: 0, slots: 1, buckets: 2, pendings: 3, users: 4 } as const;
export type ImageTable = (typeof ImageTable)[keyof typeof ImageTable];

/** Words of a row, or whatever each table has. */
export const IMAGE_TABLE_WORDS = [32, 6, 6 * 2048, 18, 8] as const;
/** Words of an account that change: its balances; its flags and head, with its ledger and code, which do not. */
const BALANCES = 4;
const BALANCES_END = 20;
const FLAGS_AND_HEAD = 28;
const FLAGS_AND_HEAD_END = 32;
export const ACCOUNT_SPANS = [
  [BALANCES, BALANCES_END],
  [FLAGS_AND_HEAD, FLAGS_AND_HEAD_END],
] as const;
/** Words that an entry of the log has of each table. */
export const IMAGE_SAVED_WORDS = [16 + 4, 6, 6 * 2048, 18, 8] as const;
/** How many of them a chunk has, as a shift: 8,192 accounts, 64 buckets of 2,048 slots, 4,096 entries. */
export const IMAGE_CHUNK_SHIFTS = [13, 17, 6, 12, 12] as const;

export const IMAGE_PAGE_WORDS = 1 << 18;
export const IMAGE_ENTRY_WORDS = 3;
export const IMAGE_TABLE_SHIFT = 29;
export const IMAGE_PAGE_END = 0xffffffff;

/** 64 MiB: the accounts that change in a second at half a million transfers. */
const SPARE_PAGES_MAX = 64;
const ACCOUNT_ENTRY_WORDS = IMAGE_ENTRY_WORDS + IMAGE_SAVED_WORDS[ImageTable.accounts];

/** What each table has when an image begins. */
export interface ImageSizes {
  readonly rows: number;
  readonly buckets: number;
  readonly pendings: number;
  readonly users: number;
}

/** Pages of a log that has every account, or as many as are kept. */
export function logPagesOf({ rows }: Pick<ImageSizes, 'rows'>): number {
  return Math.min(Math.ceil((rows * ACCOUNT_ENTRY_WORDS) / IMAGE_PAGE_WORDS), SPARE_PAGES_MAX);
}

/** Memory that was written to. To do so costs more than all that is written later, and whoever writes snapshots has the time for it. */
export function freshPage(): Uint32Array<SharedArrayBuffer> {
  return new Uint32Array(new SharedArrayBuffer(IMAGE_PAGE_WORDS * 4)).fill(0);
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
  /** By table: how many there were at the beginning, and which of them are saved. */
  readonly #limits = [0, 0, 0, 0, 0];
  /** By table: how many of them, from the first one on, the reader has behind it. */
  readonly #passed = [0, 0, 0, 0, 0];
  readonly #saved = Array.from({ length: 5 }, () => new Uint8Array(0));

  begin({ rows, buckets, pendings, users }: ImageSizes): void {
    assert(!this.isActive, 'one snapshot at a time');
    this.isActive = true;
    this.#passed.fill(0);
    this.pages.length = 0;
    this.#nextPage();
    for (const [table, limit] of [rows, 0, buckets, pendings, users].entries()) {
      this.#limits[table] = limit;
      this.#saved[table] = new Uint8Array((limit + 7) >> 3);
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
    this.#limits.fill(0);
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

  /** Whether something of the image is neither read yet nor saved as a whole. */
  // Hot path.
  isOpen(table: ImageTable, index: number): boolean {
    return (
      index >= this.#passed[table]! &&
      index < this.#limits[table]! &&
      (this.#saved[table]![index >>> 3]! & (1 << (index & 7))) === 0
    );
  }

  /** The same, and marks it as saved: whoever asks saves it. */
  // Hot path.
  takes(table: ImageTable, index: number): boolean {
    if (!this.isOpen(table, index)) return false;
    this.#saved[table]![index >>> 3]! |= 1 << (index & 7);
    return true;
  }

  /** Keeps a slot, or whatever the table has by that number: the words of the source from there on. */
  // Hot path.
  save(table: ImageTable, index: number, source: Uint32Array): void {
    const count = IMAGE_TABLE_WORDS[table];
    assert(table !== ImageTable.accounts, 'of accounts not all words are kept');
    const from = index * count;
    const to = this.#entry(table, index);
    const page = this.#page;
    for (let w = 0; w < count; w++) page[to + w] = source[from + w]!;
  }

  // Hot path.
  saveAccount(row: number, source: Uint32Array): void {
    const from = row * IMAGE_TABLE_WORDS[ImageTable.accounts];
    let to = this.#entry(ImageTable.accounts, row);
    const page = this.#page;
    for (let w = BALANCES; w < BALANCES_END; w++) page[to++] = source[from + w]!;
    for (let w = FLAGS_AND_HEAD; w < FLAGS_AND_HEAD_END; w++) page[to++] = source[from + w]!;
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
  }
}
