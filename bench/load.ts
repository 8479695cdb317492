/**
 * A closed loop of batches: so many requests under way, each answered before its place is used again. Figures count what was answered
 * within the measured time; the books count everything that was ever acknowledged.
 */
import { setTimeout } from 'node:timers/promises';
import type { Client } from '../client/client.ts';
import type { Batch } from '../engine/batch.ts';
import { TransferStatus } from '../engine/status.ts';
import { LatencyHistogram } from '../lib/histogram.ts';
import type { Books } from './books.ts';
import type { Slot } from './slots.ts';
import type { SlotSource } from './workload.ts';

/** Longer than any stall that is worth measuring: an unknown outcome would spoil the books. */
const CALL_DEADLINE_MS = 30_000;

export interface LoadOptions {
  readonly inFlight: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
  /** Records into this one instead of one of its own. */
  readonly latency?: LatencyHistogram | undefined;
  /** Writes into a slot what is to differ from use to use, besides its ids. */
  readonly onTake?: ((slot: Slot) => void) | undefined;
}

export interface Load {
  /** Created and acknowledged within the measured time. */
  readonly transfers: number;
  readonly seconds: number;
  readonly latency: LatencyHistogram;
  /** Of a load at a rate: how late batches were sent. */
  readonly late?: LatencyHistogram | undefined;
}

/** Sends batches of accounts until they are over, or `count` accounts and more are created. Says how many were. */
export async function createAccounts(
  client: Client,
  batches: Iterator<Batch>,
  inFlight: number,
  count = Infinity,
): Promise<number> {
  let created = 0;
  await Promise.all(
    Array.from({ length: Math.min(inFlight, 4) }, async () => {
      // One generator for all loops: each takes the next batch when its last one was answered.
      while (created < count) {
        const { value: batch, done } = batches.next();
        if (done === true) return;
        created += batch.n;
        const reply = await client.createAccounts(batch, { deadlineMs: CALL_DEADLINE_MS });
        const refused = reply.statuses.findIndex((status) => status !== 0);
        if (refused !== -1) {
          throw new Error(`an account was refused with status ${reply.statuses[refused]}`);
        }
      }
    }),
  );
  return created;
}

/** Sends a batch of the ring until the time is over, then waits for what is under way. Rejects when a call does. */
export async function runLoad(
  client: Client,
  source: SlotSource,
  books: Books,
  options: LoadOptions,
): Promise<Load> {
  return runSteps(options, async (record) => {
    const slot = source.take();
    options.onTake?.(slot);
    const sent = performance.now();
    record(await sendSlot(client, source, books, slot), sent);
  });
}

/** Sends batches at fixed times, so many transfers a second. */
export async function runPacedLoad(
  client: Client,
  source: SlotSource,
  books: Books,
  options: LoadOptions & { readonly rate: number },
): Promise<Load> {
  return runPacedSteps(options, source.slots[0]!.batch.n, async (record, due) => {
    const slot = source.take();
    options.onTake?.(slot);
    record(await sendSlot(client, source, books, slot), due);
  });
}

/**
 * Takes steps of `n` transfers at fixed times, whether earlier ones are over or not; as many may be under way as `inFlight` says. A step says what
 * each of its requests has created, and when that was due. Latencies count from there: a request that had to wait for its turn does not look fast.
 * Timers are up to a millisecond late, and that is in them too: `late` says how late steps began.
 */
export async function runPacedSteps(
  options: LoadOptions & { readonly rate: number },
  n: number,
  step: (record: (created: number, due: number) => void, due: number) => Promise<void>,
): Promise<Load> {
  const latency = options.latency ?? new LatencyHistogram();
  const late = new LatencyHistogram();
  const start = performance.now();
  let transfers = 0;
  const record = (created: number, due: number): void => {
    transfers += created;
    latency.record(performance.now() - due);
  };
  await runPaced(options, (due) => {
    late.record(performance.now() - due);
    return { n, answered: step(record, due) };
  });
  const seconds = Math.max(options.seconds, (performance.now() - start) / 1000);
  return { transfers, seconds, latency, late };
}

/** Counts requests: a set of their promises would outlive them (lib/slot-table.ts). */
class UnderWay {
  count = 0;
  #onEnd = (): void => undefined;

  begin(): void {
    this.count++;
  }

  end(): void {
    this.count--;
    this.#onEnd();
  }

  /** Resolves when the next one ends. */
  ended(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEnd = resolve;
    });
  }
}

/** Calls `send` at the times at which so many transfers a second are due, and waits for all of it in the end. Rejects when one does. */
export async function runPaced(
  { rate, inFlight, seconds, signal }: LoadOptions & { readonly rate: number },
  send: (due: number) => { readonly n: number; readonly answered: Promise<void> },
): Promise<void> {
  const start = performance.now();
  const end = start + seconds * 1000;
  const underWay = new UnderWay();
  const failures: unknown[] = [];
  let due = start;
  while (due < end && !signal.aborted && failures.length === 0) {
    if (underWay.count >= inFlight) {
      await underWay.ended();
      continue;
    }
    const wait = due - performance.now();
    if (wait > 0) {
      // An interrupt does not wait for what is due.
      await setTimeout(wait, undefined, { signal }).catch(() => undefined);
      continue;
    }
    const { n, answered } = send(due);
    underWay.begin();
    void answered
      .catch((error: unknown) => void failures.push(error))
      .finally(() => underWay.end());
    due += (n / rate) * 1000;
  }
  while (underWay.count > 0) await underWay.ended();
  if (failures.length > 0) throw failures[0];
}

/** Sends so many transfers, in whole batches. */
export async function createTransfers(
  client: Client,
  source: SlotSource,
  books: Books,
  options: Omit<LoadOptions, 'seconds'> & { readonly count: number },
): Promise<Load> {
  const latency = new LatencyHistogram();
  const start = performance.now();
  let asked = 0;
  let transfers = 0;
  await runLoops(options, async (isOver) => {
    while (asked < options.count && !isOver()) {
      const slot = source.take();
      asked += slot.batch.n;
      options.onTake?.(slot);
      const sent = performance.now();
      // In two statements: a sum that is read before an await forgets what others have added meanwhile.
      const created = await sendSlot(client, source, books, slot);
      transfers += created;
      latency.record(performance.now() - sent);
    }
  });
  return { transfers, seconds: (performance.now() - start) / 1000, latency };
}

/** Sends the batch of a slot, keeps the books, and gives the slot back. Says how many transfers were created. */
async function sendSlot(
  client: Client,
  source: SlotSource,
  books: Books,
  slot: Slot,
): Promise<number> {
  const statuses = await createBatch(client, slot.batch);
  const created = countCreated(statuses);
  books.acknowledge(slot, statuses, created);
  source.giveBack(slot);
  return created;
}

/** Takes steps until the time is over. A step says what each of its requests has created, and when it was sent. */
export async function runSteps(
  options: LoadOptions,
  step: (record: (created: number, sent: number) => void) => Promise<void>,
): Promise<Load> {
  const latency = options.latency ?? new LatencyHistogram();
  const end = performance.now() + options.seconds * 1000;
  let transfers = 0;
  const record = (created: number, sent: number): void => {
    const answered = performance.now();
    if (answered > end) return;
    transfers += created;
    latency.record(answered - sent);
  };
  await runLoops(options, async (isOver) => {
    while (performance.now() < end && !isOver()) await step(record);
  });
  return { transfers, seconds: options.seconds, latency };
}

/** Every loop ends before an error goes on, so that nothing is under way when the target is stopped. */
export async function runLoops(
  { inFlight, signal }: Pick<LoadOptions, 'inFlight' | 'signal'>,
  loop: (isOver: () => boolean) => Promise<void>,
): Promise<void> {
  const failure = new AbortController();
  const isOver = (): boolean => signal.aborted || failure.signal.aborted;
  const loops = Array.from({ length: inFlight }, () =>
    loop(isOver).catch((error: unknown) => {
      failure.abort();
      throw error;
    }),
  );
  const ended = await Promise.allSettled(loops);
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

export async function createBatch(client: Client, batch: Batch): Promise<Uint16Array> {
  const { statuses } = await client.createTransfers(batch, { deadlineMs: CALL_DEADLINE_MS });
  return statuses;
}

export function countCreated(statuses: Uint16Array): number {
  let created = 0;
  for (const status of statuses) if (status === TransferStatus.created) created++;
  return created;
}
