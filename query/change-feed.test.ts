import { describe, expect, test } from 'vitest';
import { AccountFlags, TransferFlags } from '../engine/flags.ts';
import { ChangeType, type ChangesFilter } from '../engine/query.ts';
import { bigintOfUint128 } from '../engine/uint128.ts';
import { Prng } from '../lib/prng.ts';
import { BuiltDirectory } from '../test/support/built-directory.ts';
import {
  applyTransfer,
  BuiltJournals,
  type BuiltTransfer,
} from '../test/support/built-journals.ts';
import { ChangeFeed } from './change-feed.ts';
import { PAGED_BYTES_MIN } from './frame-store.ts';
import { FilterMemory } from './segment-index.ts';
import { ShardReader } from './shard-reader.ts';

const ALL: ChangesFilter = { timestampMin: 0n, timestampMax: 0n, limit: 100, cursor: '' };

interface Event {
  readonly type: number;
  readonly timestamp: bigint;
  readonly transferId: bigint;
  /** Of the debit account, then of the credit account. */
  readonly balances: readonly bigint[];
  readonly closed: readonly boolean[];
}

class Feed implements Disposable {
  readonly built: BuiltJournals;
  readonly directory: BuiltDirectory;
  readonly readers: readonly ShardReader[];
  feed: ChangeFeed;

  constructor(
    seed: number,
    shards: number,
    steps: number,
    { plainPercent = 0, bytesMin = 0 } = {},
  ) {
    this.built = new BuiltJournals(seed, shards, bytesMin);
    this.built.plainPercent = plainPercent;
    for (let i = 0; i < steps; i++) this.built.step();
    this.directory = new BuiltDirectory(this.built, bytesMin === 0 ? 400_000 : 1_500_000);
    const { directories, clusterId } = this.directory;
    const memory = new FilterMemory(1 << 20);
    this.readers = directories.map((directory, shard) =>
      ShardReader.open({ directory, clusterId, shard, shards }, memory),
    );
    this.feed = new ChangeFeed(this.readers);
  }

  grow(steps: number): void {
    for (let i = 0; i < steps; i++) this.built.step();
    this.directory.write();
  }

  beginAnew(): void {
    this.feed = new ChangeFeed(this.readers);
  }

  /** The events of a page that is read by itself. */
  alone(filter: ChangesFilter): Event[] {
    this.beginAnew();
    const { events } = this.page(filter);
    if (this.feed.byteLength > 0) throw new Error('somebody was followed');
    return events;
  }

  page(filter: ChangesFilter): { events: Event[]; next: string | null } {
    const page = run(this.feed.page(filter, this.built.watermark()));
    const accounts = [page.debitAccounts, page.creditAccounts];
    const events = Array.from({ length: page.n }, (_, i) => ({
      type: page.types[i]!,
      timestamp: page.timestamps[i]!,
      transferId: bigintOfUint128(page.transfers, i * 32),
      balances: accounts.flatMap((rows) =>
        [4, 8, 12, 16].map((word) => bigintOfUint128(rows, i * 32 + word)),
      ),
      closed: accounts.map((rows) => ((rows[i * 32 + 29]! >>> 16) & AccountFlags.closed) !== 0),
    }));
    return { events, next: page.next };
  }

  [Symbol.dispose](): void {
    for (const reader of this.readers) reader.close();
    this.directory[Symbol.dispose]();
  }
}

function run<Result>(work: Generator<unknown, Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Every change before the watermark, one after the other over plain objects. */
function expected(built: BuiltJournals): Event[] {
  const balances = new Map(built.accounts.map(({ id }) => [id, [0n, 0n, 0n, 0n]]));
  const closed = new Set<bigint>();
  const setClosed = ({ flags, debit }: BuiltTransfer, isClosed: boolean): void => {
    if ((flags & TransferFlags.closingDebit) === 0) return;
    if (isClosed) closed.add(debit);
    else closed.delete(debit);
  };
  const watermark = built.watermark();
  return built.changes
    .filter(({ key }) => key < watermark)
    .toSorted((one, two) => (one.key < two.key ? -1 : 1))
    .map(({ type, key, transfer }) => {
      const { debit, credit, pending } = transfer;
      if (type === ChangeType.two_phase_expired) {
        balances.get(debit)![0]! -= transfer.amount;
        balances.get(credit)![2]! -= transfer.amount;
        setClosed(transfer, false);
      } else {
        applyTransfer(balances.get(debit)!, transfer, true);
        applyTransfer(balances.get(credit)!, transfer, false);
        setClosed(pending ?? transfer, pending === undefined);
      }
      return {
        type,
        timestamp: key,
        transferId: transfer.id,
        balances: [...balances.get(debit)!, ...balances.get(credit)!],
        closed: [closed.has(debit), closed.has(credit)],
      };
    });
}

describe('the feed of changes', () => {
  test.for([
    [1, 1],
    [2, 2],
    [3, 5],
    [4, 16],
  ] as const)(
    'has every change in order, with the balances after it (seed %i)',
    ([seed, shards]) => {
      using feed = new Feed(seed, shards, 250);
      const prng = new Prng(seed);
      const events = expected(feed.built);
      expect(new Set(events.map(({ type }) => type)).size).toBe(5);
      for (const limit of [1000, 37]) {
        const found: Event[] = [];
        for (let cursor: string | null = ''; cursor !== null;) {
          const page = feed.page({ ...ALL, limit, cursor });
          found.push(...page.events);
          cursor = page.next;
        }
        expect(found).toEqual(events);
      }
      for (let round = 0; round < 20; round++) {
        const timestampMin = prng.pick(events).timestamp;
        const timestampMax = prng.chance(50) ? prng.pick(events).timestamp : 0n;
        const wanted = events.filter(
          ({ timestamp }) =>
            timestamp >= timestampMin && (timestampMax === 0n || timestamp <= timestampMax),
        );
        const page = feed.page({ timestampMin, timestampMax, limit: 50, cursor: '' });
        expect(page.events).toEqual(wanted.slice(0, 50));
        expect(page.next === null).toBe(wanted.length < 50);
      }
    },
  );

  test('gives each change once while more are made, also from the beginning again', () => {
    using feed = new Feed(5, 3, 40);
    const found: Event[] = [];
    const again: Event[][] = [];
    const anew: Event[][] = [];
    let pages = 0;
    for (let cursor: string | null = ''; cursor !== null; pages++) {
      const page = feed.page({ ...ALL, limit: 9, cursor });
      found.push(...page.events);
      cursor = page.next;
      if (cursor !== null && pages < 40) feed.grow(3);
      if (pages % 10 !== 9) continue;
      again.push(feed.page(ALL).events);
      anew.push(expected(feed.built).slice(0, 100));
    }
    expect(again.length).toBeGreaterThan(3);
    expect(again).toEqual(anew);
    expect(found).toEqual(expected(feed.built));
    expect(pages).toBeGreaterThan(40);
  });

  test('goes on behind its last change when there are more', () => {
    using feed = new Feed(6, 2, 60);
    const before = feed.page({ ...ALL, limit: 8000 });
    expect(before.next).toBeNull();
    feed.grow(20);
    const timestampMin = before.events.at(-1)!.timestamp + 1n;
    const after = feed.page({ ...ALL, timestampMin, limit: 8000 });
    expect([...before.events, ...after.events]).toEqual(expected(feed.built));
  });

  test('survives a question that was left at its deadline', () => {
    using feed = new Feed(7, 2, 150);
    for (let steps = 1; steps < 40; steps += 3) {
      const work = feed.feed.page({ ...ALL, limit: 8000 }, feed.built.watermark());
      for (let i = 0; i < steps; i++) work.next();
      work.return(undefined as never);
    }
    expect(feed.page({ ...ALL, limit: 8000 }).events).toEqual(expected(feed.built));
  });

  test.for([
    [11, 100, 400, 0],
    [12, 90, 400, 0],
    [13, 50, 400, 0],
    [14, 100, 200, PAGED_BYTES_MIN],
    [15, 80, 200, PAGED_BYTES_MIN],
  ] as const)(
    'knows the balances behind frames that it passed as a whole (seed %i)',
    ([seed, plainPercent, steps, bytesMin]) => {
      using feed = new Feed(seed, 1, steps, { plainPercent, bytesMin });
      const prng = new Prng(seed);
      const events = expected(feed.built);
      for (let round = 0; round < 30; round++) {
        if (prng.chance(50)) feed.beginAnew();
        const at = prng.below(events.length);
        const timestampMin = events[at]!.timestamp - BigInt(prng.below(3));
        const wanted = events.filter(({ timestamp }) => timestamp >= timestampMin);
        if (prng.chance(30)) {
          const filter = { ...ALL, timestampMin };
          const work = feed.feed.page(filter, feed.built.watermark());
          for (let i = prng.below(300); i > 0; i--) work.next();
          work.return(undefined as never);
        }
        const first = feed.page({ ...ALL, timestampMin, limit: 60 });
        expect(first.events).toEqual(wanted.slice(0, 60));
        if (first.next === null) continue;
        const second = feed.page({ ...ALL, timestampMin, limit: 60, cursor: first.next });
        expect(second.events).toEqual(wanted.slice(60, 120));
      }
      const late = { ...ALL, timestampMin: events.at(-1)!.timestamp + 1n };
      feed.beginAnew();
      expect(feed.page(late).events).toEqual([]);
      feed.grow(30);
      const grown = expected(feed.built).slice(events.length);
      expect(feed.page({ ...late, limit: 8000 }).events).toEqual(grown);
    },
  );

  test.for([
    { seed: 21, shards: 1, plainPercent: 0, bytesMin: 0 },
    { seed: 22, shards: 2, plainPercent: 30, bytesMin: 0 },
    { seed: 23, shards: 5, plainPercent: 0, bytesMin: 0 },
    { seed: 24, shards: 16, plainPercent: 0, bytesMin: 0 },
    { seed: 25, shards: 1, plainPercent: 100, bytesMin: PAGED_BYTES_MIN },
    { seed: 26, shards: 1, plainPercent: 60, bytesMin: PAGED_BYTES_MIN },
    { seed: 27, shards: 3, plainPercent: 40, bytesMin: PAGED_BYTES_MIN },
  ])(
    'gives pages from any time on by themselves, over $shards shards (seed $seed)',
    ({ seed, shards, ...world }) => {
      using feed = new Feed(seed, shards, 250, world);
      const prng = new Prng(seed);
      const events = expected(feed.built);
      for (let round = 0; round < 60; round++) {
        const timestampMin = prng.pick(events).timestamp + BigInt(prng.between(-2, 2));
        const isBounded = prng.chance(30);
        const timestampMax = isBounded ? timestampMin + BigInt(prng.below(60_000)) : 0n;
        const limit = prng.pick([1, 5, 100, 8000]);
        const wanted = events.filter(
          ({ timestamp }) => timestamp >= timestampMin && (!isBounded || timestamp <= timestampMax),
        );
        const found = feed.alone({ timestampMin, timestampMax, limit, cursor: '' });
        expect(found).toEqual(wanted.slice(0, limit));
        if (round % 10 === 9) feed.grow(2);
        if (round % 10 === 9) events.splice(0, events.length, ...expected(feed.built));
      }
    },
  );

  test('begins to follow who goes on from a page, and nobody else', () => {
    using feed = new Feed(28, 2, 300);
    const events = expected(feed.built);
    const from = (at: number): ChangesFilter => {
      return { ...ALL, timestampMin: events[at]!.timestamp, limit: 10 };
    };
    for (const at of [400, 40, 300, 200, 100]) {
      expect(feed.page(from(at)).events).toEqual(events.slice(at, at + 10));
      expect(feed.feed.byteLength).toBe(0);
    }
    const nothing = { ...ALL, timestampMin: feed.built.watermark() };
    for (let i = 0; i < 3; i++) expect(feed.page(nothing).events).toEqual([]);
    expect(feed.feed.byteLength).toBe(0);
    const behind = { ...from(310), timestampMin: events[309]!.timestamp + 1n };
    expect(feed.page(behind).events).toEqual(events.slice(310, 320));
    expect(feed.feed.byteLength).toBeGreaterThan(0);
    // What the follower still has, or has not far to go to, is asked of it.
    expect(feed.page(from(312)).events).toEqual(events.slice(312, 322));
    const { byteLength } = feed.feed;
    expect(feed.page(from(5)).events).toEqual(events.slice(5, 15));
    expect(feed.feed.byteLength).toBe(byteLength);
    feed.beginAnew();
    const first = feed.page(from(50));
    const second = feed.page({ ...from(50), cursor: first.next! });
    expect([...first.events, ...second.events]).toEqual(events.slice(50, 70));
    expect(feed.feed.byteLength).toBeGreaterThan(0);
  });

  test('an unusable cursor is refused', () => {
    using feed = new Feed(8, 1, 30);
    const refused = expect.objectContaining({
      code: 'malformed_request',
      field: 'cursor',
    }) as Error;
    expect(() => feed.page({ ...ALL, cursor: 'AAAA' })).toThrow(refused);
  });
});
