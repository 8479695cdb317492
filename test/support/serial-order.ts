/**
 * Is there one order of all that happened, one after the other, that explains what concurrent clients were told? What happens at once is a unit: an
 * event, a whole chain, or the expiry of a pending transfer, which nobody asked for and which is seen in the journal.
 *
 * `explainedBySearch` looks for such an order that also respects real time: what was answered before something else was asked comes before it
 * (Wing and Gong, with a memory of the sets that led nowhere). A unit without an answer may have happened or not. For few units.
 *
 * `explainedByTimestamps` needs no search: a system's timestamps are such an order. Every link message carries its sender's clock and the
 * receiver moves past it, so sorted by timestamp the created events replay to the same outcomes. As long as all work across shards
 * walks, that holds for failed events as well: nobody touches an account between its claim and the decision. Whoever calls says whether failed
 * ones take part. `exists` has the timestamp of its original and is held against that. Imported events have timestamps of their own; when they
 * were decided is `Recorded`. A post or void that found no pending transfer is left out: the router had looked for it earlier.
 *
 * Both judge against the naive model, which is left as it was; its clock shows the time at which the unit was decided.
 */
import { assert } from '../../engine/assert.ts';
import { AccountFlags, BALANCING, RESOLVING, TransferFlags } from '../../engine/flags.ts';
import type { Account, Transfer } from './ledger-records.ts';
import { digestOf, expire, statusDue, turnClock, type Expiry } from './model-expiry.ts';
import { BURNING } from './model-ledger.ts';
import type {
  AccountInput,
  Expected,
  ModelLedger,
  Result,
  ShardOf,
  StatusName,
  TransferInput,
} from './model-ledger.ts';

export type LedgerEvent =
  | { readonly type: 'account'; readonly account: AccountInput }
  | { readonly type: 'transfer'; readonly transfer: TransferInput };

export type Unit =
  | { readonly type: 'accounts'; readonly events: readonly AccountInput[] }
  | { readonly type: 'transfers'; readonly events: readonly TransferInput[] }
  | ({ readonly type: 'expiry' } & Expiry);

export interface Operation {
  readonly unit: Unit;
  /** Counted, not measured: a higher number was later. */
  readonly invoked: number;
  /** Infinity where no answer came. */
  readonly responded: number;
  /** One for each event. Null where no answer came: it may have happened. */
  readonly results: readonly Result[] | null;
  /** Operations of the same batch, by their place in the history, that must come before: earlier ones that it depends on. */
  readonly after?: readonly number[];
}

/** What the journals say of what was created: when it was decided, and the timestamp that it was given. */
export interface RecordedTimes {
  readonly decided: bigint;
  readonly timestamp: bigint;
}
export type Recorded = (kind: 'account' | 'transfer', id: bigint) => RecordedTimes | undefined;

/** `order` names operations by their place in the history; `ledger` is the model after them. */
export type Verdict =
  | { readonly isExplained: true; readonly order: readonly number[]; readonly ledger: ModelLedger }
  | { readonly isExplained: false; readonly reason: string };

/** Events of clients in a round that is searched, and units with the expiries that come on top. */
export const SEARCH_EVENTS_MAX = 16;
const SEARCH_UNITS_MAX = 30;

/** Notes what clients ask and are told, in the order in which this process saw it. */
export class History {
  readonly operations: Operation[] = [];
  readonly #shardOf: ShardOf;
  /** Of each event: its operation, and which of that one's events it is. */
  readonly #places: { readonly operation: number; readonly i: number }[] = [];
  readonly #partial = new Map<number, Result[]>();
  #time = 0;

  constructor({ shardOf }: { readonly shardOf: ShardOf }) {
    this.#shardOf = shardOf;
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
    const place = this.#places.length;
    const first = this.operations.length;
    const keys: (readonly string[])[] = [];
    for (const own of unitsOf(events)) {
      const unit = unitOf(own);
      const touched = own.flatMap((event) => this.#keysOf(event, events));
      const after = keys.flatMap((others, j) =>
        others.some((key) => touched.includes(key)) ? [first + j] : [],
      );
      keys.push(touched);
      for (let i = 0; i < own.length; i++) {
        this.#places.push({ operation: this.operations.length, i });
      }
      this.operations.push({ unit, invoked, responded: Infinity, results: null, after });
    }
    return place;
  }

  /** Notes the answer to one event. */
  answer(place: number, result: Result): void {
    this.#settle(place, ++this.#time, result);
  }

  /** Notes that a pending transfer was seen to have expired, at a time. It may have happened at any time before. */
  expired(home: number, id: bigint, timestamp: bigint): void {
    const results = [{ status: 'expired', timestamp }];
    const responded = ++this.#time;
    const unit = { type: 'expiry', home, id, shardOf: this.#shardOf } as const;
    this.operations.push({ unit, invoked: 0, responded, results });
  }

  #settle(place: number, responded: number, result: Result): void {
    const { operation, i } = this.#places[place]!;
    const one = this.operations[operation]!;
    assert(one.results === null, 'an event is answered once');
    const results = this.#partial.get(operation) ?? [];
    results[i] = result;
    this.#partial.set(operation, results);
    assert(one.unit.type !== 'expiry', 'nobody asked for an expiry');
    const isWhole = Object.keys(results).length === one.unit.events.length;
    if (isWhole) this.operations[operation] = { ...one, responded, results };
  }

  /** Units of a batch that have one of these in common keep their order. */
  #keysOf(event: LedgerEvent, batch: readonly LedgerEvent[]): readonly string[] {
    if (event.type === 'account') {
      const { id, flags = 0 } = event.account;
      const hasOrder = (flags & AccountFlags.imported) !== 0;
      return [`account ${id}`, ...(hasOrder ? [`imports of ${this.#shardOf(id)}`] : [])];
    }
    const { id, pendingId = 0n, flags = 0 } = event.transfer;
    const isResolving = (flags & RESOLVING) !== 0;
    let { debitAccountId: dr, creditAccountId: cr } = event.transfer;
    if (isResolving) {
      const named = batch.find((one) => one.type === 'transfer' && one.transfer.id === pendingId);
      const isOpen = dr === 0n || cr === 0n;
      if (named?.type === 'transfer') {
        ({ debitAccountId: dr, creditAccountId: cr } = named.transfer);
      } else if (isOpen) return [`transfer ${this.#shardOf(dr)}/${id}`];
    }
    const home = this.#shardOf(dr);
    const keys = [`transfer ${home}/${id}`, `account ${dr}`, `account ${cr}`];
    if (isResolving) keys.push(`transfer ${home}/${pendingId}`);
    if ((flags & TransferFlags.imported) !== 0) keys.push(`imports of ${home}`);
    return keys;
  }
}

/** Consecutive linked events and the one after them belong together. */
function unitsOf(events: readonly LedgerEvent[]): readonly (readonly LedgerEvent[])[] {
  const units: LedgerEvent[][] = [];
  let isLinked = false;
  for (const event of events) {
    if (isLinked) units.at(-1)!.push(event);
    else units.push([event]);
    const { flags = 0 } = event.type === 'account' ? event.account : event.transfer;
    isLinked = (flags & TransferFlags.linked) !== 0;
  }
  return units;
}

function unitOf(events: readonly LedgerEvent[]): Unit {
  if (events[0]!.type === 'account') {
    const accounts = events.flatMap((one) => (one.type === 'account' ? [one.account] : []));
    return { type: 'accounts', events: accounts };
  }
  const transfers = events.flatMap((one) => (one.type === 'transfer' ? [one.transfer] : []));
  return { type: 'transfers', events: transfers };
}

export interface SearchOptions {
  /** What the ledger must be in the end, as the digest of a model; where answers are missing it says which events happened. */
  readonly digest?: string | undefined;
  readonly recorded?: Recorded | undefined;
  /** When it was over: what nobody was told of may have been decided as late as that. */
  readonly now?: bigint | undefined;
}

export function explainedBySearch(
  initial: ModelLedger,
  history: readonly Operation[],
  { digest, recorded, now }: SearchOptions = {},
): Verdict {
  assert(history.length <= SEARCH_UNITS_MAX, 'few enough units for the search');
  const due = maskOf(history, (operation) => operation.results !== null);
  // Where every answer is known, and so is every amount, a set of units has one outcome whatever its order: the set alone is remembered.
  const hasOpenOnes = history.some((one) => one.results === null || isBalancing(one));
  const seen = new Set<string>();
  // What nobody was told of may have been decided late or early.
  const unknownTimes = [now ?? lastTime(history), null];
  let longest = { length: -1, next: '' };

  const search = (mask: number, order: readonly number[], ledger: ModelLedger): Verdict | null => {
    const isComplete = (mask & due) === due;
    if (isComplete && digest === undefined) return { isExplained: true, order, ledger };
    const state = isComplete || hasOpenOnes ? digestOf(ledger) : '';
    if (isComplete) {
      if (state === digest) return { isExplained: true, order, ledger };
      longest = { length: order.length, next: `the final state is ${digest}, not ${state}` };
    }
    const key = hasOpenOnes ? `${mask} ${state}` : `${mask}`;
    if (seen.has(key)) return null;
    seen.add(key);
    for (const i of candidates(history, mask)) {
      const time = timeOf(history[i]!, recorded);
      for (const clock of time === null ? unknownTimes : [time]) {
        const after = ledger.clone();
        if (clock !== null) turnClock(after, clock);
        const difference = apply(after, history[i]!, recorded);
        if (difference === null) {
          const found = search(mask | (1 << i), [...order, i], after);
          if (found !== null) return found;
        } else if (order.length > longest.length) {
          longest = { length: order.length, next: `${describe(history[i]!)}: ${difference}` };
        }
      }
    }
    return null;
  };

  const found = search(0, [], initial.clone());
  if (found !== null) return found;
  const lines = history.map((operation, i) => `  ${i}. ${describe(operation)}`).join('\n');
  const next = longest.next === '' ? 'the final state is another one' : `then ${longest.next}`;
  const reason = `no order explains it; at best ${longest.length} units, ${next}`;
  return { isExplained: false, reason: `${reason}\n${lines}` };
}

/** Units that may come next: asked before every open one was answered, and after all that they depend on. */
function candidates(history: readonly Operation[], mask: number): readonly number[] {
  const isOpen = (i: number): boolean => (mask & (1 << i)) === 0;
  const open = history.map((_, i) => i).filter(isOpen);
  const firstAnswer = Math.min(...open.map((i) => history[i]!.responded));
  const ready = open.filter((i) => {
    const { invoked, after = [] } = history[i]!;
    // One that got no answer may never have happened: nothing waits for it.
    const isDue = (j: number): boolean =>
      isOpen(j) && history[j]!.results !== null && !isMisnamed(history[j]!);
    return invoked < firstAnswer && (isMisnamed(history[i]!) || !after.some(isDue));
  });
  // The order of time is most likely right.
  const time = (i: number): bigint => timeOf(history[i]!, undefined) ?? 0n;
  return ready.toSorted((a, b) => (time(a) < time(b) ? -1 : 1));
}

const MISNAMED: ReadonlySet<string> = new Set([
  'pending_transfer_not_found',
  'pending_transfer_has_different_debit_account_id',
  'pending_transfer_has_different_credit_account_id',
  'exists_with_different_debit_account_id',
  'exists_with_different_credit_account_id',
]);

/** The router has looked for other accounts than such a post or void names: its place in its batch is not that of what it names. */
function isMisnamed({ results }: Operation): boolean {
  return results?.some(({ status }) => MISNAMED.has(status)) ?? false;
}

function lastTime(history: readonly Operation[]): bigint | null {
  const times = history.map((one) => timeOf(one, undefined));
  return times.reduce((most, time) => (time !== null && (most ?? 0n) < time ? time : most), null);
}

function maskOf(history: readonly Operation[], has: (operation: Operation) => boolean): number {
  return history.reduce((mask, operation, i) => (has(operation) ? mask | (1 << i) : mask), 0);
}

function isBalancing({ unit }: Operation): boolean {
  if (unit.type !== 'transfers') return false;
  return unit.events.some(({ flags = 0 }) => (flags & BALANCING) !== 0);
}

/** When the unit was decided, as far as that is known. Repeats have the timestamps of their originals. */
function timeOf({ unit, results }: Operation, recorded: Recorded | undefined): bigint | null {
  let latest: bigint | null = null;
  const note = (time: bigint | undefined): void => {
    if (time !== undefined && (latest === null || time > latest)) latest = time;
  };
  if (unit.type === 'expiry') return results![0]!.timestamp;
  const kind = unit.type === 'accounts' ? 'account' : 'transfer';
  for (const [i, event] of unit.events.entries()) {
    const result = results?.[i];
    if (result?.status === 'exists') continue;
    const isOwn = result !== undefined && !(result.status === 'created' && isImported(unit, i));
    note(isOwn ? result.timestamp : recorded?.(kind, event.id)?.decided);
  }
  return latest;
}

function isImported(unit: Unit, i: number): boolean {
  if (unit.type === 'expiry') return false;
  const bit = unit.type === 'accounts' ? AccountFlags.imported : TransferFlags.imported;
  return ((unit.events[i]!.flags ?? 0) & bit) !== 0;
}

/** Does the unit to the model, and says what differs from what the client was told. */
function apply(
  ledger: ModelLedger,
  operation: Operation,
  recorded: Recorded | undefined,
): string | null {
  const { unit, results } = operation;
  const time = timeOf(operation, recorded);
  if (unit.type === 'expiry') return expire(ledger, unit, time!);
  if (time !== null) turnClock(ledger, time);
  const expected =
    unit.type === 'accounts'
      ? ledger.createAccounts(unit.events)
      : ledger.createTransfers(unit.events);
  if (results === null) return learnRecorded(ledger, expected, recorded);
  for (const [i, { status }] of expected.entries()) {
    const due = statusDue(ledger, status, unit.events[i]!);
    if (due !== results[i]!.status) return `${due} was due`;
  }
  ledger.learn(expected, results);
  for (const [i, { record }] of expected.entries()) {
    // 0: the original got no answer, so its timestamp is not known.
    const original = record?.timestamp ?? 0n;
    if (original !== 0n && original !== results[i]!.timestamp) {
      return `the original has timestamp ${original}`;
    }
  }
  return null;
}

/** What got no answer has its timestamps in the journal, or it did not happen. */
function learnRecorded(
  ledger: ModelLedger,
  expected: readonly Expected<Account | Transfer>[],
  recorded: Recorded | undefined,
): string | null {
  if (recorded === undefined) return null;
  const results: Result[] = [];
  for (const { status, record } of expected) {
    if (status !== 'created') {
      results.push({ status, timestamp: 0n });
      continue;
    }
    const found = recorded('amount' in record! ? 'transfer' : 'account', record!.id);
    if (found === undefined) return 'it is not in the journal';
    results.push({ status, timestamp: found.timestamp });
  }
  ledger.learn(expected, results);
  return null;
}

/** What is wrong with this very order, or null. */
export function defectOfOrder(
  initial: ModelLedger,
  history: readonly Operation[],
  recorded: Recorded,
): string | null {
  const ledger = initial.clone();
  for (const operation of history) {
    const difference = apply(ledger, operation, recorded);
    if (difference !== null) return `${describe(operation)}: ${difference}`;
  }
  return null;
}

export interface TimestampOptions {
  /** Only where no event is judged by one shard at a time of its own and by another at a later one. */
  readonly withFailed: boolean;
  readonly recorded?: Recorded | undefined;
}

export function explainedByTimestamps(
  initial: ModelLedger,
  history: readonly Operation[],
  { withFailed, recorded }: TimestampOptions,
): Verdict {
  const undated = undatedIds(history);
  const answered = history.map((operation, i) => ({ i, operation }));
  const known = answered.filter(
    ({ operation }) =>
      operation.results !== null &&
      !isUndated(operation) &&
      !idsOf(operation).some((id) => undated.has(id)),
  );
  const isRepeat = ({ results }: Operation): boolean =>
    results!.length === 1 && results![0]!.status === 'exists';
  const wasCreated = ({ results }: Operation): boolean =>
    results!.every(({ status }) => status === 'created' || status === 'expired');
  const taken = known.flatMap(({ i, operation }) => {
    const time = timeOf(operation, recorded);
    if (isRepeat(operation) || time === null) return [];
    return withFailed || wasCreated(operation) ? [{ i, operation, time }] : [];
  });
  const sorted = taken.toSorted((a, b) => (a.time < b.time ? -1 : 1));
  const ledger = initial.clone();
  for (const [at, { operation, time }] of sorted.entries()) {
    const isTwice = at > 0 && sorted[at - 1]!.time === time;
    if (isTwice) return { isExplained: false, reason: `two at once: ${describe(operation)}` };
    const difference = apply(ledger, operation, recorded);
    if (difference === null) continue;
    const before = sorted
      .slice(Math.max(0, at - 12), at)
      .map((one) => `  ${describe(one.operation)}`);
    const reason = `${describe(operation)}: ${difference}, after\n${before.join('\n')}`;
    return { isExplained: false, reason };
  }
  for (const { operation } of known.filter((one) => isRepeat(one.operation))) {
    // An account may have been closed since: then it differs from what was asked.
    if (operation.unit.type === 'accounts') continue;
    const difference = apply(ledger, operation, recorded);
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

/** Posts and voids that were judged by what the router had found, at some time before. */
function isUndated({ results }: Operation): boolean {
  return results?.some(({ status }) => status === 'pending_transfer_not_found') ?? false;
}

/** The ids that such ones have burnt; and what came of these ids elsewhere has no time either. */
function undatedIds(history: readonly Operation[]): ReadonlySet<bigint> {
  const ids = new Set<bigint>();
  for (let before = -1; before < ids.size;) {
    before = ids.size;
    for (const one of history) {
      if (!isUndated(one) && !idsOf(one).some((id) => ids.has(id))) continue;
      const isBurnt = (i: number): boolean =>
        BURNING.has((one.results?.[i]?.status ?? 'created') as StatusName);
      for (const [i, id] of idsOf(one).entries()) if (isBurnt(i)) ids.add(id);
    }
  }
  return ids;
}

function idsOf({ unit }: Operation): readonly bigint[] {
  return unit.type === 'transfers' ? unit.events.map(({ id }) => id) : [];
}

/** After a transient failure an id is never created, and one that was created never fails so: whatever the order, not both. */
function isBurntButCreated(ledger: ModelLedger, { unit, results }: Operation): boolean {
  if (unit.type !== 'transfers') return false;
  return unit.events.some((transfer, i) => {
    if (!BURNING.has(results![i]!.status as StatusName)) return false;
    const rules = ledger.transferRules(transfer);
    return rules.some(([name, isBroken]) => isBroken && name === 'exists');
  });
}

function describe({ unit, invoked, responded, results }: Operation): string {
  const told =
    results === null
      ? 'no answer'
      : results.map(({ status, timestamp }) => `${status} at ${timestamp}`).join(', ');
  return `[${invoked}-${responded}] ${describeUnit(unit)} => ${told}`;
}

function describeUnit(unit: Unit): string {
  if (unit.type === 'expiry') return `expiry of ${unit.home}/${unit.id}`;
  if (unit.type === 'accounts') return `accounts ${unit.events.map(({ id }) => id).join()}`;
  const events = unit.events.map((one) => {
    const { id, debitAccountId, creditAccountId, amount, flags = 0, pendingId = 0n } = one;
    const what = pendingId === 0n ? '' : ` of ${pendingId}`;
    const timeout = one.timeout === undefined ? '' : `, ${one.timeout} s`;
    return `${id}${what}: ${debitAccountId} to ${creditAccountId}, ${amount}, flags ${flags}${timeout}`;
  });
  return `transfers ${events.join(' + ')}`;
}
