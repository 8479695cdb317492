/**
 * The HTTP load generator, in a child process of its own, with fresh ids in each request. It keeps account of every id: acknowledged ones by
 * their pair of accounts, unanswered ones by their body, so that the books can be closed afterwards.
 *
 * A closed loop is autocannon. A load at a rate is not: autocannon sends what is due in a second at the beginning of that second, as fast as it
 * is answered, and corrects its latencies by an interval of a millisecond whatever the rate. So requests at a rate are sent here, each when
 * it is due, and their latencies count from then, whenever a connection was free for them.
 *
 * Talks over IPC: {type: 'slice'} asks for one run, {type: 'tally'} for the account of all runs against the ledger.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import autocannon from 'autocannon';
import { LatencyHistogram, type LatencyMs } from '../lib/histogram.ts';
import { runPaced } from './load.ts';
import { CODE, LEDGER } from './slots.ts';
import { type RingOptions, type SlotSource, Workload, type WorkloadOptions } from './workload.ts';

export interface LoadSetup {
  readonly workload: WorkloadOptions;
  /** Rings that the workload has besides its first one. */
  readonly rings: readonly Partial<RingOptions>[];
}

export type LoadRequest = SliceRequest | { readonly type: 'tally' };

export interface SliceRequest {
  readonly type: 'slice';
  readonly url: string;
  readonly seconds: number;
  /** The status of a good answer, and whether the slice belongs into the books. */
  readonly good: number;
  readonly isLedger: boolean;
  /** Which ring of the workload says who pays whom. */
  readonly ring: number;
  /** Transfers in a request: an object for one, else an array. */
  readonly rows: number;
  readonly connections: number;
  /** Transfers a second; 0: as fast as they are answered. */
  readonly rate: number;
}

export interface Slice {
  /** Answered well. */
  readonly transfers: number;
  readonly seconds: number;
  readonly latency: LatencyMs;
  /** Of a load at a rate: how late requests were sent. */
  readonly late?: LatencyMs | undefined;
  /** Answers with another status, errors of connections, timeouts. */
  readonly bad: number;
}

export interface Sent {
  readonly ring: number;
  /** Of the first transfer; the others have those that follow. */
  readonly pair: number;
  readonly id: string;
  readonly rows: number;
}

export interface Tally {
  /** By ring, then by pair: how many transfers were created. */
  readonly created: readonly (readonly number[])[];
  readonly unanswered: readonly Sent[];
}

const PAIRS_MAX = 65_536;
const HEADERS = { 'content-type': 'application/json' };

export function pairCount({ slots }: SlotSource): number {
  return Math.min(PAIRS_MAX, slots.length * slots[0]!.batch.n);
}

/** Pair p is row p % batch of slot p / batch. */
export function pairOf({ slots }: SlotSource, pair: number): { slot: number; row: number } {
  const { n } = slots[0]!.batch;
  return { slot: Math.floor(pair / n), row: pair % n };
}

class Bodies {
  readonly created: readonly Uint32Array[];
  readonly underWay = new Map<object, Sent>();
  readonly unanswered: Sent[] = [];
  /** By ring and pair: a transfer behind its id. */
  readonly #ends: readonly (readonly string[])[];
  readonly #next: number[];
  #id: bigint;

  constructor(setup: LoadSetup) {
    const workload = new Workload(setup.workload);
    for (const ring of setup.rings) workload.addRing(ring);
    this.created = workload.rings.map((ring) => new Uint32Array(pairCount(ring)));
    this.#ends = workload.rings.map((ring) => endsOf(workload, ring));
    this.#next = workload.rings.map(() => 0);
    this.#id = (BigInt(Date.now()) << 80n) | (BigInt(process.pid) << 48n);
  }

  /** A body that was never sent before, noted as under way for whoever sends it. */
  next(sender: object, ring: number, rows: number): string {
    const pair = this.#next[ring]!;
    const ends = this.#ends[ring]!;
    this.#next[ring] = (pair + rows) % ends.length;
    const first = this.#id + 1n;
    this.#id += BigInt(rows);
    this.underWay.set(sender, { ring, pair, id: String(first), rows });
    if (rows === 1) return `{"id":"${first}${ends[pair]}`;
    const all: string[] = [];
    for (let row = 0; row < rows; row++) {
      all.push(`{"id":"${first + BigInt(row)}${ends[(pair + row) % ends.length]}`);
    }
    return `[${all.join(',')}]`;
  }

  /** What was refused in an answered array shows in the balances, which are compared. */
  answered(sender: object): void {
    const { ring, pair, rows } = this.underWay.get(sender)!;
    const created = this.created[ring]!;
    for (let row = 0; row < rows; row++) created[(pair + row) % created.length]!++;
  }
}

function endsOf(workload: Workload, ring: SlotSource): readonly string[] {
  return Array.from({ length: pairCount(ring) }, (_, pair) => {
    const { slot, row } = pairOf(ring, pair);
    const { debits, credits, amounts } = ring.slots[slot]!;
    const debit = workload.accountId(debits[row]!);
    const credit = workload.accountId(credits[row]!);
    return `","debit_account_id":"${debit}","credit_account_id":"${credit}","amount":"${amounts[row]}","ledger":${LEDGER},"code":${CODE}}`;
  });
}

async function runSlice(bodies: Bodies, slice: SliceRequest): Promise<Slice> {
  const { ring, rows, isLedger } = slice;
  const latency = new LatencyHistogram();
  let good = 0;
  let bad = 0;
  let isOver = false;
  const result = await autocannon({
    url: `${slice.url}/v1/transfers`,
    method: 'POST',
    headers: HEADERS,
    connections: slice.connections,
    duration: slice.seconds,
    // The listener comes first: what it sets is sent next.
    setupClient: (client) => {
      client.setBody(bodies.next(client, ring, rows));
      client.on('response', (status: number, _bytes: number, ms: number) => {
        if (status === slice.good) {
          good++;
          if (isLedger) bodies.answered(client);
          if (!isOver) latency.record(ms);
        } else {
          bad++;
        }
        client.setBody(bodies.next(client, ring, rows));
      });
    },
  });
  isOver = true;
  // Every connection ends with one request that was sent and never answered, or not sent at all.
  if (isLedger) bodies.unanswered.push(...bodies.underWay.values());
  bodies.underWay.clear();
  return {
    transfers: good * rows,
    seconds: result.duration,
    latency: latency.summary(),
    bad: bad + result.errors + result.timeouts,
  };
}

async function runPacedSlice(bodies: Bodies, slice: SliceRequest): Promise<Slice> {
  const { ring, rows, rate, seconds, connections } = slice;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const latency = new LatencyHistogram();
  const late = new LatencyHistogram();
  const start = performance.now();
  let good = 0;
  let bad = 0;
  const send = async (due: number): Promise<void> => {
    const sender = {};
    const body = bodies.next(sender, ring, rows);
    late.record(performance.now() - due);
    const status = await post(`${slice.url}/v1/transfers`, body, agent).catch(() => 0);
    latency.record(performance.now() - due);
    if (status === slice.good) {
      good++;
      if (slice.isLedger) bodies.answered(sender);
    } else {
      bad++;
      if (slice.isLedger) bodies.unanswered.push(bodies.underWay.get(sender)!);
    }
    bodies.underWay.delete(sender);
  };
  try {
    const { signal } = new AbortController();
    // What is due and finds no free connection waits in the agent, and its latency goes on.
    await runPaced({ rate, seconds, signal, inFlight: PACED_WAITING_MAX }, (due) => ({
      n: rows,
      answered: send(due),
    }));
  } finally {
    agent.destroy();
  }
  return {
    transfers: good * rows,
    seconds: Math.max(seconds, (performance.now() - start) / 1000),
    latency: latency.summary(),
    late: late.summary(),
    bad,
  };
}

const PACED_WAITING_MAX = 65_536;

async function post(url: string, body: string, agent: Agent): Promise<number> {
  const sent = request(url, { method: 'POST', agent, headers: HEADERS });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  return response.statusCode ?? 0;
}

function serveParent(): void {
  const bodies = new Bodies(JSON.parse(process.argv[2]!) as LoadSetup);
  process.once('disconnect', () => process.exit(0));
  process.on('message', (message: LoadRequest) => {
    if (message.type === 'tally') {
      const { created, unanswered } = bodies;
      process.send?.({ created: created.map((of) => [...of]), unanswered } satisfies Tally);
      return;
    }
    const run = message.rate === 0 ? runSlice : runPacedSlice;
    void run(bodies, message).then((slice) => process.send?.(slice));
  });
  process.send?.({ type: 'ready' });
}

if (import.meta.main) serveParent();
