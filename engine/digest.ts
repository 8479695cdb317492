/**
 * The digest of a shard's state: two 32-bit words, equal for equal states whatever the layout of the tables. Accounts count in order of
 * their rows, ids as an order-free sum. The clock does not count: it moves without anything happening. Not cryptographic: it shows mistakes, not forgery.
 */
import { ROW_WORDS } from './batch.ts';
import type { Claims } from './claims.ts';
import { SLOT_WORDS } from './id-index.ts';
import { imageChunk, imagePieces, ImageSection, imageSizes, type TableSection } from './image.ts';
import type { Ledger } from './ledger.ts';
import { digestOfEntries, ENTRY_WORDS } from './pending-table.ts';
import type { Walks } from './walk.ts';

/** Words of the tail before the counters of the links. */
const TAIL_WORDS = 9;

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
    const rows = this.#rows;
    for (let row = 0; row < stamps.length / 2; row++) {
      const rowHash = mixWords(rows, row * ROW_WORDS, ROW_WORDS);
      const stamp = stamps[2 * row]! ^ Math.imul(stamps[2 * row + 1]!, 31);
      this.#accounts = (Math.imul(this.#accounts, 0x01000193) ^ rowHash ^ stamp) >>> 0;
    }
  }

  #addIds(slots: Uint32Array): void {
    let sum = this.#ids;
    for (let at = 0; at < slots.length; at += SLOT_WORDS) {
      if (slots[at + SLOT_WORDS - 1] !== 0) sum = (sum + mixWords(slots, at, SLOT_WORDS)) | 0;
    }
    this.#ids = sum;
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
  for (const { section, chunk, words } of imagePieces(imageSizes(ledger))) {
    digest.add(section, imageChunk(ledger, section, chunk).subarray(0, words));
  }
  return digest.finish();
}

/** As answers, manifests, and tools have it: 16 hexadecimal digits. */
export function digestText(digest: readonly [number, number]): string {
  return digest.map((word) => word.toString(16).padStart(8, '0')).join('');
}
