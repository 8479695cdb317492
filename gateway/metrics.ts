/**
 * The Prometheus document of `/metrics`.
 *
 * The hot paths count in plain arrays and in shared memory; only a scrape copies them into text. So none of the metrics below is a
 * prom-client counter: each one is read when the registry asks, by functions that the owners of the figures pass in. The first scrape
 * loads prom-client: a start need not wait for it.
 */
import type { Metric, Registry } from 'prom-client';
import { type EdgeMeter, LATENCY_SECONDS_BOUNDS } from './edge-meter.ts';

/** Counters of one shard, as the supervisor reads them from shared memory. */
export interface ShardReading {
  readonly shard: number;
  readonly state: string;
  readonly sequence: number;
  readonly groups: number;
  readonly events: number;
  readonly eventsInGroupMax: number;
  readonly commitNanosecondsSum: number;
  /** Groups per bucket, not cumulative, one more than there are bounds. */
  readonly commitSecondsBuckets?: readonly number[] | undefined;
  readonly groupSizeBuckets?: readonly number[] | undefined;
  /** Upper bounds of the buckets; without them only sum and count are shown. */
  readonly commitSecondsBounds?: readonly number[] | undefined;
  readonly groupSizeBounds?: readonly number[] | undefined;
  readonly bytesJournalled: number;
  readonly parked: number;
  readonly claimed: number;
  readonly pendings: number;
  readonly expiring: number;
  readonly walksInFlight: number;
  readonly requestsInFlight: number;
  readonly queueDepth?: number | undefined;
  /** Outcomes by operation and name: `create_transfers.created`. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly restarts: number;
  readonly accounts?: number | undefined;
  readonly transfers?: number | undefined;
  readonly tableBytes?: number | undefined;
  readonly storageFull?: number | undefined;
  readonly storageRefused?: number | undefined;
}

export interface MetricsSources {
  readonly version: string;
  readonly shards: () => readonly ShardReading[];
  readonly meters: readonly EdgeMeter[];
  readonly admission: {
    readonly requests: number;
    readonly bytes: number;
    readonly refused: number;
  };
}

type Labels = Readonly<Record<string, string | number>>;

interface Sample {
  readonly labels: Labels;
  readonly value: number;
  readonly metricName?: string;
}

type MetricType = 'counter' | 'gauge' | 'histogram';

/** What a registry asks of a metric. It reads its samples when it is scraped. */
class ReadMetric {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly aggregator = 'sum';
  readonly #read: () => readonly Sample[];

  constructor(type: MetricType, name: string, help: string, read: () => readonly Sample[]) {
    this.type = type;
    this.name = name;
    this.help = help;
    this.#read = read;
  }

  get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    return Promise.resolve({ name, help, type, aggregator, values: this.#read() });
  }

  /** A registry resets what it holds; these figures belong to others. */
  reset(): void {}
}

export class Metrics {
  /** Of what `text` gives. */
  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8';
  readonly #sources: MetricsSources;
  readonly #metrics: ReadMetric[] = [];
  #registry: Promise<Registry> | undefined;

  constructor(sources: MetricsSources) {
    this.#sources = sources;
    this.#addShards();
    this.#addShardHistograms();
    this.#addEdges();
  }

  async text(): Promise<string> {
    this.#registry ??= this.#makeRegistry();
    return (await this.#registry).metrics();
  }

  async #makeRegistry(): Promise<Registry> {
    const { collectDefaultMetrics, Registry } = await import('prom-client');
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    for (const metric of this.#metrics) registry.registerMetric(metric as unknown as Metric);
    return registry;
  }

  #add(type: MetricType, name: string, help: string, read: () => readonly Sample[]): void {
    this.#metrics.push(new ReadMetric(type, `sycee_${name}`, help, read));
  }

  #addShards(): void {
    const { shards } = this.#sources;
    const perShard = (
      type: MetricType,
      name: string,
      help: string,
      read: (reading: ShardReading) => number,
    ): void => {
      this.#add(type, `shard_${name}`, help, () =>
        shards().map((one) => ({ labels: { shard: one.shard }, value: read(one) })),
      );
    };
    this.#add('gauge', 'shard_state', '1 for the state that the shard is in', () =>
      shards().map((one) => ({ labels: { shard: one.shard, state: one.state }, value: 1 })),
    );
    this.#add('counter', 'shard_statuses_total', 'Events by their outcome', () =>
      shards().flatMap((one) =>
        Object.entries(one.statuses).map(([name, value]) => ({
          labels: { shard: one.shard, ...outcomeLabels(name) },
          value,
        })),
      ),
    );
    perShard('gauge', 'sequence', 'Newest sequence in the journal', (one) => one.sequence);
    perShard('counter', 'groups_total', 'Groups committed', (one) => one.groups);
    perShard('counter', 'events_total', 'Events carried out', (one) => one.events);
    perShard(
      'gauge',
      'group_events_max',
      'Events of the largest group',
      (one) => one.eventsInGroupMax,
    );
    perShard('counter', 'journal_bytes_total', 'Bytes journalled', (one) => one.bytesJournalled);
    perShard(
      'gauge',
      'queue_depth',
      'Bytes that wait in the request ring',
      (one) => one.queueDepth ?? 0,
    );
    perShard(
      'gauge',
      'requests_in_flight',
      'Requests taken, not answered',
      (one) => one.requestsInFlight,
    );
    perShard('gauge', 'walks_in_flight', 'Cross-shard walks under way', (one) => one.walksInFlight);
    perShard('gauge', 'events_parked', 'Events that wait for a claim', (one) => one.parked);
    perShard('gauge', 'accounts_claimed', 'Accounts under a claim', (one) => one.claimed);
    perShard('gauge', 'pendings_open', 'Open pending transfers', (one) => one.pendings);
    perShard('gauge', 'pendings_expiring', 'Of these, expiry has begun', (one) => one.expiring);
    perShard('counter', 'restarts_total', 'Times the shard was rebuilt', (one) => one.restarts);
    perShard(
      'gauge',
      'storage_full',
      '1: no room on the disk for creates, 2: for nothing',
      (one) => one.storageFull ?? 0,
    );
    perShard(
      'counter',
      'storage_refused_total',
      'Create requests refused as storage_full',
      (one) => one.storageRefused ?? 0,
    );
    perShard('gauge', 'accounts', 'Accounts held', (one) => one.accounts ?? 0);
    perShard('gauge', 'transfers', 'Transfers known by their ids', (one) => one.transfers ?? 0);
    perShard('gauge', 'table_bytes', 'Bytes of the tables', (one) => one.tableBytes ?? 0);
  }

  #addShardHistograms(): void {
    const { shards } = this.#sources;
    this.#add('histogram', 'shard_commit_seconds', 'Time of a group commit', () =>
      shards().flatMap((one) => {
        const buckets = one.commitSecondsBuckets ?? [one.groups];
        const bounds = one.commitSecondsBounds ?? [];
        const sum = one.commitNanosecondsSum / 1e9;
        return histogram(
          'sycee_shard_commit_seconds',
          { shard: one.shard },
          { bounds, buckets, sum },
        );
      }),
    );
    this.#add('histogram', 'shard_group_events', 'Events of a group', () =>
      shards().flatMap((one) => {
        const buckets = one.groupSizeBuckets ?? [one.groups];
        const bounds = one.groupSizeBounds ?? [];
        const labels = { shard: one.shard };
        return histogram('sycee_shard_group_events', labels, { bounds, buckets, sum: one.events });
      }),
    );
  }

  #addEdges(): void {
    const { meters, admission, version } = this.#sources;
    this.#add('gauge', 'version', 'Version of this server, as a label', () => [
      { labels: { version, node: process.version }, value: 1 },
    ]);
    this.#add('gauge', 'admission_requests', 'Requests in flight over all edges', () => [
      { labels: {}, value: admission.requests },
    ]);
    this.#add('gauge', 'admission_bytes', 'Bytes of the requests in flight', () => [
      { labels: {}, value: admission.bytes },
    ]);
    this.#add('counter', 'admission_refused_total', 'Requests refused as overloaded', () => [
      { labels: {}, value: admission.refused },
    ]);
    this.#add('gauge', 'edge_in_flight', 'Requests taken, not answered', () =>
      meters.map((one) => ({ labels: { edge: one.edge }, value: one.inFlight })),
    );
    this.#add('counter', 'edge_ignored_total', 'Messages that could not be answered', () =>
      meters.map((one) => ({ labels: { edge: one.edge }, value: one.ignored })),
    );
    this.#add('counter', 'edge_requests_total', 'Requests answered, problems included', () =>
      meters.flatMap((meter) =>
        meter.read().map(({ operation, requests }) => ({
          labels: { edge: meter.edge, operation },
          value: requests,
        })),
      ),
    );
    this.#add('counter', 'edge_errors_total', 'Requests answered with a problem', () =>
      meters.flatMap((meter) =>
        meter
          .read()
          .flatMap(({ operation, errors }) =>
            [...errors]
              .filter(([, value]) => value > 0)
              .map(([code, value]) => ({ labels: { edge: meter.edge, operation, code }, value })),
          ),
      ),
    );
    this.#add('histogram', 'edge_seconds', 'From a request taken to its answer', () =>
      meters.flatMap((meter) =>
        meter.read().flatMap(({ operation, seconds, buckets }) => {
          const labels = { edge: meter.edge, operation };
          const reading = { bounds: LATENCY_SECONDS_BOUNDS, buckets, sum: seconds };
          return histogram('sycee_edge_seconds', labels, reading);
        }),
      ),
    );
  }
}

function outcomeLabels(name: string): Labels {
  const dot = name.indexOf('.');
  return { operation: name.slice(0, Math.max(dot, 0)), status: name.slice(dot + 1) };
}

interface BucketReading {
  readonly bounds: readonly number[];
  readonly buckets: ArrayLike<number>;
  readonly sum: number;
}

/** The samples of one histogram: cumulative buckets, sum and count. */
function histogram(name: string, labels: Labels, reading: BucketReading): readonly Sample[] {
  const { bounds, buckets, sum } = reading;
  const samples: Sample[] = [];
  let count = 0;
  for (let i = 0; i < bounds.length; i++) {
    count += buckets[i] ?? 0;
    samples.push({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: bounds[i]! },
      value: count,
    });
  }
  for (let i = bounds.length; i < buckets.length; i++) count += buckets[i]!;
  samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count });
  samples.push({ metricName: `${name}_sum`, labels, value: sum });
  samples.push({ metricName: `${name}_count`, labels, value: count });
  return samples;
}
