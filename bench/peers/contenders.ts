/**
 * Who takes part, in which form, and which of them are compared. A ratio is of one form of Sycee to the better of a peer's client counts in
 * the same round.
 */
import type { BenchOptions, TransportName } from '../options.ts';
import type { PeerName, ShapeName } from '../scenario-options.ts';

export interface Contender {
  readonly shape: ShapeName;
  readonly system: 'sycee' | PeerName;
  /** Of Sycee. */
  readonly transport?: TransportName | undefined;
  /** How it is asked; those of one system and form differ in their clients only. */
  readonly form: string;
  /** Transfers in a request. */
  readonly batch: number;
  /** Requests under way, each on a connection of its own unless in process, over NATS, or alone to TigerBeetle, whose client gathers them. */
  readonly clients: number;
}

export interface Pair {
  readonly shape: ShapeName;
  readonly sycee: Contender;
  readonly peer: PeerName;
  readonly form: string;
  /** One for each count of clients. */
  readonly others: readonly Contender[];
}

type Entry = Omit<Contender, 'shape'>;

export const SYSTEM_NAMES: Readonly<Record<Contender['system'], string>> = {
  sycee: 'Sycee',
  postgresql: 'PostgreSQL',
  redis: 'Redis',
  tigerbeetle: 'TigerBeetle',
};

const LARGE_BATCH = 8_189;
const POSTGRESQL_BATCH = 1_000;
const REDIS_PIPELINE = 1_000;
const CLIENTS = [8, 16] as const;

const IN_PROCESS: Entry = {
  system: 'sycee',
  transport: 'in-process',
  form: 'in process, batches of 8,189',
  batch: LARGE_BATCH,
  clients: 4,
};
const NATS: Entry = {
  ...IN_PROCESS,
  transport: 'nats',
  form: 'NATS, batches of 8,189',
};
const HTTP: Entry = {
  ...IN_PROCESS,
  transport: 'http',
  form: 'HTTP, one in a request',
  batch: 1,
  clients: 64,
};

const POSTGRESQL: readonly Entry[] = [
  { form: 'one in a call', batch: 1 },
  { form: 'batches of 1,000', batch: POSTGRESQL_BATCH },
].flatMap((entry) => CLIENTS.map((clients) => ({ system: 'postgresql', clients, ...entry })));

const REDIS: readonly Entry[] = [
  { system: 'redis', form: 'one in a call', batch: 1, clients: 16 },
  { system: 'redis', form: 'pipelines of 1,000', batch: REDIS_PIPELINE, clients: 8 },
];

/** Its server works on one batch while the next ones arrive: more clients were slower. */
const TIGERBEETLE_BATCHES: readonly Entry[] = [2, 4].map((clients) => ({
  system: 'tigerbeetle',
  form: 'batches of 8,189',
  batch: LARGE_BATCH,
  clients,
}));
const TIGERBEETLE: readonly Entry[] = [
  { system: 'tigerbeetle', form: 'one in a call', batch: 1, clients: HTTP.clients },
  ...TIGERBEETLE_BATCHES,
];

/** In the order of a round. */
export function contendersOf({ scenarioOptions }: Pick<BenchOptions, 'scenarioOptions'>) {
  const { peers, shapes } = scenarioOptions;
  const has = (peer: PeerName): boolean => peers.includes(peer);
  const byShape: Readonly<Record<ShapeName, readonly Entry[]>> = {
    uniform: [
      ...(has('postgresql') ? POSTGRESQL : []),
      ...(has('redis') ? REDIS : []),
      ...(has('tigerbeetle') ? TIGERBEETLE : []),
    ],
    'hot-account': [
      ...(has('postgresql') ? POSTGRESQL : []),
      ...(has('tigerbeetle') ? TIGERBEETLE : []),
    ],
    'equal-counts': has('tigerbeetle') ? TIGERBEETLE_BATCHES : [],
  };
  const contenders: Contender[] = [];
  for (const shape of shapes) {
    const others = byShape[shape];
    if (others.length === 0) continue;
    const own = shape === 'equal-counts' ? [IN_PROCESS, NATS] : [IN_PROCESS, NATS, HTTP];
    contenders.push(...[...own, ...others].map((entry) => ({ shape, ...entry })));
  }
  return contenders;
}

export function pairsOf(contenders: readonly Contender[]): readonly Pair[] {
  const pairs: Pair[] = [];
  for (const sycee of contenders.filter(({ system }) => system === 'sycee')) {
    const { shape } = sycee;
    const others = contenders.filter((one) => one.shape === shape && one.system !== 'sycee');
    const groups = Map.groupBy(others, ({ system, form }) => `${system} ${form}`);
    for (const group of groups.values()) {
      const { system, form } = group[0]!;
      pairs.push({ shape, sycee, peer: system as PeerName, form, others: group });
    }
  }
  return pairs;
}

/** Whether all calls go over one connection. */
const isShared = ({ system, batch }: Contender): boolean =>
  system === 'sycee' || (system === 'tigerbeetle' && batch === 1);

export function labelOf(contender: Contender): string {
  const { system, form, clients } = contender;
  return `${SYSTEM_NAMES[system]}, ${form}, ${clients} ${isShared(contender) ? 'under way' : 'clients'}`;
}
