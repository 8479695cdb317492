/**
 * The HTTP load generator: autocannon in a child process of its own, one transfer in each request, a fresh id in each. It keeps account of
 * every id: acknowledged ones by their pair of accounts, unanswered ones by their body, so that the books can be closed afterwards.
 *
 * Talks over IPC: {type: 'slice'} asks for one run, {type: 'tally'} for the account of all runs against the ledger.
 */
import autocannon from 'autocannon';
import { LatencyHistogram, type LatencyMs } from '../lib/histogram.ts';
import { CODE, LEDGER } from './slots.ts';
import { Workload, type WorkloadOptions } from './workload.ts';

export interface LoadSetup {
  readonly workload: WorkloadOptions;
  readonly pairs: number;
  readonly connections: number;
}

export type LoadRequest =
  | {
      readonly type: 'slice';
      readonly url: string;
      readonly seconds: number;
      /** The status of a good answer, and whether the slice belongs into the books. */
      readonly good: number;
      readonly isLedger: boolean;
    }
  | { readonly type: 'tally' };

export interface Slice {
  readonly requests: number;
  readonly seconds: number;
  readonly latency: LatencyMs;
  /** Answers with another status, errors of connections, timeouts. */
  readonly bad: number;
}

export interface Unanswered {
  readonly pair: number;
  readonly id: string;
}

export interface Tally {
  /** By pair: how many transfers were created. */
  readonly created: readonly number[];
  readonly unanswered: readonly Unanswered[];
}

/** Pair p is row p % batch of slot p / batch. */
export function pairOf(workload: Workload, pair: number): { slot: number; row: number } {
  const { n } = workload.slots[0]!.batch;
  return { slot: Math.floor(pair / n), row: pair % n };
}

class Bodies {
  readonly created: Uint32Array;
  readonly underWay = new Map<object, Unanswered>();
  readonly unanswered: Unanswered[] = [];
  readonly #ends: string[] = [];
  #next = 0;
  #id: bigint;

  constructor(setup: LoadSetup) {
    const workload = new Workload(setup.workload);
    this.created = new Uint32Array(setup.pairs);
    this.#id = (BigInt(Date.now()) << 80n) | (BigInt(process.pid) << 48n);
    for (let pair = 0; pair < setup.pairs; pair++) {
      const { slot, row } = pairOf(workload, pair);
      const { debits, credits, amounts } = workload.slots[slot]!;
      const debit = workload.accountId(debits[row]!);
      const credit = workload.accountId(credits[row]!);
      this.#ends.push(
        `","debit_account_id":"${debit}","credit_account_id":"${credit}","amount":"${amounts[row]}","ledger":${LEDGER},"code":${CODE}}`,
      );
    }
  }

  /** A body that was never sent before, noted as under way on its connection. */
  next(connection: object): string {
    const pair = this.#next;
    this.#next = (pair + 1) % this.#ends.length;
    this.#id += 1n;
    const id = String(this.#id);
    this.underWay.set(connection, { pair, id });
    return `{"id":"${id}${this.#ends[pair]}`;
  }
}

async function runSlice(
  bodies: Bodies,
  connections: number,
  slice: Extract<LoadRequest, { type: 'slice' }>,
): Promise<Slice> {
  const latency = new LatencyHistogram();
  let good = 0;
  let bad = 0;
  let isOver = false;
  const result = await autocannon({
    url: `${slice.url}/v1/transfers`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    connections,
    duration: slice.seconds,
    // The listener comes first: what it sets is sent next.
    setupClient: (client) => {
      client.setBody(bodies.next(client));
      client.on('response', (status: number, _bytes: number, ms: number) => {
        const sent = bodies.underWay.get(client)!;
        if (status === slice.good) {
          good++;
          if (slice.isLedger) bodies.created[sent.pair]!++;
          if (!isOver) latency.record(ms);
        } else {
          bad++;
        }
        client.setBody(bodies.next(client));
      });
    },
  });
  isOver = true;
  // Every connection ends with one request that was sent and never answered, or not sent at all.
  if (slice.isLedger) bodies.unanswered.push(...bodies.underWay.values());
  bodies.underWay.clear();
  return {
    requests: good,
    seconds: result.duration,
    latency: latency.summary(),
    bad: bad + result.errors + result.timeouts,
  };
}

function serveParent(): void {
  const setup = JSON.parse(process.argv[2]!) as LoadSetup;
  const bodies = new Bodies(setup);
  process.once('disconnect', () => process.exit(0));
  process.on('message', (message: LoadRequest) => {
    if (message.type === 'tally') {
      const { created, unanswered } = bodies;
      process.send?.({ created: [...created], unanswered } satisfies Tally);
      return;
    }
    void runSlice(bodies, setup.connections, message).then((slice) => process.send?.(slice));
  });
  process.send?.({ type: 'ready' });
}

if (import.meta.main) serveParent();
