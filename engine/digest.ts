/**
 * The digest of a shard's state: two 32-bit words, equal for equal states whatever the layout of the tables. Accounts count in order of
 * their rows, ids as an order-free sum. The clock does not count: it moves without anything happening. Not cryptographic: it shows mistakes, not forgery.
 */
import { assert } from './assert.ts';
import { ROW_WORDS } from './batch.ts';
import type { Claims } from './claims.ts';
import { SLOT_WORDS } from './id-index.ts';
import { imageWords, imagePieces, ImageSection, imageSizes, type TableSection } from './image.ts';
import type { Ledger } from './ledger.ts';
import { digestOfEntries, ENTRY_WORDS } from './pending-table.ts';
import type { Walks } from './walk.ts';

/** Words of the tail before the counters of the links. */
const TAIL_WORDS = 9;
const ROWS_AT_ONCE = 4;

/** Hash of some words, as an unsigned 32-bit number. */
export function mixWords(words: Uint32Array, at: number, count: number): number {
  let hash = 0x811c9dc5 ^ count;
  for (let w = at; w < at + count; w++) {
    hash = Math.imul(hash ^ words[w]!, 0x85ebca6b);
    hash ^= hash >>> 13;
  }
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** `mixWords` of four rows: each is a chain of multiplications, and the processor has four of them under way. */
// Hot path.
function mixRows(rows: Uint32Array, at: number, hashes: Int32Array): void {
  const start = 0x811c9dc5 ^ ROW_WORDS;
  let a = start;
  let b = start;
  let c = start;
  let d = start;
  for (let w = at; w < at + ROW_WORDS; w++) {
    a = Math.imul(a ^ rows[w]!, 0x85ebca6b);
    b = Math.imul(b ^ rows[w + ROW_WORDS]!, 0x85ebca6b);
    c = Math.imul(c ^ rows[w + 2 * ROW_WORDS]!, 0x85ebca6b);
    d = Math.imul(d ^ rows[w + 3 * ROW_WORDS]!, 0x85ebca6b);
    a ^= a >>> 13;
    b ^= b >>> 13;
    c ^= c >>> 13;
    d ^= d >>> 13;
  }
  hashes[0] = mixed(a);
  hashes[1] = mixed(b);
  hashes[2] = mixed(c);
  hashes[3] = mixed(d);
}

// Hot path.
function mixed(hash: number): number {
  const last = Math.imul(hash, 0xc2b2ae35);
  return last ^ (last >>> 16);
}

/**
 * The sum of `mixWords` over the slots that are taken. Written out, since there are millions of them, and a start compares them all before its code has
 * become warm; without a branch, since which slots are taken is as good as random.
 */
// Hot path.
function sumOfSlots(slots: Uint32Array): number {
  assert(SLOT_WORDS === 6, 'a slot is mixed as a whole');
  const { length } = slots;
  let sum = 0;
  for (let at = 0; at < length; at += 6) {
    const last = slots[at + 5]! | 0;
    let hash = Math.imul(0x811c9dc5 ^ 6 ^ slots[at]!, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash ^ slots[at + 1]!, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash ^ slots[at + 2]!, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash ^ slots[at + 3]!, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash ^ slots[at + 4]!, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash ^ last, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash, 0xc2b2ae35);
    const isTaken = (last | -last) >> 31;
    sum = (sum + ((hash ^ (hash >>> 16)) & isTaken)) | 0;
  }
  return sum;
}

/** What the digest has of a state besides its tables, as words; at the beginning of an image, so that its digest can be made without the rest. */
export function digestTail(state: {
  readonly ledger: Ledger;
  readonly claims: Claims;
  readonly walks: Walks;
  readonly counters: readonly Float64Array[];
  readonly parked: number;
}): Uint32Array {
  const { newestAccount, newestTransfer, pendings, accounts } = state.ledger;
  const tail = [
    accounts.rows,
    state.parked,
    state.claims.digest(mixWords),
    state.walks.digest(mixWords),
    pendings.expiring,
    ...newestAccount,
    ...newestTransfer,
  ];
  for (const list of state.counters) {
    for (const value of list) tail.push(value >>> 0, Math.floor(value / 4294967296));
  }
  return Uint32Array.from(tail);
}

/** Makes the digest piece by piece, in the order of an image. */
export class StateDigest {
  readonly #tail: Uint32Array;
  #accounts: number;
  #ids = 0;
  #pendings: number;
  readonly #rowHashes = new Int32Array(ROWS_AT_ONCE);
  /** Rows whose timestamps come next. */
  #rows: Uint32Array = new Uint32Array(0);

  constructor(tail: Uint32Array) {
    this.#tail = tail;
    this.#accounts = mixWords(tail, 0, 2);
    this.#pendings = tail[4]!;
  }

  /** `words` stay as they are until the next piece is added. */
  add(section: TableSection, words: Uint32Array): void {
    if (section === ImageSection.accounts) this.#rows = words;
    else if (section === ImageSection.stamps) this.#addAccounts(words);
    else if (section === ImageSection.slots) this.#addIds(words);
    else if (section === ImageSection.pendings) {
      const sum = digestOfEntries(words, words.length / ENTRY_WORDS, mixWords);
      this.#pendings = (this.#pendings + sum) | 0;
    }
  }

  #addAccounts(stamps: Uint32Array): void {
    const hashes = this.#rowHashes;
    const count = stamps.length / 2;
    let accounts = this.#accounts;
    for (let from = 0; from < count; from += ROWS_AT_ONCE) {
      const n = Math.min(ROWS_AT_ONCE, count - from);
      if (n === ROWS_AT_ONCE) mixRows(this.#rows, from * ROW_WORDS, hashes);
      else
        for (let i = 0; i < n; i++)
          hashes[i] = mixWords(this.#rows, (from + i) * ROW_WORDS, ROW_WORDS);
      for (let i = 0; i < n; i++) {
        const row = from + i;
        const stamp = stamps[2 * row]! ^ Math.imul(stamps[2 * row + 1]!, 31);
        accounts = Math.imul(accounts, 0x01000193) ^ hashes[i]! ^ stamp;
      }
    }
    this.#accounts = accounts >>> 0;
  }

  #addIds(slots: Uint32Array): void {
    this.#ids = (this.#ids + sumOfSlots(slots)) | 0;
  }

  finish(): readonly [number, number] {
    const tail = this.#tail;
    const head = Uint32Array.of(
      this.#ids,
      tail[2]!,
      tail[3]!,
      this.#pendings,
      ...tail.subarray(5, TAIL_WORDS),
    );
    let other = mixWords(head, 0, head.length);
    for (let at = TAIL_WORDS; at < tail.length; at += 2) {
      other = (Math.imul(other, 31) ^ mixWords(tail, at, 2)) >>> 0;
    }
    return [this.#accounts, other];
  }
}

/** The digest of a state machine's tables, and of the tail that is given. */
export function stateDigest(ledger: Ledger, tail: Uint32Array): readonly [number, number] {
  const digest = new StateDigest(tail);
  for (const piece of imagePieces(imageSizes(ledger))) {
    digest.add(piece.section, imageWords(ledger, piece));
  }
  for (const { words, end } of ledger.transferIndex.deferredRuns()) {
    digest.add(ImageSection.slots, words.subarray(0, end));
  }
  return digest.finish();
}

/** As answers, manifests, and tools have it: 16 hexadecimal digits. */
export function digestText(digest: readonly [number, number]): string {
  return digest.map((word) => word.toString(16).padStart(8, '0')).join('');
}
