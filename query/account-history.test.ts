import { describe, expect, test } from 'vitest';
import { AccountFlags } from '../engine/flags.ts';
import type { AccountFilter } from '../engine/query.ts';
import { bigintOfUint128 } from '../engine/uint128.ts';
import { Prng } from '../lib/prng.ts';
import { BuiltDirectory } from '../test/support/built-directory.ts';
import { BuiltJournals, type BuiltEntry } from '../test/support/built-journals.ts';
import {
  accountBalances,
  accountTransfers,
  type AccountHead,
  type HistoryPage,
} from './account-history.ts';
import { FilterMemory } from './segment-index.ts';
import { ShardReader } from './shard-reader.ts';

const NO_FILTER = {
  userData128: 0n,
  userData64: 0n,
  userData32: 0,
  code: 0,
  timestampMin: 0n,
  timestampMax: 0n,
  limit: 10,
  debits: true,
  credits: true,
  cursor: '',
};

class History implements Disposable {
  readonly built: BuiltJournals;
  readonly directory: BuiltDirectory;
  readonly sources: readonly ShardReader[];

  constructor(seed: number, shards: number, steps: number, frameBytesMin = 0) {
    this.built = new BuiltJournals(seed, shards, frameBytesMin);
    for (let i = 0; i < steps; i++) this.built.step();
    this.directory = new BuiltDirectory(this.built, 200_000);
    const { directories, clusterId } = this.directory;
    const memory = new FilterMemory(1 << 20);
    this.sources = directories.map((directory, shard) =>
      ShardReader.open({ directory, clusterId, shard, shards }, memory),
    );
  }

  head(accountId: bigint): AccountHead {
    const { shard, row } = this.built.accounts.find((one) => one.id === accountId)!;
    return { shard, ...this.built.heads.get(accountId)!, flags: row[29]! >>> 16 };
  }

  grow(steps: number): void {
    for (let i = 0; i < steps; i++) this.built.step();
    this.directory.write();
  }

  page(filter: AccountFilter): { ids: bigint[]; effects: bigint[]; next: string | null } {
    const head = this.head(filter.accountId);
    const page = run(accountTransfers(filter, head, this.sources[head.shard]!));
    return { ids: idsOf(page), effects: [...page.effectTimestamps], next: page.next };
  }

  [Symbol.dispose](): void {
    for (const source of this.sources) source.close();
    this.directory[Symbol.dispose]();
  }
}

function idsOf({ n, rows }: HistoryPage): bigint[] {
  return Array.from({ length: n }, (_, i) => bigintOfUint128(rows, i * 32));
}

function run<Result>(work: Generator<unknown, Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

function expected(entries: readonly BuiltEntry[], filter: AccountFilter): BuiltEntry[] {
  const passing = entries.filter(({ transfer, isDebit, effect }) => {
    const { row } = transfer;
    return (
      (isDebit ? filter.debits : filter.credits) &&
      (filter.code === 0 || (row[29]! & 0xffff) === filter.code) &&
      (filter.userData32 === 0 || row[26] === filter.userData32) &&
      (filter.userData128 === 0n || bigintOfUint128(row, 20) === filter.userData128) &&
      effect >= filter.timestampMin &&
      (filter.timestampMax === 0n || effect <= filter.timestampMax)
    );
  });
  return filter.reversed ? passing.toReversed() : passing;
}

function randomFilter(
  prng: Prng,
  entries: readonly BuiltEntry[],
): Omit<AccountFilter, 'accountId'> {
  const pick = prng.pick(entries);
  const [debits, credits] = prng.pick([
    [true, true],
    [true, false],
    [false, true],
  ] as const);
  return {
    ...NO_FILTER,
    debits,
    credits,
    reversed: prng.chance(50),
    limit: prng.between(1, 12),
    code: prng.chance(30) ? pick.transfer.row[29]! & 0xffff : 0,
    userData32: prng.chance(20) ? pick.transfer.row[26]! : 0,
    userData128: prng.chance(20) ? bigintOfUint128(pick.transfer.row, 20) : 0n,
    timestampMin: prng.chance(30) ? pick.effect : 0n,
    timestampMax: prng.chance(30) ? prng.pick(entries).effect : 0n,
  };
}

describe('the transfers of an account', () => {
  test.for([
    [1, 1, 0],
    [2, 2, 0],
    [3, 5, 0],
    [4, 2, 30_000],
  ] as const)('are those that took effect on it, page by page (%i)', ([seed, shards, bytes]) => {
    using history = new History(seed, shards, 120, bytes);
    const prng = new Prng(seed);
    const accounts = [...history.built.histories].filter(([, entries]) => entries.length > 0);
    expect(accounts.length).toBeGreaterThan(5);
    for (let round = 0; round < 200; round++) {
      const [accountId, entries] = prng.pick(accounts);
      const filter = { ...randomFilter(prng, entries), accountId };
      const wanted = expected(entries, filter);
      const isEmpty = filter.timestampMax !== 0n && filter.timestampMax < filter.timestampMin;
      const ids: bigint[] = [];
      const effects: bigint[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const page = history.page({ ...filter, cursor });
        expect(page.ids.length).toBeLessThanOrEqual(filter.limit);
        ids.push(...page.ids);
        effects.push(...page.effects);
        cursor = page.next;
      }
      expect(ids).toEqual(isEmpty ? [] : wanted.map(({ transfer }) => transfer.id));
      expect(effects).toEqual(isEmpty ? [] : wanted.map(({ effect }) => effect));
    }
  });

  test.for([
    [true, 0],
    [false, 0],
    [true, 30_000],
    [false, 30_000],
  ] as const)('come once each while more are made (newest first: %s, %i)', ([reversed, bytes]) => {
    using history = new History(11, 2, 60, bytes);
    const [accountId, entries] = [...history.built.histories].toSorted(
      (one, two) => two[1].length - one[1].length,
    )[0]!;
    const before = entries.map(({ transfer }) => transfer.id);
    expect(before.length).toBeGreaterThan(10);
    const filter = { ...NO_FILTER, accountId, reversed, limit: 3 };
    const ids: bigint[] = [];
    let pages = 0;
    for (let cursor: string | null = ''; cursor !== null; pages++) {
      const page = history.page({ ...filter, cursor });
      ids.push(...page.ids);
      cursor = page.next;
      if (cursor !== null && pages < 20) history.grow(3);
    }
    const after = entries.map(({ transfer }) => transfer.id);
    expect(after.length).toBeGreaterThan(before.length);
    expect(ids).toEqual(reversed ? before.toReversed() : after);
  });

  test.for([true, false])('do not mix with those of other pages under way (%s)', (reversed) => {
    using history = new History(12, 1, 150, 30_000);
    const accounts = [...history.built.histories].filter(([, entries]) => entries.length > 16);
    expect(accounts.length).toBeGreaterThan(2);
    const filters = accounts.map(([accountId]) => ({
      ...NO_FILTER,
      accountId,
      reversed,
      limit: 40,
    }));
    const works = filters.map((filter) => {
      const head = history.head(filter.accountId);
      return accountTransfers(filter, head, history.sources[0]!);
    });
    const pages = new Map<number, HistoryPage>();
    for (let turn = 0; pages.size < works.length; turn = (turn + 1) % works.length) {
      const step = pages.has(turn) ? undefined : works[turn]!.next();
      if (step?.done === true) pages.set(turn, step.value);
    }
    const ids = filters.map((_, i) => idsOf(pages.get(i)!));
    expect(ids).toEqual(filters.map((filter) => history.page(filter).ids));
  });

  test('an account without transfers has an empty page', () => {
    using history = new History(4, 1, 5);
    const filter = { ...NO_FILTER, accountId: 77n, reversed: false };
    const head = { shard: 0, low: 0, high: 0, flags: AccountFlags.history };
    const empty = { n: 0, next: null };
    for (const reversed of [true, false]) {
      const asked = { ...filter, reversed };
      expect(run(accountTransfers(asked, head, history.sources[0]!))).toMatchObject(empty);
      expect(run(accountBalances(asked, head, history.sources[0]!))).toMatchObject(empty);
    }
  });

  test('a cursor of another question is refused', () => {
    using history = new History(5, 1, 60);
    const [accountId] = [...history.built.histories].find(([, list]) => list.length > 4)!;
    const filter = { ...NO_FILTER, accountId, reversed: true, limit: 2 };
    const { next } = history.page(filter);
    const refused = expect.objectContaining({
      code: 'malformed_request',
      field: 'cursor',
      rule: 'cursor',
    }) as Error;
    for (const cursor of ['x', '!!', `${next!.slice(0, -2)}AA`]) {
      expect(() => history.page({ ...filter, cursor })).toThrow(refused);
    }
    expect(() => history.page({ ...filter, code: 3, cursor: next! })).toThrow(refused);
    expect(history.page({ ...filter, limit: 9, cursor: next! }).ids.length).toBeGreaterThan(0);
  });
});

describe('the balances of an account', () => {
  test('are those after each of its transfers', () => {
    using history = new History(21, 3, 150);
    let entriesSeen = 0;
    const withoutHistory: number[] = [];
    for (const [accountId, entries] of history.built.histories) {
      const head = history.head(accountId);
      const filter = { ...NO_FILTER, accountId, reversed: entriesSeen % 2 === 0, limit: 1000 };
      const page = run(accountBalances(filter, head, history.sources[head.shard]!));
      if ((head.flags & AccountFlags.history) === 0) {
        withoutHistory.push(page.n);
        continue;
      }
      const wanted = expected(entries, filter);
      const found = wanted.map((_, i) =>
        [0, 4, 8, 12].map((word) => bigintOfUint128(page.balances, i * 16 + word)),
      );
      expect(found).toEqual(wanted.map(({ balances }) => balances));
      expect([...page.timestamps]).toEqual(wanted.map(({ transfer }) => transfer.timestamp));
      entriesSeen += wanted.length;
    }
    expect(entriesSeen).toBeGreaterThan(50);
    expect(new Set(withoutHistory)).toEqual(new Set([0]));
  });
});
