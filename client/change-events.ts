/**
 * Changes one after another: pages by their cursors, and, when told to follow, what comes later. Nothing is held but one page.
 *
 * Where there is no `next` yet, the last page is asked for again with the cursor that it had, and what has been seen of it is left out: so
 * no change is passed over or told twice, however late a shard is with its own. The wait between two such questions doubles as long as
 * nothing comes, up to its bound. What a question rejects with ends the iteration; the caller goes on from the timestamp he has.
 */
import { SyceeError } from '../lib/sycee-error.ts';
import type { CallOptions } from './client.ts';
import type { PageInput } from './filters.ts';
import type { ChangeEvent } from './reads.ts';
import type { RetryClock } from './retry.ts';

const PAGE_CHANGES = 1000;
const WAIT_MS_FIRST = 20;
const WAIT_MS_MAX_DEFAULT = 1_000;
export const WAIT_MS_LIMIT = 60_000;

export interface ChangeOptions extends CallOptions {
  /** Go on when all is told, and wait for more. */
  readonly follow?: boolean | undefined;
  /** The longest wait between two questions: 1000 unless given. */
  readonly waitMsMax?: number | undefined;
  /** Ends the iteration, also in the middle of a wait. */
  readonly signal?: AbortSignal | undefined;
}

export interface ChangesSource {
  page(
    filter: PageInput,
  ): Promise<{ readonly changes: readonly ChangeEvent[]; readonly next: string | null }>;
  readonly clock: RetryClock;
}

export async function* followChanges(
  source: ChangesSource,
  filter: PageInput,
  options: ChangeOptions,
): AsyncGenerator<ChangeEvent, void, undefined> {
  const { follow = false, signal } = options;
  const waitMsMax = checkedWait(options.waitMsMax ?? WAIT_MS_MAX_DEFAULT);
  let cursor = filter.cursor ?? null;
  let seen = new Set<string>();
  let waitMs = WAIT_MS_FIRST;
  while (!isAborted(signal)) {
    const page = await source.page({ ...filter, limit: filter.limit ?? PAGE_CHANGES, cursor });
    const fresh = page.changes.filter((change) => !seen.has(keyOf(change)));
    for (const change of fresh) {
      if (isAborted(signal)) return;
      yield change;
    }
    if (page.next !== null) {
      cursor = page.next;
      seen = new Set();
      waitMs = WAIT_MS_FIRST;
      continue;
    }
    if (!follow) return;
    seen = new Set(page.changes.map(keyOf));
    waitMs = fresh.length > 0 ? WAIT_MS_FIRST : Math.min(waitMs * 2, waitMsMax);
    await wait(source.clock, Math.min(waitMs, waitMsMax), signal);
  }
}

/** A transfer changes once in each way. */
const keyOf = (change: ChangeEvent): string =>
  `${change.timestamp} ${change.type} ${change.transfer.id}`;

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

function checkedWait(waitMsMax: number): number {
  if (waitMsMax >= 1 && waitMsMax <= WAIT_MS_LIMIT) return waitMsMax;
  throw new SyceeError('malformed_request', `waitMsMax is between 1 and ${WAIT_MS_LIMIT}`, {
    field: 'waitMsMax',
    rule: 'range',
  });
}

function wait(clock: RetryClock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const takeBack = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    const onAbort = (): void => {
      takeBack();
      resolve();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
