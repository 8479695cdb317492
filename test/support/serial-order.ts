/**
 * Is there one order of all events, one after the other, that explains what concurrent clients were told?
 *
 * `explainedBySearch` looks for such an order that also respects real time: what was answered before something else was asked comes before it
 * (Wing and Gong, with a memory of the sets that led nowhere). An event without an answer may have happened or not. For up to
 * SEARCH_EVENTS_MAX events.
 *
 * `explainedByTimestamps` needs no search: a system's timestamps are such an order. Every link message carries its sender's clock and the
 * receiver moves past it, so sorted by timestamp the created events replay to the same outcomes. As long as all work across shards
 * walks, that holds for failed events as well: nobody touches an account between its claim and the decision. Whoever calls says whether failed
 * ones take part. `exists` has the timestamp of its original and is held against that.
 *
 * Both judge against the naive model, which is left as it was.
 */
import { assert } from '../../engine/assert.ts';
import {
  BURNING,
  CREDITS_MUST_NOT_EXCEED_DEBITS,
  DEBITS_MUST_NOT_EXCEED_CREDITS,
} from './model-ledger.ts';
import type {
  AccountInput,
  ModelLedger,
  Result,
  ShardOf,
  StatusName,
  TransferInput,
} from './model-ledger.ts';

export type LedgerEvent =
  | { readonly type: 'account'; readonly account: AccountInput }
  | { readonly type: 'transfer'; readonly transfer: TransferInput };

export interface Operation {
  readonly event: LedgerEvent;
  /** Counted, not measured: a higher number was later. */
  readonly invoked: number;
  /** Infinity where no answer came. */
  readonly responded: number;
  /** Null where no answer came: it may have happened. */
  readonly result: Result | null;
  /** Operations of the same batch, by their place in the history, that must come before: earlier events that it depends on. */
  readonly after?: readonly number[];
}

/** `order` names operations by their place in the history; `ledger` is the model after them. */
export type Verdict =
  | { readonly isExplained: true; readonly order: readonly number[]; readonly ledger: ModelLedger }
  | { readonly isExplained: false; readonly reason: string };

export const SEARCH_EVENTS_MAX = 16;

/** What decides whether two events of a batch depend on each other. */
export interface Dependencies {
  readonly shardOf: ShardOf;
  readonly flagsOf: (accountId: bigint) => number;
}

/** Notes what clients ask and are told, in the order in which this process saw it. */
export class History {
  readonly operations: Operation[] = [];
  readonly #dependencies: Dependencies;
  #time = 0;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** One request: all its events are asked at once and answered at once. An answer that does not come leaves its events open. */
  async record(
    events: readonly LedgerEvent[],
    request: () => Promise<readonly Result[]>,
  ): Promise<void> {
    const first = this.ask(events);
    const results = await request();
    assert(results.length === events.length, 'a result for each event');
    const responded = ++this.#time;
    for (const [i, result] of results.entries()) this.#settle(first + i, responded, result);
  }

  /** Notes what is asked together, and gives the place of its first event. */
  ask(events: readonly LedgerEvent[]): number {
    const invoked = ++this.#time;
    const first = this.operations.length;
    for (const [i, event] of events.entries()) {
      const after = this.#dependenciesOf(events, i).map((j) => first + j);
      this.operations.push({ event, invoked, responded: Infinity, result: null, after });
    }
    return first;
  }

  /** Notes the answer to one event. */
  answer(place: number, result: Result): void {
    this.#settle(place, ++this.#time, result);
  }

  #settle(place: number, responded: number, result: Result): void {
    assert(this.operations[place]!.result === null, 'an event is answered once');
    this.operations[place] = { ...this.operations[place]!, responded, result };
  }

  /** Earlier events of the batch that touch what this one touches, where one of the two reads it. */
  #dependenciesOf(events: readonly LedgerEvent[], i: number): readonly number[] {
    const own = this.#touchesOf(events[i]!);
    const earlier = Array.from({ length: i }, (_, j) => j);
    return earlier.filter((j) => {
      const others = this.#touchesOf(events[j]!);
      return own.some((one) =>
        others.some((other) => one.key === other.key && (one.isRead || other.isRead)),
      );
    });
  }

  #touchesOf(event: LedgerEvent): readonly Touch[] {
    if (event.type === 'account') return [{ key: `account ${event.account.id}`, isRead: true }];
    const { id, debitAccountId: dr, creditAccountId: cr } = event.transfer;
    const { shardOf, flagsOf } = this.#dependencies;
    return [
      { key: `transfer ${shardOf(dr)}/${id}`, isRead: true },
      { key: `account ${dr}`, isRead: (flagsOf(dr) & DEBITS_MUST_NOT_EXCEED_CREDITS) !== 0 },
      { key: `account ${cr}`, isRead: (flagsOf(cr) & CREDITS_MUST_NOT_EXCEED_DEBITS) !== 0 },
    ];
  }
}

/** Adding to a balance is a touch; to read it is to answer by what it holds. */
interface Touch {
  readonly key: string;
  readonly isRead: boolean;
}

/** `finalDigest` is what the ledger must be in the end, as the digest of a model; where answers are missing it says which events happened. */
export function explainedBySearch(
  initial: ModelLedger,
  history: readonly Operation[],
  finalDigest?: string,
): Verdict {
  assert(history.length <= SEARCH_EVENTS_MAX, 'few enough events for the search');
  const due = maskOf(history, (operation) => operation.result !== null);
  // Where every answer is known, a set of events has one outcome whatever its order: the set alone is remembered.
  const hasOpenOnes = due !== maskOf(history, () => true);
  const seen = new Set<string>();
  let longest = { length: -1, next: '' };

  const search = (mask: number, order: readonly number[], ledger: ModelLedger): Verdict | null => {
    const isComplete = (mask & due) === due;
    if (isComplete && (finalDigest === undefined || ledger.digest() === finalDigest)) {
      return { isExplained: true, order, ledger };
    }
    const key = hasOpenOnes ? `${mask} ${ledger.digest()}` : `${mask}`;
    if (seen.has(key)) return null;
    seen.add(key);
    for (const i of candidates(history, mask)) {
      const after = ledger.clone();
      const difference = apply(after, history[i]!);
      if (difference === null) {
        const found = search(mask | (1 << i), [...order, i], after);
        if (found !== null) return found;
      } else if (order.length > longest.length) {
        longest = { length: order.length, next: `${describe(history[i]!)}: ${difference}` };
      }
    }
    return null;
  };

  const found = search(0, [], initial.clone());
  if (found !== null) return found;
  const lines = history.map((operation, i) => `  ${i}. ${describe(operation)}`).join('\n');
  const next = longest.next === '' ? 'the final state is another one' : `then ${longest.next}`;
  const reason = `no order explains it; at best ${longest.length} events, ${next}`;
  return { isExplained: false, reason: `${reason}\n${lines}` };
}

/** Events that may come next: asked before every open one was answered, and after all that they depend on. */
function candidates(history: readonly Operation[], mask: number): readonly number[] {
  const isOpen = (i: number): boolean => (mask & (1 << i)) === 0;
  const open = history.map((_, i) => i).filter(isOpen);
  const firstAnswer = Math.min(...open.map((i) => history[i]!.responded));
  return open.filter((i) => {
    const { invoked, after = [] } = history[i]!;
    // One that got no answer may never have happened: nothing waits for it.
    const isDue = (j: number): boolean => isOpen(j) && history[j]!.result !== null;
    return invoked < firstAnswer && !after.some(isDue);
  });
}

function maskOf(history: readonly Operation[], has: (operation: Operation) => boolean): number {
  return history.reduce((mask, operation, i) => (has(operation) ? mask | (1 << i) : mask), 0);
}

/** Does the event to the model, and says what differs from what the client was told. */
function apply(ledger: ModelLedger, { event, result }: Operation): string | null {
  const expected =
    event.type === 'account'
      ? ledger.createAccount(event.account)
      : ledger.createTransfer(event.transfer);
  if (result === null) return null;
  if (expected.status !== result.status) return `${expected.status} was due`;
  ledger.learn([expected], [result]);
  // 0: the original got no answer, so its timestamp is not known.
  const original = expected.record?.timestamp ?? 0n;
  const isOriginal = original === 0n || original === result.timestamp;
  return isOriginal ? null : `the original has timestamp ${original}`;
}

export interface TimestampOptions {
  /** Only where no event is judged by one shard at a time of its own and by another at a later one. */
  readonly withFailed: boolean;
}

export function explainedByTimestamps(
  initial: ModelLedger,
  history: readonly Operation[],
  { withFailed }: TimestampOptions,
): Verdict {
  const answered = history.map((operation, i) => ({ i, operation, result: operation.result! }));
  const known = answered.filter(({ result }) => result !== null);
  const repeats = known.filter(({ result }) => result.status === 'exists');
  const taken = known.filter(({ result }) =>
    withFailed ? result.status !== 'exists' : result.status === 'created',
  );
  const sorted = taken.toSorted((a, b) => (a.result.timestamp < b.result.timestamp ? -1 : 1));
  const ledger = initial.clone();
  for (const [at, { operation, result }] of sorted.entries()) {
    const isTwice = at > 0 && sorted[at - 1]!.result.timestamp === result.timestamp;
    if (isTwice) return { isExplained: false, reason: `two at once: ${describe(operation)}` };
    const difference = apply(ledger, operation);
    if (difference === null) continue;
    const before = sorted
      .slice(Math.max(0, at - 12), at)
      .map((one) => `  ${describe(one.operation)}`);
    const reason = `${describe(operation)}: ${difference}, after\n${before.join('\n')}`;
    return { isExplained: false, reason };
  }
  for (const { operation } of repeats) {
    const difference = apply(ledger, operation);
    if (difference !== null) {
      return { isExplained: false, reason: `${describe(operation)}: ${difference}` };
    }
  }
  const both = known.find(({ operation }) => isBurntButCreated(ledger, operation));
  if (both !== undefined) {
    const reason = `its id failed for a transient reason, and was created: ${describe(both.operation)}`;
    return { isExplained: false, reason };
  }
  return { isExplained: true, order: sorted.map(({ i }) => i), ledger };
}

/** After a transient failure an id is never created, and one that was created never fails so: whatever the order, not both. */
function isBurntButCreated(ledger: ModelLedger, { event, result }: Operation): boolean {
  if (event.type === 'account' || !BURNING.has(result!.status as StatusName)) return false;
  return ledger
    .transferRules(event.transfer)
    .some(([name, isBroken]) => isBroken && name === 'exists');
}

function describe({ event, invoked, responded, result }: Operation): string {
  const what =
    event.type === 'account'
      ? `account ${event.account.id}`
      : `transfer ${event.transfer.id}: ${event.transfer.debitAccountId} to ${event.transfer.creditAccountId}, ${event.transfer.amount}`;
  const told = result === null ? 'no answer' : `${result.status} at ${result.timestamp}`;
  return `[${invoked}-${responded}] ${what} => ${told}`;
}
