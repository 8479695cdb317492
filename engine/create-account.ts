/**
 * The rules for one account: validation in order of precedence, then the row. In a walk an account of another shard is among what was brought
 * along, and is made there.
 */
import { equals, isMax, isZero } from './arithmetic.ts';
import { Account, BatchKind, ROW_WORDS, type Columns } from './batch.ts';
import type { Carried } from './carried.ts';
import { ACCOUNT_FLAGS_ALL, AccountFlags } from './flags.ts';
import { DerivedKind } from './frame.ts';
import type { Group } from './group.ts';
import { judgeTimestamp } from './imported.ts';
import { raise, type Ledger } from './ledger.ts';
import { shardOf } from './placement.ts';
import { AccountStatus } from './status.ts';
import type { UndoLog } from './undo-log.ts';

const LIMITS = AccountFlags.debitsMustNotExceedCredits | AccountFlags.creditsMustNotExceedDebits;

interface AccountParts {
  readonly ledger: Ledger;
  readonly group: Group;
  readonly carried: Carried;
  readonly undo: UndoLog;
}

export class AccountRules {
  readonly #ledger: Ledger;
  readonly #group: Group;
  readonly #carried: Carried;
  readonly #undo: UndoLog;
  #columns: Columns | null = null;
  #isWalk = false;
  readonly #row = new Uint32Array(ROW_WORDS);

  constructor(parts: AccountParts) {
    this.#ledger = parts.ledger;
    this.#group = parts.group;
    this.#carried = parts.carried;
    this.#undo = parts.undo;
  }

  open(columns: Columns, isWalk: boolean): void {
    this.#columns = columns;
    this.#isWalk = isWalk;
  }

  /**
   * Executes row i at the ledger's clock. `inputRow` is its row in the frame, -1 when it came with an earlier one. On `exists` the ledger's
   * outcome timestamp is the stored account's.
   */
  create(i: number, inputRow: number, mark: number): AccountStatus {
    const columns = this.#columns!;
    const { words, at, step } = columns;
    const ledger = this.#ledger;
    const early = this.#judgeEvent(i, mark);
    if (early !== AccountStatus.created) return early;
    const id = at[Account.id]! + i * step[Account.id]!;
    const hash = ledger.accountIndex.hash(words, id);
    const shard = shardOf(words, id, ledger.shards);
    const isAway = this.#isWalk && shard !== ledger.shard;
    const known = isAway
      ? this.#carried.findAccount(words, id)
      : ledger.accountIndex.find(words, id, hash);
    if (known >= 0) return this.#compareExisting(i, known, isAway);
    const status = this.#judgeFields(i);
    if (status !== AccountStatus.created) return status;
    return this.#add(i, { inputRow, hash, shard, isAway });
  }

  /** What comes before the search for its id. */
  #judgeEvent(i: number, mark: number): AccountStatus {
    const { words, halves, at, step } = this.#columns!;
    const id = at[Account.id]! + i * step[Account.id]!;
    const stamp = at[Account.timestamp]! + i * step[Account.timestamp]!;
    const flags = halves[at[Account.flags]! + i * step[Account.flags]!]!;
    const early = judgeTimestamp(this.#ledger, BatchKind.accounts, flags, mark, words, stamp);
    if (early !== 0) return early as AccountStatus;
    if (words[at[Account.reserved]! + i * step[Account.reserved]!] !== 0) {
      return AccountStatus.reserved_field;
    }
    if ((flags & ~ACCOUNT_FLAGS_ALL) !== 0) return AccountStatus.reserved_flag;
    if (isZero(words, id)) return AccountStatus.id_must_not_be_zero;
    return isMax(words, id) ? AccountStatus.id_must_not_be_int_max : AccountStatus.created;
  }

  /** What comes after it. */
  #judgeFields(i: number): AccountStatus {
    const { words, halves, at, step } = this.#columns!;
    const flags = halves[at[Account.flags]! + i * step[Account.flags]!]!;
    if ((flags & LIMITS) === LIMITS) return AccountStatus.flags_are_mutually_exclusive;
    for (let column: number = Account.debitsPending; column <= Account.creditsPosted; column++) {
      if (isZero(words, at[column]! + i * step[column]!)) continue;
      // The four statuses and the four columns are in the same order.
      return (AccountStatus.debits_pending_must_be_zero + column - 1) as AccountStatus;
    }
    if (words[at[Account.ledger]! + i * step[Account.ledger]!] === 0) {
      return AccountStatus.ledger_must_not_be_zero;
    }
    return halves[at[Account.code]! + i * step[Account.code]!] === 0
      ? AccountStatus.code_must_not_be_zero
      : AccountStatus.created;
  }

  #add(
    i: number,
    one: {
      readonly inputRow: number;
      readonly hash: number;
      readonly shard: number;
      readonly isAway: boolean;
    },
  ): AccountStatus {
    const ledger = this.#ledger;
    const row = this.#row;
    this.#columns!.copyRow(i, row, 0);
    const isImported = ((row[29]! >>> 16) & AccountFlags.imported) !== 0;
    const newest = one.isAway
      ? this.#carried.newest.subarray(2 * one.shard, 2 * one.shard + 2)
      : ledger.newestAccount;
    if (!isImported) {
      row[30] = ledger.clockLow;
      row[31] = ledger.clockHigh;
    } else if (row[31]! < newest[1]! || (row[31] === newest[1] && row[30]! <= newest[0]!)) {
      return AccountStatus.imported_event_timestamp_must_not_regress;
    }
    // After this point the account must be created.
    if (one.isAway) {
      if (this.#undo.isActive) {
        this.#undo.carriedAccountAdded(row, 0);
        this.#undo.carriedNewest(one.shard, newest, 0);
      }
      this.#carried.touch(this.#carried.addAccount(row, 0));
    } else {
      if (this.#undo.isActive) this.#undo.newest(0, newest);
      const added = addAccount(ledger, row, 0, one.hash);
      if (this.#undo.isActive) this.#undo.accountAdded(added, one.hash);
      if (one.inputRow === -1) {
        const derived = this.#group.derive(row, 0, DerivedKind.account);
        this.#group.setDecided(derived, ledger.clockLow, ledger.clockHigh);
      }
    }
    raise(newest, 0, row[30]!, row[31]!);
    ledger.stampLow = row[30]!;
    ledger.stampHigh = row[31]!;
    return AccountStatus.created;
  }

  /** `known` is the row of the account, or, away, its word offset among what was brought along. */
  #compareExisting(i: number, known: number, isAway: boolean): AccountStatus {
    const { words, halves, at, step } = this.#columns!;
    const old = this.#row;
    if (!isAway) this.#ledger.accounts.copyRow(known, old, 0);
    else for (let w = 0; w < ROW_WORDS; w++) old[w] = this.#carried.rows[known + w]!;
    const user64 = at[Account.userData64]! + i * step[Account.userData64]!;
    if (halves[at[Account.flags]! + i * step[Account.flags]!] !== old[29]! >>> 16) {
      return AccountStatus.exists_with_different_flags;
    }
    if (!equals(words, at[Account.userData128]! + i * step[Account.userData128]!, old, 20)) {
      return AccountStatus.exists_with_different_user_data_128;
    }
    if (words[user64] !== old[24] || words[user64 + 1] !== old[25]) {
      return AccountStatus.exists_with_different_user_data_64;
    }
    if (words[at[Account.userData32]! + i * step[Account.userData32]!] !== old[26]) {
      return AccountStatus.exists_with_different_user_data_32;
    }
    if (words[at[Account.ledger]! + i * step[Account.ledger]!] !== old[28]) {
      return AccountStatus.exists_with_different_ledger;
    }
    if (halves[at[Account.code]! + i * step[Account.code]!] !== (old[29]! & 0xffff)) {
      return AccountStatus.exists_with_different_code;
    }
    this.#ledger.stampLow = old[30]!;
    this.#ledger.stampHigh = old[31]!;
    return AccountStatus.exists;
  }
}

/** Adds an account (32 words at `at`, its timestamp in place) that is not there, and returns its row. */
export function addAccount(ledger: Ledger, source: Uint32Array, at: number, hash: number): number {
  const row = ledger.accounts.add(source, at);
  ledger.accountIndex.insert(hash, row);
  return row;
}
