/**
 * A closed loop of batches: so many requests under way, each answered before its place is used again. Figures count what was answered
 * within the measured time; the books count everything that was ever acknowledged.
 */
import type { Client } from '../client/client.ts';
import { TransferStatus } from '../engine/status.ts';
import { LatencyHistogram } from '../lib/histogram.ts';
import type { Books } from './books.ts';
import type { Workload } from './workload.ts';

/** Longer than any stall that is worth measuring: an unknown outcome would spoil the books. */
const CALL_DEADLINE_MS = 30_000;

export interface LoadOptions {
  readonly inFlight: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

export interface Load {
  /** Created and acknowledged within the measured time. */
  readonly transfers: number;
  readonly seconds: number;
  readonly latency: LatencyHistogram;
}

export async function createAccounts(
  client: Client,
  workload: Workload,
  inFlight: number,
): Promise<void> {
  const batches = workload.accountBatches();
  await Promise.all(
    Array.from({ length: Math.min(inFlight, 4) }, async () => {
      // One generator for all loops: each takes the next batch when its last one was answered.
      for (;;) {
        const { value: batch, done } = batches.next();
        if (done === true) return;
        const reply = await client.createAccounts(batch, { deadlineMs: CALL_DEADLINE_MS });
        const refused = reply.statuses.findIndex((status) => status !== 0);
        if (refused !== -1) {
          throw new Error(`an account was refused with status ${reply.statuses[refused]}`);
        }
      }
    }),
  );
}

/** Runs for the time given, then waits for what is under way. Rejects when a call does. */
export async function runLoad(
  client: Client,
  workload: Workload,
  books: Books,
  options: LoadOptions,
): Promise<Load> {
  const latency = new LatencyHistogram();
  const start = performance.now();
  const end = start + options.seconds * 1000;
  let transfers = 0;
  const failure = new AbortController();
  const loop = async (): Promise<void> => {
    while (performance.now() < end && !options.signal.aborted && !failure.signal.aborted) {
      const slot = workload.take();
      const sent = performance.now();
      const reply = await client.createTransfers(slot.batch, { deadlineMs: CALL_DEADLINE_MS });
      const answered = performance.now();
      const created = countCreated(reply.statuses);
      books.acknowledge(slot, reply.statuses, created);
      workload.giveBack(slot);
      if (answered > end) continue;
      transfers += created;
      latency.record(answered - sent);
    }
  };
  const loops = Array.from({ length: options.inFlight }, () =>
    loop().catch((error: unknown) => {
      failure.abort();
      throw error;
    }),
  );
  // Every loop ends before an error goes on, so that nothing is under way when the target is stopped.
  const ended = await Promise.allSettled(loops);
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return { transfers, seconds: options.seconds, latency };
}

function countCreated(statuses: Uint16Array): number {
  let created = 0;
  for (const status of statuses) if (status === TransferStatus.created) created++;
  return created;
}
