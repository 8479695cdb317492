/** What must hold of one shard's state by itself, whatever is in flight: limits of accounts, and pending balances that open pending transfers explain. */
import { ROW_WORDS } from '../engine/batch.ts';
import { AccountFlags } from '../engine/flags.ts';
import type { StateMachine } from '../engine/state-machine.ts';
import { bigintOfUint128 } from '../engine/uint128.ts';
import { balancesOf, flagsOf } from './account-rows.ts';

/** A sick ledger would fill the screen; the first ones say enough. */
const COMPLAINTS_MAX = 20;

/** Sentences about the accounts (32 words each, by row) that break a rule. */
export function accountComplaints(machine: StateMachine, accounts: Uint32Array): readonly string[] {
  const complaints: string[] = [];
  const pending = pendingDebits(machine);
  for (let at = 0; at < accounts.length; at += ROW_WORDS) {
    const rule = brokenRule(accounts, at, pending.get(at / ROW_WORDS) ?? 0n);
    if (rule === undefined) continue;
    if (complaints.length === COMPLAINTS_MAX) return [...complaints, 'and more accounts'];
    complaints.push(`account ${bigintOfUint128(accounts, at)} ${rule}`);
  }
  return complaints;
}

/** By row of the debit account, whose shard this is: what its open pending transfers add up to. */
function pendingDebits({ ledger }: StateMachine): ReadonlyMap<number, bigint> {
  const sums = new Map<number, bigint>();
  const record = new Uint32Array(ROW_WORDS);
  ledger.pendings.forEach((entry) => {
    const row = ledger.pendings.debitRow(entry);
    ledger.pendings.copyRecord(entry, record);
    sums.set(row, (sums.get(row) ?? 0n) + bigintOfUint128(record, 12));
  });
  return sums;
}

function brokenRule(accounts: Uint32Array, at: number, pending: bigint): string | undefined {
  const { debitsPending, debitsPosted, creditsPending, creditsPosted } = balancesOf(accounts, at);
  const flags = flagsOf(accounts, at);
  if (
    (flags & AccountFlags.debitsMustNotExceedCredits) !== 0 &&
    debitsPending + debitsPosted > creditsPosted
  ) {
    return `has debits of ${debitsPending} pending and ${debitsPosted} posted, which exceed its credits of ${creditsPosted}`;
  }
  if (
    (flags & AccountFlags.creditsMustNotExceedDebits) !== 0 &&
    creditsPending + creditsPosted > debitsPosted
  ) {
    return `has credits of ${creditsPending} pending and ${creditsPosted} posted, which exceed its debits of ${debitsPosted}`;
  }
  if (debitsPending !== pending) {
    return `has ${debitsPending} of debits pending, and its open pending transfers are ${pending} together`;
  }
  return undefined;
}
