/**
 * Open pending transfers of one shard, 72 bytes each (and 32 more with user data), and a heap of those that expire. An entry has all
 * that its transfer's record has, so that a post or void needs no read of the journal; the id is in the transfer index, whose slot
 * names the entry while the transfer is pending.
 *
 * The heap is ordered by (expires_at, timestamp). An entry knows its place in it, so any can be taken out.
 *
 * Entries that are not in use are a list, threaded through their first words, and so are rows of user data. A snapshot reads both,
 * by chunks: a change is announced first, but for that of a place in the heap, which is made anew when a state is loaded.
 */
import { assert } from './assert.ts';
import { BeforeImages, ImageTable } from './before-images.ts';
import { EXPIRIES_MAX, PENDINGS_BYTES_MAX } from './limits.ts';
import type { StateReader, StateWriter } from './state-words.ts';
import { TableWords } from './table-words.ts';

export const ENTRY_WORDS = 18;
export const CHUNK_ENTRIES = 4096;
export const USER_WORDS = 8;
/** In place of a place in the heap: the entry is being expired. */
const UNDER_WAY = 0xffffffff;

/** Words of an entry. `credit` is the account's id, `debit` its row; `position` of the record; `hash` of the id. */
export const Entry = {
  amount: 0,
  credit: 4,
  debit: 8,
  codeFlags: 9,
  timestamp: 10,
  timeout: 12,
  position: 13,
  hash: 15,
  heap: 16,
  user: 17,
} as const;

export class PendingTable {
  readonly #images: BeforeImages;
  readonly #entries = new TableWords(PENDINGS_BYTES_MAX);
  /** The entry that was freed last, plus 1; 0 for none. Its first word has the one before it. */
  #free = 0;
  #freeCount = 0;
  #used = 0;
  readonly #users = new TableWords(PENDINGS_BYTES_MAX);
  #userFree = 0;
  #userUsed = 0;
  #heap = new Int32Array(64);
  #heapSize = 0;
  /** Entries whose expiry has begun and is not decided. */
  #underWay = 0;
  readonly #expiresA = new Uint32Array(2);
  readonly #expiresB = new Uint32Array(2);

  constructor(images = new BeforeImages()) {
    this.#images = images;
  }

  get count(): number {
    return this.#used - this.#freeCount;
  }

  /** Entries that there are, in use or not, and rows of user data. */
  get used(): number {
    return this.#used;
  }

  get userUsed(): number {
    return this.#userUsed;
  }

  /** Those whose expiry is under way. */
  get expiring(): number {
    return this.#underWay;
  }

  get byteLength(): number {
    const entries = this.#used * ENTRY_WORDS * 4;
    const users = this.#userUsed * USER_WORDS * 4;
    return entries + users + this.#heap.byteLength;
  }

  /** Adds the transfer whose record (32 words) is given and returns its entry's number. */
  // oxlint-disable-next-line max-params -- An object per transfer would cost more than it explains.
  add(
    record: Uint32Array,
    at: number,
    debitRow: number,
    hash: number,
    low: number,
    high: number,
  ): number {
    const entry = this.take();
    const { words } = this;
    const to = this.#at(entry);
    for (let w = 0; w < 4; w++) words[to + Entry.amount + w] = record[at + 12 + w]!;
    for (let w = 0; w < 4; w++) words[to + Entry.credit + w] = record[at + 8 + w]!;
    words[to + Entry.debit] = debitRow;
    words[to + Entry.codeFlags] = record[at + 29]!;
    words[to + Entry.timestamp] = record[at + 30]!;
    words[to + Entry.timestamp + 1] = record[at + 31]!;
    words[to + Entry.timeout] = record[at + 27]!;
    words[to + Entry.position] = low;
    words[to + Entry.position + 1] = high;
    words[to + Entry.hash] = hash;
    words[to + Entry.heap] = 0;
    words[to + Entry.user] = this.addUserData(record, at);
    if (record[at + 27] !== 0) this.schedule(entry);
    return entry;
  }

  /** Makes an entry, all of whose words the caller writes, and then schedules it if it expires. */
  // Hot path.
  take(): number {
    if (this.#free === 0) {
      const entry = this.#used++;
      this.#entries.reach(this.#used * ENTRY_WORDS);
      return entry;
    }
    const entry = this.#free - 1;
    this.#beforeChange(entry);
    this.#free = this.words[this.#at(entry)]!;
    this.#freeCount--;
    return entry;
  }

  /** Keeps the user data of a record, if it has any; returns what an entry has of that. */
  addUserData(record: Uint32Array, at: number): number {
    let any = 0;
    for (let w = 20; w < 27; w++) any |= record[at + w]!;
    if (any === 0) return 0;
    const row = this.#userFree === 0 ? this.#userUsed++ : this.#userFree - 1;
    this.#users.reach(this.#userUsed * USER_WORDS);
    const { words } = this.#users;
    const to = row * USER_WORDS;
    this.#beforeUserChange(row);
    if (this.#userFree !== 0) this.#userFree = words[to]!;
    for (let w = 0; w < 7; w++) words[to + w] = record[at + 20 + w]!;
    return row + 1;
  }

  /** Keeps an entry as it is for the snapshot under way, if there is one. */
  #beforeChange(entry: number): void {
    if (this.#images.isActive && this.#images.takes(ImageTable.pendings, entry)) {
      this.#images.save(ImageTable.pendings, entry, this.#entries.words);
    }
  }

  #beforeUserChange(row: number): void {
    if (this.#images.isActive && this.#images.takes(ImageTable.users, row)) {
      this.#images.save(ImageTable.users, row, this.#users.words);
    }
  }

  /** Takes the entry out, from the heap too. */
  remove(entry: number): void {
    this.#beforeChange(entry);
    const { words } = this;
    const at = this.#at(entry);
    if (words[at + Entry.heap] === UNDER_WAY) this.#underWay--;
    else this.#unschedule(entry);
    words[at + Entry.heap] = 0;
    words[at + Entry.codeFlags] = 0;
    const user = words[at + Entry.user]!;
    if (user !== 0) this.#removeUserData(user - 1);
    words[at] = this.#free;
    this.#free = entry + 1;
    this.#freeCount++;
  }

  #removeUserData(row: number): void {
    this.#beforeUserChange(row);
    this.#users.words[row * USER_WORDS] = this.#userFree;
    this.#userFree = row + 1;
  }

  /** The words of all entries. */
  // Hot path.
  get words(): Uint32Array {
    return this.#entries.words;
  }

  /** Reads the first and the last word of each of the first `count` entries of a list, -1 for none; see `AccountTable.touchAll`. */
  // Hot path.
  touchAll(entries: Int32Array, count: number): number {
    const { words } = this;
    let touched = 0;
    for (let i = 0; i < count; i++) {
      const entry = entries[i]!;
      const at = (entry & ~(entry >> 31)) * ENTRY_WORDS;
      touched = (touched + words[at]! + words[at + ENTRY_WORDS - 1]!) | 0;
    }
    return touched;
  }

  /** Where the id of the credit account lies. */
  // Hot path.
  creditAt(entry: number): number {
    return this.#at(entry) + Entry.credit;
  }

  /** The words of the user data of all entries: an entry's lies at `(user - 1) * USER_WORDS`, if its `user` is not 0. */
  // Hot path.
  get userWords(): Uint32Array {
    return this.#users.words;
  }

  debitRow(entry: number): number {
    return this.words[this.#at(entry) + Entry.debit]!;
  }

  hash(entry: number): number {
    return this.words[this.#at(entry) + Entry.hash]! | 0;
  }

  positionLow(entry: number): number {
    return this.words[this.#at(entry) + Entry.position]!;
  }

  positionHigh(entry: number): number {
    return this.words[this.#at(entry) + Entry.position + 1]!;
  }

  /** Writes the record, all but id, debit account, and ledger, which the caller knows from elsewhere. */
  copyRecord(entry: number, target: Uint32Array): void {
    const { words } = this;
    const at = this.#at(entry);
    for (let w = 0; w < 4; w++) target[8 + w] = words[at + Entry.credit + w]!;
    for (let w = 0; w < 4; w++) target[12 + w] = words[at + Entry.amount + w]!;
    for (let w = 16; w < 27; w++) target[w] = 0;
    const user = words[at + Entry.user]!;
    if (user !== 0) {
      const users = this.#users.words;
      for (let w = 0; w < 7; w++) target[20 + w] = users[(user - 1) * USER_WORDS + w]!;
    }
    target[27] = words[at + Entry.timeout]!;
    target[29] = words[at + Entry.codeFlags]!;
    target[30] = words[at + Entry.timestamp]!;
    target[31] = words[at + Entry.timestamp + 1]!;
  }

  // ---- The heap.

  /** The entry that expires first, or -1. */
  get first(): number {
    return this.#heapSize === 0 ? -1 : this.#heap[0]!;
  }

  /** Whether the first one has expired at a time (two words), and not too many are being expired. */
  isDue(low: number, high: number): boolean {
    if (this.#heapSize === 0 || this.#underWay >= EXPIRIES_MAX) return false;
    return this.isOver(this.#heap[0]!, low, high);
  }

  /** Whether the time of an entry is over at a time (two words), be its expiry under way or not. */
  isOver(entry: number, low: number, high: number): boolean {
    const expires = this.#expiresA;
    this.#expires(entry, expires);
    return expires[1]! < high || (expires[1] === high && expires[0]! <= low);
  }

  /** When the first one expires, ns; 0 when none does. */
  nextExpiry(): bigint {
    if (this.#heapSize === 0 || this.#underWay >= EXPIRIES_MAX) return 0n;
    this.#expires(this.#heap[0]!, this.#expiresA);
    return (BigInt(this.#expiresA[1]!) << 32n) | BigInt(this.#expiresA[0]!);
  }

  /** Takes the first entry out of the heap, and only of that: its expiry has begun. */
  beginExpiry(): number {
    const entry = this.first;
    assert(entry !== -1, 'an entry expires');
    this.#beforeChange(entry);
    this.#unschedule(entry);
    this.words[this.#at(entry) + Entry.heap] = UNDER_WAY;
    this.#underWay++;
    return entry;
  }

  #unschedule(entry: number): void {
    const { words } = this;
    const at = this.#at(entry) + Entry.heap;
    const place = words[at]! - 1;
    if (place < 0) return;
    words[at] = 0;
    const last = this.#heap[--this.#heapSize]!;
    if (last === entry) return;
    this.#place(place, last);
    this.#sink(place);
    this.#rise(place);
  }

  // ---- For snapshots.

  /** All but entries and user data. */
  save(out: StateWriter): void {
    out.put(this.#used);
    out.put(this.#free);
    out.put(this.#freeCount);
    out.put(this.#userUsed);
    out.put(this.#userFree);
  }

  /** Makes entries and rows in an empty table; the caller fills in the words of the chunks, then calls `loaded`. */
  load(from: StateReader): void {
    assert(this.#used === 0, 'only an empty table is loaded');
    this.#used = from.take();
    this.#free = from.take();
    this.#freeCount = from.take();
    this.#userUsed = from.take();
    this.#userFree = from.take();
    this.#entries.reach(this.#used * ENTRY_WORDS);
    this.#users.reach(this.#userUsed * USER_WORDS);
  }

  /** Makes the heap. An entry's place in it means nothing in an image, but for that of one whose expiry is under way. */
  loaded(): void {
    for (let entry = 0; entry < this.#used; entry++) {
      const { words } = this;
      const at = this.#at(entry);
      const isTimed = words[at + Entry.codeFlags] !== 0 && words[at + Entry.timeout] !== 0;
      if (!isTimed) continue;
      if (words[at + Entry.heap] === UNDER_WAY) this.#underWay++;
      else this.schedule(entry);
    }
  }

  /** Calls back for every entry; `isExpiring`: its expiry has begun and is not decided. */
  forEach(visit: (entry: number, isExpiring: boolean) => void): void {
    for (let entry = 0; entry < this.#used; entry++) {
      const { words } = this;
      const at = this.#at(entry);
      if (words[at + Entry.codeFlags] !== 0) visit(entry, words[at + Entry.heap] === UNDER_WAY);
    }
  }

  /** Puts an entry with a timeout into the heap. */
  schedule(entry: number): void {
    if (this.#heapSize === this.#heap.length) {
      const grown = new Int32Array(this.#heap.length * 2);
      grown.set(this.#heap);
      this.#heap = grown;
    }
    this.#place(this.#heapSize, entry);
    this.#rise(this.#heapSize++);
  }

  #rise(from: number): void {
    let place = from;
    const entry = this.#heap[place]!;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!this.#isBefore(entry, this.#heap[parent]!)) break;
      this.#place(place, this.#heap[parent]!);
      place = parent;
    }
    this.#place(place, entry);
  }

  #sink(from: number): void {
    let place = from;
    const entry = this.#heap[place]!;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#heapSize) break;
      if (child + 1 < this.#heapSize && this.#isBefore(this.#heap[child + 1]!, this.#heap[child]!))
        child++;
      if (!this.#isBefore(this.#heap[child]!, entry)) break;
      this.#place(place, this.#heap[child]!);
      place = child;
    }
    this.#place(place, entry);
  }

  #place(place: number, entry: number): void {
    this.#heap[place] = entry;
    this.words[this.#at(entry) + Entry.heap] = place + 1;
  }

  #isBefore(a: number, b: number): boolean {
    const x = this.#expiresA;
    const y = this.#expiresB;
    this.#expires(a, x);
    this.#expires(b, y);
    if (x[1] !== y[1]) return x[1]! < y[1]!;
    if (x[0] !== y[0]) return x[0]! < y[0]!;
    const atA = this.#at(a) + Entry.timestamp;
    const atB = this.#at(b) + Entry.timestamp;
    const { words } = this;
    if (words[atA + 1] !== words[atB + 1]) return words[atA + 1]! < words[atB + 1]!;
    return words[atA]! < words[atB]!;
  }

  #expires(entry: number, target: Uint32Array): void {
    const { words } = this;
    const at = this.#at(entry);
    addSeconds(target, words, at + Entry.timestamp, words[at + Entry.timeout]!);
  }

  #at(entry: number): number {
    assert(entry < this.#used, 'the entry exists');
    return entry * ENTRY_WORDS;
  }
}

const BILLION = 1_000_000_000;
const WORD = 4294967296;

/** target = a timestamp (two words at `at`) plus so many seconds, in ns; returns whether it is over 2^63 - 1. */
export function addSeconds(
  target: Uint32Array,
  words: Uint32Array,
  at: number,
  seconds: number,
): boolean {
  // In halves of 16 bits, so that every step is exact in a double. Remainders are taken by bits: `%` of a double is slow.
  const lower = (seconds & 0xffff) * BILLION + words[at]!;
  const upper = (seconds >>> 16) * BILLION;
  const low = (lower >>> 0) + (upper & 0xffff) * 65536;
  const high =
    words[at + 1]! + Math.floor(lower / WORD) + Math.floor(upper / 65536) + (low >= WORD ? 1 : 0);
  target[0] = low;
  target[1] = high;
  return high > 0x7fffffff;
}

/** Order-free sum over the first entries of a chunk, for the digest. The heap follows from them. */
export function digestOfEntries(
  words: Uint32Array,
  entries: number,
  mix: (words: Uint32Array, at: number, count: number) => number,
): number {
  let sum = 0;
  for (let at = 0; at < entries * ENTRY_WORDS; at += ENTRY_WORDS) {
    // A code is never 0, so this is an entry that is not in use.
    if (words[at + Entry.codeFlags] === 0) continue;
    sum = (sum + mix(words, at, Entry.heap)) | 0;
  }
  return sum;
}
