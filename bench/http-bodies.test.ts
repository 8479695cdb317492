import { afterEach, expect, test, vi } from 'vitest';
import { Bodies, type LoadSetup } from './http-bodies.ts';
import { createdOf } from './http-loader.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

const bodiesOf = (some: Partial<LoadSetup> = {}, chain = 1): Bodies =>
  new Bodies({
    workload: {
      accounts: 50,
      shards: 1,
      batch: 12,
      crossShard: undefined,
      seed: 1,
      inFlight: 1,
      pairs: 1_000,
      chain,
    },
    rings: [],
    worker: 0,
    workers: 1,
    ...some,
  });

type Sent = Readonly<Record<string, unknown>>;
const objectsOf = (body: string): readonly Sent[] => [JSON.parse(body) as Sent | Sent[]].flat();

test('no two load processes send the same id, nor does one send it twice', () => {
  // They begin at the same moment, and here in the same process.
  vi.spyOn(Date, 'now').mockReturnValue(1_000);
  const ids = [0, 1, 2].flatMap((worker) => {
    const bodies = bodiesOf({ worker, workers: 3 });
    return [1, 12, 1, 5].flatMap((rows) => objectsOf(bodies.next({}, 0, rows)));
  });
  expect(ids).toHaveLength(57);
  expect(new Set(ids.map(({ id }) => id)).size).toBe(57);
});

test('a chain ends where it is full, and with its request', () => {
  const flagsOf = (rows: number): unknown =>
    objectsOf(bodiesOf({}, 3).next({}, 0, rows)).map(({ flags }) => flags ?? []);
  expect(flagsOf(6)).toEqual([['linked'], ['linked'], [], ['linked'], ['linked'], []]);
  expect(flagsOf(5)).toEqual([['linked'], ['linked'], [], ['linked'], []]);
  expect(flagsOf(1)).toEqual([[]]);
});

test.each([
  ['inherit', false],
  ['name', true],
] as const)('what was pending and answered is posted next, whole: %s', (posts, isNamed) => {
  const bodies = bodiesOf({ posts });
  const sender = {};
  const pending = objectsOf(bodies.next(sender, 0, 2));
  expect(pending.map(({ flags }) => flags)).toEqual([['pending'], ['pending']]);
  bodies.answered(sender);
  const post = objectsOf(bodies.next(sender, 0, 2));
  expect(post.map((one) => one['pending_id'])).toEqual(pending.map(({ id }) => id));
  expect(post.map(({ amount }) => BigInt(amount as string))).toEqual([
    2n ** 128n - 1n,
    2n ** 128n - 1n,
  ]);
  expect(post.map((one) => one['debit_account_id'])).toEqual(
    pending.map((one) => (isNamed ? one['debit_account_id'] : undefined)),
  );
  expect(bodies.tally().created.flat()).not.toContain(1);
  bodies.answered(sender);
  expect(
    bodies
      .tally()
      .created.flat()
      .filter((times) => times === 1),
  ).toHaveLength(2);
  expect(objectsOf(bodies.next(sender, 0, 2))[0]).toMatchObject({ flags: ['pending'] });
});

test('what is under way in the end is told, with how far it came', () => {
  const bodies = bodiesOf({ posts: 'inherit' });
  const [one, other, third] = [{}, {}, {}];
  for (const sender of [one, other, third]) bodies.next(sender, 0, 1);
  bodies.answered(one);
  bodies.answered(other);
  bodies.next(other, 0, 1);
  bodies.answered(other);
  bodies.allLost();
  expect(bodies.tally().unanswered).toMatchObject([
    { pair: 0, isPosting: true },
    { pair: 2, isPosting: false },
  ]);
});

test('asked again, a chain that had happened counts, and one that failed does not', () => {
  const failed = 'linked_event_failed';
  expect(createdOf(['exists', failed, 'created', 'created', 'exists'], 2)).toEqual(
    Array.from({ length: 5 }, () => 'created'),
  );
  expect(createdOf(['exceeds_credits', failed, 'exists', 'exists'], 2)).toEqual([
    'exceeds_credits',
    failed,
    'created',
    'exists',
  ]);
  expect(createdOf(['created', 'exists'], 1)).toEqual(['created', 'created']);
});
