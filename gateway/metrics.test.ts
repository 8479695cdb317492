import { expect, test } from 'vitest';
import { Admission } from './admission.ts';
import { EdgeMeter } from './edge-meter.ts';
import { Metrics, type ShardReading } from './metrics.ts';

const READING: ShardReading = {
  shard: 3,
  state: 'running',
  sequence: 12,
  groups: 4,
  events: 100,
  eventsInGroupMax: 60,
  commitNanosecondsSum: 8e6,
  commitSecondsBuckets: [1, 2, 1],
  groupSizeBuckets: [4],
  commitSecondsBounds: [0.001, 0.01],
  bytesJournalled: 4096,
  parked: 5,
  claimed: 6,
  pendings: 0,
  expiring: 0,
  walksInFlight: 7,
  requestsInFlight: 8,
  statuses: { 'create_transfers.created': 90, 'create_transfers.exceeds_credits': 10 },
  restarts: 2,
};

test('counters of the shards are shown as they are at the scrape', async () => {
  let events = 100;
  const metrics = new Metrics({
    version: '1.2.3',
    shards: () => [{ ...READING, events }],
    meters: [new EdgeMeter('http')],
    admission: new Admission(),
  });
  const text = await metrics.text();
  for (const line of [
    'sycee_shard_state{shard="3",state="running"} 1',
    'sycee_shard_sequence{shard="3"} 12',
    'sycee_shard_events_total{shard="3"} 100',
    'sycee_shard_statuses_total{shard="3",operation="create_transfers",status="exceeds_credits"} 10',
    'sycee_shard_commit_seconds_bucket{shard="3",le="0.001"} 1',
    'sycee_shard_commit_seconds_bucket{shard="3",le="0.01"} 3',
    'sycee_shard_commit_seconds_bucket{shard="3",le="+Inf"} 4',
    'sycee_shard_commit_seconds_sum{shard="3"} 0.008',
    'sycee_shard_commit_seconds_count{shard="3"} 4',
    'sycee_shard_group_events_count{shard="3"} 4',
    'sycee_shard_walks_in_flight{shard="3"} 7',
    'sycee_shard_restarts_total{shard="3"} 2',
    'sycee_version{version="1.2.3"',
  ]) {
    expect(text).toContain(line);
  }
  events = 101;
  expect(await metrics.text()).toContain('sycee_shard_events_total{shard="3"} 101');
});

test('an edge counts requests, errors, and how long they took', () => {
  const meter = new EdgeMeter('nats');
  const started = meter.begin();
  expect(meter.inFlight).toBe(1);
  meter.fail(1, { code: 'overloaded', message: 'full' });
  meter.end(1, started);
  const reading = meter.read()[1]!;
  expect(reading.operation).toBe('create_transfers');
  expect([reading.requests, reading.errors.get('overloaded'), meter.inFlight]).toEqual([1, 1, 0]);
  expect(reading.buckets.reduce((sum, one) => sum + one)).toBe(1);
  const told = meter.read().filter(({ lastError }) => lastError !== '');
  expect(told).toMatchObject([{ operation: 'create_transfers', lastError: 'overloaded: full' }]);
});
