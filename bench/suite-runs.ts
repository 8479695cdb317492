/**
 * Which runs the suite is made of, in the order of what they say. Those of the whole one are for figures: three repeats and more. The quick ones show
 * that everything works, and the rough size of things.
 */
import type { SuiteName } from './suite.ts';

export interface SuiteRun {
  readonly name: string;
  /** Arguments of the bench. */
  readonly command: string;
  /** What it takes with accounts, verification, and replay, on two cores that nobody else uses. One that the time does not suffice for is left out. */
  readonly seconds: number;
  readonly needsNats: boolean;
}

type Row = readonly [name: string, command: string, seconds: number];

const MILLION = '--accounts 1000000';
const REPEATS = '--warm-up 1 --seconds 2 --repeat 3';
/** autocannon counts in whole seconds, and an echo server has as many. */
const HTTP = '--transport http --warm-up 1 --seconds 2 --repeat 3';
const BRIEF_HTTP = '--transport http --warm-up 1 --seconds 2 --repeat 2';
const NATS = `--transport nats ${REPEATS}`;

const FULL: readonly Row[] = [
  ['limits of the machine', 'limits', 20],
  ['uniform, 1 M accounts', `uniform ${MILLION} --seconds 3 --repeat 5`, 45],
  ['cross-shard, two shards', `cross-shard ${MILLION} --in-flight 12 ${REPEATS}`, 50],
  ['uniform', `uniform ${NATS}`, 18],
  ['small-batches', `small-batches ${NATS}`, 50],
  ['uniform', `uniform ${HTTP}`, 18],
  ['hot-account', `hot-account ${REPEATS}`, 18],
  ['zipfian, 1 M accounts', `zipfian ${MILLION} ${REPEATS}`, 25],
  ['pending-post', `pending-post ${REPEATS}`, 18],
  ['chains of 2', `chains ${REPEATS}`, 18],
  ['chains of 2, apart on two shards', `chains --shards 2 --legs apart ${REPEATS}`, 18],
  ['single-calls', `single-calls ${NATS}`, 18],
  ['small-batches', `small-batches ${REPEATS}`, 50],
  [
    'batches of 16 at 40,000/s',
    'uniform --transport nats --batch 16 --rate 40000 --seconds 4 --repeat 3',
    25,
  ],
  [
    'batches of 1,024 at 250,000/s',
    `uniform ${MILLION} --batch 1024 --rate 250000 --seconds 4 --repeat 3`,
    30,
  ],
  [
    'one in a request at 3,000/s',
    'uniform --rate 3000 --transport http --seconds 4 --repeat 3',
    20,
  ],
  ['growth to 10 M', 'growth --transfers 10000000 --steps 10 --accounts 1000000', 45],
  ['recovery, 2 M transfers', 'recovery --history 2000000 --suffix 500000', 25],
  [
    'snapshot-under-load at 150,000/s',
    'snapshot-under-load --history 2000000 --batch 1024 --rate 150000 --rounds 2 --seconds 3',
    35,
  ],
  [
    'queries, 1 M transfers',
    'queries --history 1000000 --questions 300 --rounds 2 --seconds 2 --readers 1 --read-rate 20',
    50,
  ],
  ['cross-shard, two shards', `cross-shard ${NATS}`, 45],
  ['hot-account', `hot-account ${NATS}`, 18],
  ['zipfian', `zipfian ${NATS}`, 18],
  ['pending-post', `pending-post ${NATS}`, 18],
  ['chains of 2', `chains ${NATS}`, 18],
  ['single-calls', `single-calls ${REPEATS}`, 18],
  ['small-batches', `small-batches ${HTTP}`, 45],
  ['hot-account', `hot-account ${HTTP}`, 15],
  ['zipfian', `zipfian ${HTTP}`, 15],
  ['cross-shard, two shards', `cross-shard ${HTTP}`, 35],
  ['chains of 2', `chains ${BRIEF_HTTP}`, 10],
  ['pending-post', `pending-post ${BRIEF_HTTP}`, 10],
  ['growth to 1 M', 'growth --transport http --transfers 1000000 --steps 5', 9],
  ['recovery, 300,000 transfers', 'recovery --transport nats --history 300000 --suffix 50000', 7],
  [
    'queries, 100,000 transfers',
    'queries --transport http --history 100000 --questions 20 --rounds 1 --seconds 0.5 --warm-up 0.2',
    10,
  ],
];

const SHORT = '--accounts 20000 --warm-up 0.3 --seconds 0.5 --repeat 2';
/** Of several loads in one run: one each. */
const SHORT_ONCE = '--accounts 20000 --warm-up 0.3 --seconds 0.5';
/** One slice of autocannon is a second. */
const SHORT_HTTP = '--accounts 20000 --transport http --warm-up 0 --seconds 1';

const QUICK: readonly Row[] = [
  ['uniform', `uniform ${SHORT}`, 4],
  ['cross-shard, two shards', `cross-shard ${SHORT_ONCE}`, 10],
  ['uniform', `uniform --transport nats ${SHORT}`, 6],
  ['uniform', `uniform ${SHORT_HTTP}`, 10],
  ['small-batches', `small-batches ${SHORT_ONCE}`, 12],
  ['zipfian', `zipfian ${SHORT}`, 4],
  ['hot-account', `hot-account ${SHORT}`, 4],
  ['pending-post', `pending-post ${SHORT}`, 4],
  ['chains of 2', `chains ${SHORT}`, 4],
  ['single-calls', `single-calls ${SHORT}`, 4],
  ['batches of 16 at 10,000/s', `uniform --transport nats --batch 16 --rate 10000 ${SHORT}`, 6],
  ['growth to 500,000', 'growth --transfers 500000 --steps 5 --accounts 20000', 5],
  ['recovery', 'recovery --history 100000 --suffix 20000 --accounts 20000', 5],
  [
    'queries',
    'queries --history 50000 --questions 20 --rounds 1 --accounts 20000 --seconds 0.4 --warm-up 0.2',
    8,
  ],
  ['limits of the machine', 'limits --seconds 0.2', 8],
  ['pending-post', `pending-post ${SHORT_HTTP}`, 5],
  ['chains of 2', `chains ${SHORT_HTTP}`, 5],
];

export function suiteRuns(suite: SuiteName): readonly SuiteRun[] {
  return (suite === 'full' ? FULL : QUICK).map(([name, command, seconds]) => ({
    name,
    command,
    seconds,
    needsNats: command.includes('--transport nats'),
  }));
}
