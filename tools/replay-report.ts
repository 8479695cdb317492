/** What a replay found, and the parts of it that tables, JSON, and other tools write in the same way. */
import { ROW_WORDS } from '../engine/batch.ts';
import { bigintOfUint128, bigintOfUint64 } from '../engine/uint128.ts';
import {
  accountFlagNames,
  BALANCE_NAMES,
  balanceList,
  balancesOf,
  codeOf,
  flagsOf,
  inOrder,
  ledgerOf,
} from './account-rows.ts';
import type { LedgerTotal, MessageInFlight } from './conservation.ts';
import { formatTime, type Moment } from './moment.ts';
import { momentText } from './moments-of-shards.ts';
import type { ShardState } from './shard-task.ts';
import type { Sink } from './sink.ts';
import { columnsOf, writeTable } from './table.ts';

export interface ReplayReport {
  readonly directory: string;
  readonly isLive: boolean;
  readonly from: Moment | undefined;
  readonly to: Moment | undefined;
  readonly states: readonly ShardState[];
  /** All shards are in it: what was in flight between them is known. */
  readonly isWhole: boolean;
  readonly messages: readonly MessageInFlight[];
  readonly totals: readonly LedgerTotal[];
}

/** An account, or what became of it since `from`. */
export interface AccountLine {
  readonly id: string;
  readonly shard: number;
  readonly rows: Uint32Array;
  readonly at: number;
  /** In the order of BALANCE_NAMES. */
  readonly balances: readonly bigint[];
  /** As they were at `from`; null when the account was not there. */
  readonly before: readonly bigint[] | null;
}

/** In order of ids; of a difference, only accounts that are new or have changed. */
export function* accountLines({ from, states }: ReplayReport): Generator<AccountLine, void> {
  for (const { shard: i, at } of inOrder(states)) {
    const { shard, accounts: rows, before: old } = states[i]!;
    const before = old !== null && at < old.length ? balanceList(balancesOf(old, at)) : null;
    const balances = balanceList(balancesOf(rows, at));
    if (from !== undefined && before !== null) {
      const isSame = balances.every((balance, b) => balance === before[b]);
      if (isSame && flagsOf(old!, at) === flagsOf(rows, at)) continue;
    }
    yield { id: String(bigintOfUint128(rows, at)), shard, rows, at, balances, before };
  }
}

/** The account as it goes over the wire, and its shard. */
export function accountObject({ id, shard, rows, at, balances }: AccountLine): object {
  return {
    id,
    shard,
    ...balanceObject(balances),
    user_data_128: String(bigintOfUint128(rows, at + 20)),
    user_data_64: String(bigintOfUint64(rows, at + 24)),
    user_data_32: rows[at + 26]!,
    ledger: ledgerOf(rows, at),
    code: codeOf(rows, at),
    flags: accountFlagNames(flagsOf(rows, at)),
    timestamp: String(bigintOfUint64(rows, at + ROW_WORDS - 2)),
  };
}

export function balanceObject(balances: readonly bigint[]): Record<string, string> {
  return Object.fromEntries(BALANCE_NAMES.map((name, i) => [name, String(balances[i]!)]));
}

export function shardObject(state: ShardState): object {
  const { shard, sequence, timestamp, digest, events, transfers, openPendings } = state;
  return {
    shard,
    sequence,
    timestamp: String(timestamp),
    time: formatTime(timestamp),
    digest,
    snapshot: state.snapshot,
    events,
    accounts: state.order.length,
    transfer_ids: transfers,
    open_pendings: openPendings,
    expiring: state.expiring,
    walks_under_way: state.walks,
    claims: state.claims,
    parked: state.parked,
  };
}

export function messageObject({ changes, ...message }: MessageInFlight): object {
  const list = [...changes].map(([ledger, change]) => ({ ledger, ...balanceObject(change) }));
  return { ...message, changes: list };
}

export function totalObject({ ledger, accounts, sums, inFlight }: LedgerTotal): object {
  return { ledger, accounts, ...balanceObject(sums), in_flight: balanceObject(inFlight) };
}

export function headObject(report: ReplayReport): object {
  const { directory, isLive, from, to, states, isWhole, messages, totals } = report;
  return {
    directory,
    live: isLive,
    ...(from === undefined ? {} : { from: momentText(from) }),
    to: to === undefined ? null : momentText(to),
    shards: states.map(shardObject),
    ledgers: totals.map(totalObject),
    in_flight: isWhole ? messages.map(messageObject) : null,
  };
}

// ---- For people.

export function writeHead(sink: Sink, { directory, isLive, from, to }: ReplayReport): void {
  const which = isLive ? ', which a process has (or had)' : '';
  const since = from === undefined ? '' : `from ${momentText(from)} `;
  sink.line(`${directory}${which}, ${since}to ${momentText(to)}`);
  sink.line('');
}

export function writeShards(sink: Sink, states: readonly ShardState[]): void {
  const hasSnapshots = states.some(({ snapshot }) => snapshot !== null);
  const since = hasSnapshots ? 'snapshot# ' : '';
  writeTable(
    sink,
    columnsOf(
      `shard# sequence# time ${since}events# accounts# transfer_ids# open_pendings# digest`,
    ),
    () =>
      states.map((state) => [
        String(state.shard),
        String(state.sequence),
        state.sequence === 0 ? '-' : formatTime(state.timestamp),
        ...(hasSnapshots ? [state.snapshot === null ? '-' : String(state.snapshot)] : []),
        String(state.events),
        String(state.order.length),
        String(state.transfers),
        String(state.openPendings),
        state.digest,
      ]),
  );
}

export function writeTotals(sink: Sink, totals: readonly LedgerTotal[]): void {
  writeTable(
    sink,
    columnsOf('ledger accounts# debits_pending# debits_posted# credits_pending# credits_posted#'),
    () =>
      totals.flatMap(({ ledger, accounts, sums, inFlight }) => {
        const sum = [String(ledger), String(accounts), ...sums.map(String)];
        if (inFlight.every((value) => value === 0n)) return [sum];
        return [sum, ['  in flight', '', ...inFlight.map(signed)]];
      }),
  );
}

export function signed(value: bigint): string {
  return value > 0n ? `+${value}` : String(value);
}

export function writeMessages(sink: Sink, messages: readonly MessageInFlight[]): void {
  if (messages.length === 0) {
    sink.line('nothing is in flight between the shards');
    return;
  }
  sink.line('in flight between the shards: sent, and not yet taken');
  writeTable(sink, columnsOf('from# to# message# kind walk rows#'), () =>
    messages.map(({ from, to, number, kind, walk, rows }) => [
      String(from),
      String(to),
      String(number),
      kind,
      walk,
      String(rows),
    ]),
  );
}
