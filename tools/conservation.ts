/**
 * Whether money is conserved over all shards at one consistent cut: for each ledger, debits posted are credits posted, and the same of pending
 * amounts. What a walk has decided and other shards have not applied yet is in the messages under way: rows of accounts as they are
 * going to be. And whether links add up: a shard has taken no more of a peer's messages than that has sent, and all that it has not taken is
 * still kept by the sender.
 */
import { assert } from '../engine/assert.ts';
import { ROW_WORDS } from '../engine/batch.ts';
import {
  ApplyHead,
  CHANGED_WORDS,
  endOfTransfers,
  LinkHead,
  MessageForm,
  readChanged,
} from '../engine/link-message.ts';
import { balanceList, balancesOf, findAccount, ledgerOf, type AccountSet } from './account-rows.ts';
import type { ShardState } from './shard-task.ts';

type LinkState = AccountSet &
  Pick<ShardState, 'shard' | 'sequence' | 'sent' | 'received' | 'acknowledged' | 'outbox'>;

/** Sums in the order of BALANCE_NAMES. */
export interface LedgerTotal {
  readonly ledger: number;
  accounts: number;
  readonly sums: bigint[];
  /** What the messages under way are going to add. */
  readonly inFlight: bigint[];
}

export const MESSAGE_KINDS = ['', 'walk', 'apply', 'ack', 'expire'] as const;

export interface MessageInFlight {
  readonly from: number;
  readonly to: number;
  readonly number: number;
  readonly kind: (typeof MESSAGE_KINDS)[number];
  /** The walk that it belongs to: its first shard, and its number there. */
  readonly walk: string;
  /** Of a walk: events that are to be decided. Of what is to be applied: transfers. */
  readonly rows: number;
  /** By ledger: what it is going to add to balances, in the order of BALANCE_NAMES. */
  readonly changes: ReadonlyMap<number, readonly bigint[]>;
}

/** By ledger, ascending. */
export function ledgerTotals(
  shards: readonly AccountSet[],
  messages: readonly MessageInFlight[],
): readonly LedgerTotal[] {
  const totals = new Map<number, LedgerTotal>();
  const totalOf = (ledger: number): LedgerTotal => {
    let total = totals.get(ledger);
    if (total === undefined) {
      total = { ledger, accounts: 0, sums: [0n, 0n, 0n, 0n], inFlight: [0n, 0n, 0n, 0n] };
      totals.set(ledger, total);
    }
    return total;
  };
  for (const { accounts } of shards) {
    for (let at = 0; at < accounts.length; at += ROW_WORDS) {
      const total = totalOf(ledgerOf(accounts, at));
      total.accounts++;
      addTo(total.sums, balanceList(balancesOf(accounts, at)));
    }
  }
  for (const { changes } of messages) {
    for (const [ledger, change] of changes) addTo(totalOf(ledger).inFlight, change);
  }
  return [...totals.values()].toSorted((one, two) => one.ledger - two.ledger);
}

function addTo(sums: bigint[], values: readonly bigint[]): void {
  for (const [i, value] of values.entries()) sums[i] = sums[i]! + value;
}

/** A sentence for each ledger that does not add up. */
export function totalComplaints(totals: readonly LedgerTotal[]): readonly string[] {
  const complaints: string[] = [];
  for (const { ledger, sums, inFlight } of totals) {
    const [debitsPending, debitsPosted, creditsPending, creditsPosted] = sums.map(
      (sum, i) => sum + inFlight[i]!,
    );
    if (debitsPosted !== creditsPosted) {
      complaints.push(
        `ledger ${ledger}: debits posted are ${debitsPosted}, and credits posted ${creditsPosted}`,
      );
    }
    if (debitsPending !== creditsPending) {
      complaints.push(
        `ledger ${ledger}: debits pending are ${debitsPending}, and credits pending ${creditsPending}`,
      );
    }
  }
  return complaints;
}

/** Of all shards: messages that were sent and not taken, in order. */
export function messagesInFlight(states: readonly LinkState[]): readonly MessageInFlight[] {
  const messages: MessageInFlight[] = [];
  for (const { shard, outbox } of states) {
    for (const { to, number, body } of outbox) {
      const receiver = states[to]!;
      if (number <= receiver.received[shard]!) continue;
      const kind = MESSAGE_KINDS[body[LinkHead.kind]!]!;
      messages.push({
        from: shard,
        to,
        number,
        kind,
        walk: `${body[LinkHead.first]}:${body[LinkHead.walk]}`,
        rows: kind === 'apply' ? body[ApplyHead.transfers]! : body[LinkHead.rows]!,
        changes: kind === 'apply' ? changesOf(body, receiver) : new Map(),
      });
    }
  }
  return messages.toSorted(
    (one, two) => one.from - two.from || one.to - two.to || one.number - two.number,
  );
}

/** What applying a message is going to add to the balances of the receiver. Its accounts are claimed, so they are as they were. */
function changesOf(body: Uint32Array, receiver: AccountSet): Map<number, bigint[]> {
  const changes = new Map<number, bigint[]>();
  let at = endOfTransfers(body, 0);
  const isThin = body[ApplyHead.form] !== MessageForm.whole;
  const changed = new Uint32Array(CHANGED_WORDS);
  for (let i = 0; i < body[ApplyHead.accounts]!; i++) {
    at = readChanged(body, at, isThin, changed);
    const found = findAccount(receiver, changed, 0);
    assert(found !== -1, 'a claimed account exists');
    const old = balanceList(balancesOf(receiver.accounts, found));
    const change = balanceList(balancesOf(changed, 0)).map((balance, j) => balance - old[j]!);
    const ledger = ledgerOf(receiver.accounts, found);
    const sum = changes.get(ledger) ?? [0n, 0n, 0n, 0n];
    addTo(sum, change);
    changes.set(ledger, sum);
  }
  return changes;
}

/** Links whose two ends do not fit, each with the shard that has too much or too little. `isTime`: see replay-moment.ts. */
export function linkComplaints(
  states: readonly LinkState[],
  isTime = false,
): readonly { readonly shard: number; readonly sequence: number; readonly rule: string }[] {
  const complaints: { shard: number; sequence: number; rule: string }[] = [];
  for (const sender of states) {
    for (const receiver of states) {
      if (sender === receiver) continue;
      const rule = linkRule(sender, receiver, isTime);
      if (rule === undefined) continue;
      complaints.push({ shard: receiver.shard, sequence: receiver.sequence, rule });
    }
  }
  return complaints;
}

function linkRule(sender: LinkState, receiver: LinkState, isTime: boolean): string | undefined {
  const sent = sender.sent[receiver.shard]!;
  const acknowledged = sender.acknowledged[receiver.shard]!;
  const received = receiver.received[sender.shard]!;
  const both = `shard ${receiver.shard} has taken ${received} messages of shard ${sender.shard}`;
  if (received > sent) return `${both}, which has sent ${sent}: the journals are not of one time`;
  if (acknowledged > received && !isTime) {
    return `${both}, which was told of ${acknowledged}: the journals are not of one time`;
  }
  const kept = sender.outbox.filter(({ to, number }) => to === receiver.shard && number > received);
  return kept.length === sent - received
    ? undefined
    : `${both}, of ${sent}, and shard ${sender.shard} keeps ${kept.length} of those that are missing`;
}
