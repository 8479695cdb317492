/**
 * The HTTP load generator, in a child process of its own, of which there may be several (`--workers`). autocannon's own workers are threads that
 * take no functions, and whose bodies nobody could account for: so each process here has an autocannon, and ids, of its own.
 *
 * A closed loop is autocannon. A load at a rate is not: autocannon sends what is due in a second at the beginning of that second, as fast as it
 * is answered, and corrects its latencies by an interval of a millisecond whatever the rate. So requests at a rate are sent here, each when
 * it is due, and their latencies count from then, whenever a connection was free for them. Nor is a load of so many transfers, which
 * autocannon ends at a whole second.
 *
 * Talks over IPC: {type: 'slice'} asks for one run, {type: 'tally'} for the account of all runs against the ledger.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import autocannon from 'autocannon';
import { Bodies, type LoadSetup } from './http-bodies.ts';
import { type LatencyCount, LatencyCounts } from './latency-counts.ts';
import { runLoops, runPaced } from './load.ts';

export type LoadRequest = SliceRequest | { readonly type: 'tally' };

export interface SliceRequest {
  readonly type: 'slice';
  readonly url: string;
  /** In whole ones for autocannon. Of no account where there is a count. */
  readonly seconds: number;
  /** Transfers to create, in whole requests; 0: for so long. */
  readonly count: number;
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

export interface SliceReport {
  /** Answered well. */
  readonly transfers: number;
  readonly seconds: number;
  /** Of all requests but posts, and of posts. */
  readonly latency: readonly LatencyCount[];
  readonly postLatency: readonly LatencyCount[];
  /** Of a load at a rate: how late requests were sent. */
  readonly late?: readonly LatencyCount[] | undefined;
  /** Answers with another status, errors of connections, timeouts. */
  readonly bad: number;
  /** The status of the first of them that was answered. */
  readonly badStatus?: number | undefined;
}

const NOT_ANSWERED = 0;
const HEADERS = { 'content-type': 'application/json' };
/** What is due and finds no free connection waits in the agent, and its latency goes on. */
const PACED_WAITING_MAX = 65_536;

/** What the answers of one slice were. */
class Answers {
  readonly #bodies: Bodies;
  readonly #slice: SliceRequest;
  readonly #latency = new LatencyCounts();
  readonly #postLatency = new LatencyCounts();
  #good = 0;
  #bad = 0;
  #badStatus: number | undefined;

  constructor(bodies: Bodies, slice: SliceRequest) {
    this.#bodies = bodies;
    this.#slice = slice;
  }

  next(sender: object): string {
    return this.#bodies.next(sender, this.#slice.ring, this.#slice.rows);
  }

  /** Whether its pending transfers are to be posted next. */
  isPosting(sender: object): boolean {
    return this.#bodies.isPosting(sender);
  }

  /** Latencies are in milliseconds; undefined: it is too late for them to count. */
  take(sender: object, status: number, ms: number | undefined): void {
    const bodies = this.#bodies;
    const latency = this.isPosting(sender) ? this.#postLatency : this.#latency;
    const { good, isLedger } = this.#slice;
    if (status === good && ms !== undefined) latency.record(ms);
    if (status === good) {
      this.#good++;
      if (isLedger) bodies.answered(sender);
    } else {
      this.#bad++;
      if (status !== NOT_ANSWERED) this.#badStatus ??= status;
      if (isLedger) bodies.lost(sender);
    }
  }

  report(seconds: number, more: { bad?: number; late?: LatencyCounts } = {}): SliceReport {
    if (this.#slice.isLedger) this.#bodies.allLost();
    else this.#bodies.forget();
    return {
      transfers: this.#good * this.#slice.rows,
      seconds,
      latency: this.#latency.all(),
      postLatency: this.#postLatency.all(),
      late: more.late?.all(),
      bad: this.#bad + (more.bad ?? 0),
      badStatus: this.#badStatus,
    };
  }
}

async function runSlice(bodies: Bodies, slice: SliceRequest): Promise<SliceReport> {
  const answers = new Answers(bodies, slice);
  let isOver = false;
  const result = await autocannon({
    url: `${slice.url}/v1/transfers`,
    method: 'POST',
    headers: HEADERS,
    connections: slice.connections,
    duration: slice.seconds,
    // The listener comes first: what it sets is sent next.
    setupClient: (client) => {
      client.setBody(answers.next(client));
      client.on('response', (status: number, _bytes: number, ms: number) => {
        answers.take(client, status, isOver ? undefined : ms);
        client.setBody(answers.next(client));
      });
    },
  });
  isOver = true;
  // Every connection ends with one request that was sent and never answered, or not sent at all.
  return answers.report(result.duration, { bad: result.errors + result.timeouts });
}

async function runPacedSlice(bodies: Bodies, slice: SliceRequest): Promise<SliceReport> {
  const { rows, rate, seconds } = slice;
  using requests = new Requests(slice);
  const answers = new Answers(bodies, slice);
  const late = new LatencyCounts();
  const { signal } = new AbortController();
  const start = performance.now();
  const send = async (due: number): Promise<void> => {
    late.record(performance.now() - due);
    await requests.send(answers, due);
  };
  await runPaced({ rate, seconds, signal, inFlight: PACED_WAITING_MAX }, (due) => ({
    n: bodies.hasPosts ? rows * 2 : rows,
    answered: send(due),
  }));
  return answers.report(Math.max(seconds, (performance.now() - start) / 1000), { late });
}

async function runCountedSlice(bodies: Bodies, slice: SliceRequest): Promise<SliceReport> {
  const { rows, count, connections } = slice;
  using requests = new Requests(slice);
  const answers = new Answers(bodies, slice);
  const { signal } = new AbortController();
  const start = performance.now();
  let asked = 0;
  await runLoops({ inFlight: connections, signal }, async (isOver) => {
    while (asked < count && !isOver()) {
      asked += rows;
      await requests.send(answers, performance.now());
    }
  });
  return answers.report((performance.now() - start) / 1000);
}

/** Requests that are not autocannon's. */
class Requests implements Disposable {
  readonly #url: string;
  readonly #agent: Agent;

  constructor({ url, connections }: SliceRequest) {
    this.#url = `${url}/v1/transfers`;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** Its latency counts from `began`; that of the posts of what was pending, which follow, from its answer. */
  async send(answers: Answers, began: number): Promise<void> {
    const sender = {};
    let due = began;
    do {
      const status = await this.#post(answers.next(sender)).catch(() => NOT_ANSWERED);
      const answered = performance.now();
      answers.take(sender, status, answered - due);
      due = answered;
    } while (answers.isPosting(sender));
  }

  async #post(body: string): Promise<number> {
    const sent = request(this.#url, { method: 'POST', agent: this.#agent, headers: HEADERS });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return response.statusCode ?? 0;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

function serveParent(): void {
  const bodies = new Bodies(JSON.parse(process.argv[2]!) as LoadSetup);
  process.once('disconnect', () => process.exit(0));
  process.on('message', (message: LoadRequest) => {
    if (message.type === 'tally') {
      process.send?.(bodies.tally());
      return;
    }
    const { count, rate } = message;
    const run = count > 0 ? runCountedSlice : rate > 0 ? runPacedSlice : runSlice;
    void run(bodies, message).then((slice) => process.send?.(slice));
  });
  process.send?.({ type: 'ready' });
}

if (import.meta.main) serveParent();
