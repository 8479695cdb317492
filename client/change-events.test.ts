import { expect, test } from 'vitest';
import { type ChangesSource, followChanges } from './change-events.ts';
import type { PageInput } from './filters.ts';
import type { ChangeEvent } from './reads.ts';

const change = (timestamp: bigint): ChangeEvent =>
  ({ type: 'single_phase', timestamp, transfer: { id: timestamp } }) as ChangeEvent;

/** All changes so far, told in pages; its waits are noted, and end at once. */
class FakeSource implements ChangesSource {
  readonly all: ChangeEvent[] = [];
  readonly asked: PageInput[] = [];
  readonly waits: number[] = [];
  /** What happens during the next waits. */
  readonly meanwhile: (() => void)[] = [];
  readonly clock = {
    now: () => 0,
    random: () => 0,
    after: (ms: number, onTime: () => void): (() => void) => {
      this.waits.push(ms);
      this.meanwhile.shift()?.();
      queueMicrotask(onTime);
      return () => {};
    },
  };

  page(filter: PageInput): Promise<{ changes: readonly ChangeEvent[]; next: string | null }> {
    this.asked.push(filter);
    const from = Number(filter.cursor ?? 0);
    const changes = this.all.slice(from, from + filter.limit!);
    const to = from + changes.length;
    return Promise.resolve({ changes, next: to < this.all.length ? String(to) : null });
  }
}

async function timestamps(events: AsyncIterable<ChangeEvent>, max = 1000): Promise<bigint[]> {
  const told: bigint[] = [];
  for await (const event of events) {
    told.push(event.timestamp);
    if (told.length === max) break;
  }
  return told;
}

test('changes come page after page, and end where they end', async () => {
  const source = new FakeSource();
  for (let i = 1n; i <= 7n; i++) source.all.push(change(i));
  const events = followChanges(source, { limit: 3, timestampMin: 1n }, {});
  expect(await timestamps(events)).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n]);
  expect(source.asked.map(({ cursor }) => cursor)).toEqual([null, '3', '6']);
  expect(source.asked.every(({ timestampMin }) => timestampMin === 1n)).toBe(true);
  expect(source.waits).toEqual([]);
});

test('who follows is told what comes later, each change once', async () => {
  const source = new FakeSource();
  source.all.push(change(1n), change(3n));
  source.meanwhile.push(
    () => {},
    () => source.all.push(change(4n), change(5n)),
    // A shard that was behind: its change stands before what has been told.
    () => source.all.splice(3, 0, change(2n)),
    () => source.all.push(change(6n)),
  );
  const events = followChanges(source, { limit: 3 }, { follow: true });
  expect(await timestamps(events, 6)).toEqual([1n, 3n, 4n, 5n, 2n, 6n]);
});

test('the wait grows up to its bound, and is short again after a change', async () => {
  const source = new FakeSource();
  const idle = Array.from({ length: 8 }, () => () => {});
  source.meanwhile.push(
    ...idle,
    () => source.all.push(change(1n)),
    () => {},
    () => {
      source.all.push(change(2n));
    },
  );
  const events = followChanges(source, {}, { follow: true, waitMsMax: 100 });
  expect(await timestamps(events, 2)).toEqual([1n, 2n]);
  expect(source.waits).toEqual([40, 80, 100, 100, 100, 100, 100, 100, 100, 20, 40]);
});

test('an abort ends the following, also in the middle of a wait', async () => {
  const source = new FakeSource();
  source.all.push(change(1n));
  const stop = new AbortController();
  source.meanwhile.push(() => stop.abort());
  const events = followChanges(source, {}, { follow: true, signal: stop.signal });
  expect(await timestamps(events)).toEqual([1n]);
  expect(source.asked).toHaveLength(1);
});

test('what a question rejects with ends the iteration', async () => {
  const source = new FakeSource();
  source.page = () => Promise.reject(new Error('overloaded'));
  await expect(timestamps(followChanges(source, {}, {}))).rejects.toThrow('overloaded');
});

test('a wait without an end is refused', async () => {
  const source = new FakeSource();
  for (const waitMsMax of [0, -1, Number.NaN, 60_001]) {
    const events = followChanges(source, {}, { follow: true, waitMsMax });
    await expect(timestamps(events)).rejects.toMatchObject({ field: 'waitMsMax' });
  }
});
