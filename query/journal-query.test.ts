import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { QueryFilter } from '../engine/query.ts';
import { bigintOfUint128, bigintOfUint64 } from '../engine/uint128.ts';
import { Prng } from '../lib/prng.ts';
import { BuiltDirectory } from '../test/support/built-directory.ts';
import { BuiltJournals } from '../test/support/built-journals.ts';
import { EVERY_ROW } from '../test/support/query-filter.ts';
import { queryAccountIds } from './account-query.ts';
import { PAGED_BYTES_MIN } from './frame-store.ts';
import { FilterMemory } from './segment-index.ts';
import { ShardReader } from './shard-reader.ts';
import { queryTransfers } from './transfer-query.ts';

const NO_FILTER: QueryFilter = { ...EVERY_ROW, limit: 10 };

interface Row {
  readonly id: bigint;
  readonly row: Uint32Array;
  readonly timestamp: bigint;
  readonly effect: bigint;
}

class Journals implements Disposable {
  readonly built: BuiltJournals;
  readonly directory: BuiltDirectory;
  readers: ShardReader[] = [];

  constructor(
    seed: number,
    shards: number,
    steps: number,
    { plainPercent = 0, bytesMin = 0 } = {},
  ) {
    this.built = new BuiltJournals(seed, shards, bytesMin);
    this.built.plainPercent = plainPercent;
    for (let i = 0; i < steps; i++) this.built.step();
    this.directory = new BuiltDirectory(this.built, bytesMin === 0 ? 150_000 : 1_500_000);
    this.open();
  }

  open(): void {
    for (const reader of this.readers) reader.close();
    const { directories, clusterId } = this.directory;
    const memory = new FilterMemory(10_000);
    const shards = directories.length;
    this.readers = directories.map((directory, shard) =>
      ShardReader.open({ directory, clusterId, shard, shards }, memory),
    );
  }

  grow(steps: number): void {
    for (let i = 0; i < steps; i++) this.built.step();
    this.directory.write();
  }

  /** Rows of each shard in the order of its journal. */
  rows(kind: 'transfers' | 'accounts'): Row[][] {
    if (kind === 'accounts') {
      return this.built.accountsOf.map((list) =>
        list.map(({ id, row, timestamp }) => ({ id, row, timestamp, effect: timestamp })),
      );
    }
    return this.built.transfersOf.map((list) =>
      list.map(({ transfer, effect }) => ({ ...transfer, effect })),
    );
  }

  /** The file of the first one. */
  get segment(): string {
    const [directory] = this.directory.directories;
    const [name] = readdirSync(directory!).filter((one) => one.endsWith('.sqlite'));
    return join(directory!, name!);
  }

  indexFiles(): string[] {
    return this.directory.directories.flatMap((directory) =>
      readdirSync(directory)
        .filter((name) => name.endsWith('.index'))
        .map((name) => join(directory, name)),
    );
  }

  ask(kind: 'transfers' | 'accounts', filter: QueryFilter): { ids: bigint[]; next: string | null } {
    if (kind === 'accounts') {
      const { n, ids, next } = run(queryAccountIds(filter, this.readers));
      return { ids: Array.from({ length: n }, (_, i) => bigintOfUint128(ids, i * 4)), next };
    }
    const { n, rows, next } = run(queryTransfers(filter, this.readers));
    return { ids: Array.from({ length: n }, (_, i) => bigintOfUint128(rows, i * 32)), next };
  }

  askAll(kind: 'transfers' | 'accounts', filter: QueryFilter): bigint[] {
    const ids: bigint[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = this.ask(kind, { ...filter, cursor });
      if (page.ids.length > filter.limit) throw new Error('a page is within its limit');
      ids.push(...page.ids);
      cursor = page.next;
    }
    return ids;
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

function passes({ row, timestamp }: Row, filter: QueryFilter): boolean {
  return (
    (filter.userData128 === 0n || bigintOfUint128(row, 20) === filter.userData128) &&
    (filter.userData64 === 0n || bigintOfUint64(row, 24) === filter.userData64) &&
    (filter.userData32 === 0 || row[26] === filter.userData32) &&
    (filter.ledger === 0 || row[28] === filter.ledger) &&
    (filter.code === 0 || (row[29]! & 0xffff) === filter.code) &&
    timestamp >= filter.timestampMin &&
    (filter.timestampMax === 0n || timestamp <= filter.timestampMax)
  );
}

/** Merged by effect timestamp, each shard in its own order. */
function expected(lists: readonly Row[][], filter: QueryFilter): bigint[] {
  const left = lists.map((list) => {
    const passing = list.filter((row) => passes(row, filter));
    return filter.reversed ? passing.toReversed() : passing;
  });
  const ids: bigint[] = [];
  for (;;) {
    let best: Row[] | undefined;
    for (const list of left) {
      if (list.length === 0) continue;
      if (best === undefined) best = list;
      else if (
        filter.reversed ? list[0]!.effect > best[0]!.effect : list[0]!.effect < best[0]!.effect
      ) {
        best = list;
      }
    }
    if (best === undefined) return ids;
    ids.push(best.shift()!.id);
  }
}

function randomFilter(prng: Prng, rows: readonly Row[]): QueryFilter {
  const { row, timestamp } = prng.pick(rows);
  return {
    ...NO_FILTER,
    reversed: prng.chance(50),
    limit: prng.pick([7, 40, 1000]),
    userData128: prng.chance(20) ? bigintOfUint128(row, 20) : 0n,
    userData64: prng.chance(30) ? bigintOfUint64(row, 24) : 0n,
    userData32: prng.chance(20) ? row[26]! : 0,
    ledger: prng.chance(20) ? prng.pick([7, 8]) : 0,
    code: prng.chance(20) ? row[29]! & 0xffff : 0,
    timestampMin: prng.chance(20) ? timestamp : 0n,
    timestampMax: prng.chance(20) ? timestamp + 50_000n : 0n,
  };
}

describe.for(['transfers', 'accounts'] as const)('a query for %s', (kind) => {
  test.for([
    [1, 1],
    [2, 2],
    [3, 5],
  ] as const)('finds what was stored, page by page (seed %i)', ([seed, shards]) => {
    using journals = new Journals(seed, shards, 150);
    const prng = new Prng(seed);
    const lists = journals.rows(kind);
    for (let round = 0; round < 50; round++) {
      if (round === 25) journals.open();
      const filter = randomFilter(prng, lists.flat());
      expect(journals.askAll(kind, filter)).toEqual(expected(lists, filter));
    }
    expect(journals.indexFiles().length).toBeGreaterThan(0);
  });

  test('finds what lies in large frames, in the WAL and in sealed segments', () => {
    const world = { plainPercent: 70, bytesMin: PAGED_BYTES_MIN };
    using journals = new Journals(4, 1, 150, world);
    const prng = new Prng(4);
    for (let round = 0; round < 50; round++) {
      if (round % 10 === 5) journals.grow(10);
      const lists = journals.rows(kind);
      const filter = randomFilter(prng, lists.flat());
      expect(journals.askAll(kind, filter)).toEqual(expected(lists, filter));
    }
    expect(journals.indexFiles().length).toBeGreaterThan(0);
  });

  test.for([true, false])(
    'gives each row once while more are written (reversed: %s)',
    (reversed) => {
      using journals = new Journals(7, 3, 60);
      const code = kind === 'transfers' ? 2 : 0;
      const filter = { ...NO_FILTER, reversed, code, limit: 4 };
      const before = expected(journals.rows(kind), filter);
      expect(before.length).toBeGreaterThan(8);
      const ids: bigint[] = [];
      let pages = 0;
      for (let cursor: string | null = ''; cursor !== null; pages++) {
        const page = journals.ask(kind, { ...filter, cursor });
        ids.push(...page.ids);
        cursor = page.next;
        if (cursor !== null && pages < 25) journals.grow(4);
      }
      const after = expected(journals.rows(kind), filter);
      expect(after.length).toBeGreaterThan(before.length);
      // The shards grow on after a page, so their later rows come in another order than if they were there before.
      expect(new Set(ids)).toEqual(new Set(reversed ? before : after));
      expect(ids.length).toBe(reversed ? before.length : after.length);
    },
  );

  test('an invalid filter is an empty page, and an unusable cursor is refused', () => {
    using journals = new Journals(8, 1, 30);
    const invalid = { ...NO_FILTER, timestampMin: 9n, timestampMax: 8n };
    expect(journals.ask(kind, invalid)).toEqual({ ids: [], next: null });
    const { next } = journals.ask(kind, { ...NO_FILTER, limit: 1 });
    const refused = expect.objectContaining({
      code: 'malformed_request',
      field: 'cursor',
    }) as Error;
    expect(() => journals.ask(kind, { ...NO_FILTER, code: 1, cursor: next! })).toThrow(refused);
    const other = kind === 'accounts' ? 'transfers' : 'accounts';
    expect(() => journals.ask(other, { ...NO_FILTER, cursor: next! })).toThrow(refused);
  });
});

describe('the index of a segment', () => {
  test('is made again when it is deleted, damaged, or another one', () => {
    using journals = new Journals(9, 2, 250);
    const filter = { ...NO_FILTER, code: 3, limit: 1000 };
    const ids = journals.askAll('transfers', filter);
    const files = journals.indexFiles();
    expect(files.length).toBeGreaterThan(2);
    const bytes = files.map((file) => readFileSync(file));
    const damaged = Uint8Array.from(bytes[1]!);
    damaged[damaged.length - 5]! ^= 1;
    rmSync(files[0]!);
    writeFileSync(files[1]!, damaged);
    writeFileSync(files[2]!, bytes[0]!);
    journals.open();
    expect(journals.askAll('transfers', filter)).toEqual(ids);
    expect(journals.indexFiles()).toEqual(files);
    expect(files.map((file) => readFileSync(file))).toEqual(bytes);
  });

  test('is the same whether it was sealed before anybody read it or since, of large frames of which only columns are read then', () => {
    using journals = new Journals(11, 1, 20, { plainPercent: 70, bytesMin: PAGED_BYTES_MIN });
    const before = journals.indexFiles().length;
    for (const steps of [150, 10, 150]) {
      journals.grow(steps);
      journals.ask('transfers', { ...NO_FILTER, code: 3 });
    }
    const files = journals.indexFiles();
    expect(files.length - before).toBeGreaterThan(3);
    const bytes = files.map((file) => readFileSync(file));
    for (const file of files) rmSync(file);
    journals.open();
    journals.ask('transfers', { ...NO_FILTER, code: 3 });
    expect(journals.indexFiles()).toEqual(files);
    expect(files.map((file) => readFileSync(file))).toEqual(bytes);
  });

  test('is the same when whoever makes it is left again and again, in the midst of a frame', () => {
    using journals = new Journals(13, 1, 160, { plainPercent: 20, bytesMin: PAGED_BYTES_MIN });
    journals.ask('transfers', { ...NO_FILTER, code: 3 });
    const files = journals.indexFiles();
    const bytes = files.map((file) => readFileSync(file));
    expect(files.length).toBeGreaterThan(1);
    for (const file of files) rmSync(file);
    journals.open();
    const { index, journal } = journals.readers[0]!;
    let timesLeftInFrame = 0;
    while (index.last < journal.lastSequence()) {
      const { last } = index;
      const work = index.refresh();
      work.next();
      work.return(0);
      if (index.last === last) timesLeftInFrame++;
    }
    index.refresh().toArray();
    expect(timesLeftInFrame).toBeGreaterThan(30);
    expect(files.map((file) => readFileSync(file))).toEqual(bytes);
  });

  test('is not made of a segment from before, of which anything is damaged', () => {
    using journals = new Journals(12, 1, 60, { plainPercent: 100, bytesMin: PAGED_BYTES_MIN });
    const { segment } = journals;
    const bytes = readFileSync(segment);
    // In the midst of a frame, of which the queried columns are a small part.
    bytes[Math.floor(bytes.length * 0.55)]! ^= 1;
    writeFileSync(segment, bytes);
    journals.open();
    const filter = { ...NO_FILTER, userData64: 77n };
    expect(() => journals.ask('transfers', filter)).toThrow('does not match its checksum');
  });

  test('answers on when its files vanish while it is used', () => {
    using journals = new Journals(10, 2, 250);
    const filter = { ...NO_FILTER, userData32: 3, limit: 1000 };
    const ids = journals.askAll('transfers', filter);
    journals.open();
    journals.askAll('accounts', NO_FILTER);
    for (const file of journals.indexFiles()) rmSync(file);
    expect(journals.askAll('transfers', filter)).toEqual(ids);
  });
});
