import { describe, expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { BatchKind, ROW_WORDS } from './batch.ts';
import { AWAITED, Claims, type HeldKeys, KEY_WORDS, NEWCOMER, OWNER_AWAY } from './claims.ts';
import { addAccount } from './create-account.ts';
import { EventKeys, KeyKind } from './event-keys.ts';
import { EventMark } from './event-marks.ts';
import { Ledger } from './ledger.ts';
import { StateReader, StateWriter } from './state-words.ts';

const SEED = 1;

/** Keys of which the first is the id of an account, or of a transfer. */
function keysOf(kind: BatchKind, id: number): EventKeys {
  const keys = new EventKeys({ shard: 0, shards: 1 }, SEED);
  keys.collect(kind, eventOf(id), 0, EventMark.end);
  return keys;
}

function eventOf(id: number): Uint32Array {
  const event = new Uint32Array(ROW_WORDS);
  event[0] = id;
  return event;
}

/** A ledger with accounts of these ids. */
function ledgerWith(...ids: readonly number[]): Ledger {
  const ledger = new Ledger({ shard: 0, shards: 1, seed: SEED });
  for (const id of ids) create(ledger, id);
  return ledger;
}

function create(ledger: Ledger, id: number): void {
  const row = eventOf(id);
  addAccount(ledger, row, 0, ledger.accountIndex.hash(row, 0));
}

const [FIRST, SECOND] = [0, 1];

/** Has a parked item wait for the first of each of these keys. */
function park(claims: Claims, item: number, ...all: readonly EventKeys[]): void {
  claims.queues.open(item);
  for (const keys of all) claims.await(keys, 0, item);
}

/** Frees a key; where it was claimed is not known. `rows`: whether its row is. */
function release(claims: Claims, keys: EventKeys, { knowsRow = true } = {}): void {
  const key = new Uint32Array(KEY_WORDS);
  key.set(keys.words[0]!.subarray(keys.at[0], keys.at[0]! + 4));
  key[4] = keys.kinds[0]!;
  const isAccount = keys.kinds[0] === KeyKind.account;
  const row = knowsRow && isAccount ? keys.rows[0]! + 1 : 0;
  claims.releaseAll(key, Uint32Array.of(row), Uint32Array.of(0));
}

describe.each([
  ['that are there', [1, 2]],
  ['that are not there', []],
])('claims of accounts %s', (_, ids) => {
  const ALICE = keysOf(BatchKind.accounts, 1);
  const BOB = keysOf(BatchKind.accounts, 2);
  const TRANSFER = keysOf(BatchKind.transfers, 1);

  test('an account and a transfer id of the same number are two keys', () => {
    const claims = new Claims(ledgerWith(...ids), SEED);
    expect(claims.claim(ALICE, 0, 7)).not.toBe(-1);
    expect(claims.isFree(TRANSFER, 0, NEWCOMER)).toBe(true);
    expect(claims.isFree(ALICE, 0, NEWCOMER)).toBe(false);
    expect([
      claims.ownerUnlessAwaited(ALICE, 0, NEWCOMER),
      claims.ownerUnlessAwaited(TRANSFER, 0, NEWCOMER),
    ]).toEqual([7, 0]);
  });

  test('a walk claims a key once, and nobody else claims it with it', () => {
    const claims = new Claims(ledgerWith(...ids), SEED);
    expect(claims.claim(ALICE, 0, OWNER_AWAY)).not.toBe(-1);
    expect(claims.claim(ALICE, 0, OWNER_AWAY)).toBe(-1);
    expect(() => claims.claim(ALICE, 0, 1)).toThrow('one owner');
    release(claims, ALICE);
    expect(claims.count).toBe(0);
    expect(() => release(claims, ALICE)).toThrow('was claimed');
    expect(claims.claim(ALICE, 0, 1)).not.toBe(-1);
  });

  test('who waits for a key holds back those who come, also when its owner has gone', () => {
    const claims = new Claims(ledgerWith(...ids), SEED);
    claims.claim(ALICE, 0, 3);
    park(claims, FIRST, ALICE);
    park(claims, SECOND, ALICE);
    release(claims, ALICE);
    expect(claims.isFree(ALICE, 0, NEWCOMER)).toBe(false);
    expect(claims.ownerUnlessAwaited(ALICE, 0, NEWCOMER)).toBe(AWAITED);
    claims.leave(ALICE, 0, FIRST);
    expect(claims.isFree(ALICE, 0, NEWCOMER)).toBe(false);
    claims.leave(ALICE, 0, SECOND);
    expect(claims.isFree(ALICE, 0, NEWCOMER)).toBe(true);
    expect(claims.count).toBe(0);
    expect(() => claims.leave(ALICE, 0, SECOND)).toThrow('was awaited');
  });

  test('a key without an owner is free for the first who waits for it, and for nobody else', () => {
    const claims = new Claims(ledgerWith(...ids), SEED);
    park(claims, FIRST, ALICE);
    park(claims, SECOND, ALICE, BOB);
    expect([FIRST, SECOND].map((item) => claims.isFree(ALICE, 0, item))).toEqual([true, false]);
    expect(claims.ownerUnlessAwaited(ALICE, 0, SECOND)).toBe(AWAITED);
    expect(claims.ownerUnlessAwaited(BOB, 0, SECOND)).toBe(0);
    claims.leave(ALICE, 0, FIRST);
    expect(claims.isFree(ALICE, 0, SECOND)).toBe(true);
    claims.claim(BOB, 0, 1);
    expect(claims.isFree(BOB, 0, SECOND)).toBe(false);
    expect(claims.ownerUnlessAwaited(BOB, 0, SECOND)).toBe(1);
  });

  test('is due who has become the first at a key, or whose first key has lost its owner', () => {
    const claims = new Claims(ledgerWith(...ids), SEED);
    const { queues } = claims;
    claims.claim(ALICE, 0, 3);
    park(claims, FIRST, ALICE, BOB);
    park(claims, SECOND, BOB);
    const due = (): readonly boolean[] => [FIRST, SECOND].map((item) => queues.isDue(item));
    expect(due()).toEqual([false, false]);
    release(claims, ALICE);
    expect(due()).toEqual([true, false]);
    queues.clearDue(FIRST);
    claims.leave(BOB, 0, FIRST);
    expect(due()).toEqual([false, true]);
    // A place that is used again begins anew.
    park(claims, SECOND);
    expect(due()).toEqual([false, false]);
  });

  test('the digest is that of the keys, in whatever order they were claimed', () => {
    const sum = (words: Uint32Array, at: number, n: number): number =>
      words.subarray(at, at + n).reduce((hash, word) => (Math.imul(hash, 31) + word) | 0, 7);
    const digestOf = (...held: EventKeys[]): number => {
      const claims = new Claims(ledgerWith(...ids), SEED);
      for (const id of held) claims.claim(id, 0, 5);
      claims.held = () => held.map((id) => heldOf([id], 5));
      return claims.digest(sum);
    };
    expect(digestOf(ALICE, BOB)).toBe(digestOf(BOB, ALICE));
    expect(digestOf(ALICE, BOB)).not.toBe(digestOf(ALICE));
  });
});

/** Keys of a walk, all of them claimed. */
function heldOf(all: readonly EventKeys[], owner: number): HeldKeys {
  const keys = new Uint32Array(all.length * KEY_WORDS);
  const rows = new Uint32Array(all.length);
  for (const [i, one] of all.entries()) {
    keys.set(one.words[0]!.subarray(one.at[0], one.at[0]! + 4), i * KEY_WORDS);
    keys[i * KEY_WORDS + 4] = one.kinds[0]!;
    if (one.kinds[0] === KeyKind.account) rows[i] = one.rows[0]! + 1;
  }
  return { keys, rows, places: new Uint32Array(all.length), owner };
}

const IDS = 6;
const ITEMS = 5;
const PAST = 1000;
const PAST_MAX = 20;

/** Claims of a few accounts and ids, beside what they should say. */
class Pair {
  readonly ledger = ledgerWith(1, 2);
  readonly created = new Set([1, 2]);
  claims = new Claims(this.ledger, SEED);
  /** By key: its owner, and who waits, in order. */
  readonly owners = new Map<string, number>();
  readonly queues = new Map<string, number[]>();
  /** By item the keys that it waits for. */
  readonly parked = new Map<number, EventKeys[]>();
  /** By owner its keys, with the rows that they had when they were claimed. */
  readonly walks = new Map<number, EventKeys[]>();

  /** Walks that have given their keys back, but are still remembered. Numbers of walks do not come again. */
  readonly #past: (readonly [number, EventKeys[]])[] = [];

  constructor() {
    this.#tellHeld();
  }

  #tellHeld(): void {
    this.claims.held = () =>
      [...this.walks, ...this.#past].map(([owner, keys]) => heldOf(keys, owner));
  }

  isFree(keys: EventKeys, item: number): boolean {
    return !this.owners.has(nameOf(keys)) && this.#isFirst(keys, item);
  }

  #isFirst(keys: EventKeys, item: number): boolean {
    const first = this.queues.get(nameOf(keys))?.[0];
    return first === undefined || first === item;
  }

  owner(keys: EventKeys, item: number): number {
    return this.#isFirst(keys, item) ? (this.owners.get(nameOf(keys)) ?? 0) : AWAITED;
  }

  claim(keys: EventKeys, owner: number): void {
    if (this.claims.claim(keys, 0, owner) === -1) throw new Error('the walk has the key already');
    this.owners.set(nameOf(keys), owner);
    this.walks.set(owner, [...(this.walks.get(owner) ?? []), keys]);
  }

  release(owner: number): void {
    const { keys, rows } = heldOf(this.walks.get(owner)!, owner);
    this.claims.releaseAll(keys, rows, new Uint32Array(rows.length));
    for (const one of this.walks.get(owner)!) this.owners.delete(nameOf(one));
    if (this.#past.length < PAST_MAX) this.#past.push([owner + PAST, this.walks.get(owner)!]);
    this.walks.delete(owner);
  }

  park(item: number, all: EventKeys[]): void {
    park(this.claims, item, ...all);
    for (const keys of all) {
      const name = nameOf(keys);
      this.queues.set(name, [...(this.queues.get(name) ?? []), item]);
    }
    this.parked.set(item, all);
  }

  leave(item: number): void {
    for (const keys of this.parked.get(item)!.toReversed()) {
      this.claims.leave(keys, 0, item);
      const name = nameOf(keys);
      const rest = this.queues.get(name)!.filter((other) => other !== item);
      if (rest.length === 0) this.queues.delete(name);
      else this.queues.set(name, rest);
    }
    this.parked.delete(item);
  }

  create(id: number): void {
    create(this.ledger, id);
    this.created.add(id);
  }

  digest(): number {
    return this.claims.digest((words, at, n) =>
      words.subarray(at, at + n).reduce((hash, word) => (Math.imul(hash, 31) + word) | 0, 7),
    );
  }

  /** Goes on from an image. */
  reload(): readonly [before: number, after: number] {
    const out = new StateWriter();
    const before = this.digest();
    this.claims.save(out);
    this.claims = new Claims(this.ledger, SEED);
    this.claims.load(new StateReader(out.words()));
    this.#tellHeld();
    for (const [owner, keys] of this.walks) this.walks.set(owner, keys.map(withoutRow));
    for (const [item, all] of [...this.parked].toSorted(([a], [b]) => a - b)) {
      park(this.claims, item, ...all);
    }
    for (const [name] of this.queues) {
      const items = [...this.parked].filter(([, all]) => all.some((keys) => nameOf(keys) === name));
      this.queues.set(
        name,
        items.map(([item]) => item).toSorted((a, b) => a - b),
      );
    }
    return [before, this.digest()];
  }
}

function nameOf(keys: EventKeys): string {
  return `${keys.kinds[0]} ${keys.words[0]![keys.at[0]!]}`;
}

/** An image does not keep the rows of what is claimed. */
function withoutRow(keys: EventKeys): EventKeys {
  keys.rows[0] = -1;
  return keys;
}

/** With a row that is only likely. */
function randomKeys(prng: Prng, { ledger }: Pair): EventKeys {
  const kind = prng.chance(70) ? BatchKind.accounts : BatchKind.transfers;
  const keys = keysOf(kind, prng.between(1, IDS));
  keys.rows[0] = prng.between(-1, ledger.accounts.rows - 1);
  return keys;
}

describe('claims of keys of all kinds', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('say what a simple model says; seed %i', (seed) => {
    const prng = new Prng(seed);
    const pair = new Pair();
    const reloads: (readonly [number, number])[] = [];
    for (let step = 0; step < 3000; step++) {
      const keys = randomKeys(prng, pair);
      const item = prng.below(ITEMS);
      const asked = pair.parked.has(item) ? item : NEWCOMER;
      expect(pair.claims.isFree(keys, 0, asked)).toBe(pair.isFree(keys, asked));
      expect(pair.claims.ownerUnlessAwaited(keys, 0, asked)).toBe(pair.owner(keys, asked));
      expect(pair.claims.count).toBe(new Set([...pair.owners.keys(), ...pair.queues.keys()]).size);
      const choice = prng.below(100);
      const owner = prng.between(1, 3);
      if (choice < 30) {
        if (pair.isFree(keys, asked)) pair.claim(keys, owner);
      } else if (choice < 50) {
        if (pair.walks.has(owner)) pair.release(owner);
      } else if (choice < 70) {
        const other = randomKeys(prng, pair);
        const all = nameOf(other) === nameOf(keys) ? [keys] : [keys, other];
        if (!pair.parked.has(item)) pair.park(item, all);
      } else if (choice < 90) {
        if (pair.parked.has(item)) pair.leave(item);
      } else if (choice < 97) {
        const id = prng.between(1, IDS);
        if (!pair.created.has(id) && !pair.owners.has(`${KeyKind.account} ${id}`)) pair.create(id);
      } else reloads.push(pair.reload());
    }
    expect(reloads.length).toBeGreaterThan(20);
    for (const [before, after] of reloads) expect(after).toBe(before);
  });
});
