/**
 * The statement of one account, made while its shard is replayed: every transfer that took effect, in that order, with the balances after it. Entries
 * go into a file of their own as they come, 64 words each: a busy account has more of them than memory should hold.
 *
 * I1 After each group the balances that the entries add up to are those of the account itself; else the statement is refused. Where a pending
 *    transfer expired whose home is another shard, its end is not in this shard's journal but for the balances, which is why what is left
 *    over after the entries of a group may only be a pending amount that has gone.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { HEAD_HIGH, HEAD_LOW } from '../engine/account-table.ts';
import { ROW_WORDS } from '../engine/batch.ts';
import { TransferFlags } from '../engine/flags.ts';
import { Derived, DERIVED_WORDS, DerivedKind } from '../engine/frame.ts';
import type { Group } from '../engine/group.ts';
import { HistorySide, positionRow, positionSequence } from '../engine/ledger.ts';
import type { StateMachine } from '../engine/state-machine.ts';
import { bigintOfUint128, bigintOfUint64, writeUint128, writeUint64 } from '../engine/uint128.ts';
import { DataDirectoryError } from '../persistence/errors.ts';
import { WholeFrame } from '../query/frame-bytes.ts';
import { FrameView } from '../query/frame-view.ts';
import { type Balances, balancesOf, ZERO_BALANCES } from './account-rows.ts';

export const ENTRY_TYPES = [
  'single_phase',
  'pending',
  'posted',
  'voided',
  'expired',
  'expired_elsewhere',
] as const;
export type EntryType = (typeof ENTRY_TYPES)[number];

export interface StatementEntry {
  readonly type: EntryType;
  readonly side: 'debit' | 'credit';
  readonly sequence: number;
  /** In the frame; -1 for what has no row there. */
  readonly row: number;
  /** When it took effect on the account's shard. */
  readonly effect: bigint;
  /** What moved: for posts, voids, and expiries also what was pending. */
  readonly amount: bigint;
  readonly pendingAmount: bigint;
  /** The record of the transfer, 32 words; all zero for what expired elsewhere. */
  readonly record: Uint32Array;
  /** After it. */
  readonly balances: Balances;
}

export interface StatementHead {
  readonly file: string;
  readonly entries: number;
  readonly isFound: boolean;
  readonly opening: Balances;
  readonly closing: Balances;
}

/** Of an entry in the file: the record, four balances, then these. */
const ENTRY_WORDS = 64;
const Entry = {
  balances: 32,
  type: 48,
  side: 49,
  sequence: 50,
  row: 52,
  effect: 54,
  pendingAmount: 56,
} as const;
const NO_ROW = 0xffffffff;
const BUFFER_ENTRIES = 1024;
const WORD = 4294967296;
const AMOUNT = 12;

interface PlacedRow {
  readonly row: number;
  readonly side: number;
}

export class StatementWriter {
  readonly #machine: StateMachine;
  readonly #group: Group;
  readonly #account: Uint32Array;
  readonly #path: string;
  readonly #file: number;
  readonly #buffer = new Uint32Array(BUFFER_ENTRIES * ENTRY_WORDS);
  #buffered = 0;
  #entries = 0;
  /** The account's row in its table, -1 until it is there. */
  #row = -1;
  #isOpen = false;
  #opening = ZERO_BALANCES;
  #balances = { ...ZERO_BALANCES };
  /** Amounts of the open pending transfers, by id and debit account: an id is unique on the shard of that one. */
  readonly #pendings = new Map<string, bigint>();
  readonly #entry = new Uint32Array(DERIVED_WORDS);
  readonly #position = new Uint32Array(2);

  constructor(
    machine: StateMachine,
    group: Group,
    { account, file }: { readonly account: Uint32Array; readonly file: string },
  ) {
    this.#machine = machine;
    this.#group = group;
    this.#account = account;
    this.#path = file;
    this.#file = openSync(file, 'wx', 0o600);
  }

  /** From here on entries are kept. */
  begin(): void {
    this.#isOpen = true;
    this.#opening = { ...this.#balances };
  }

  /** After each group. */
  add(sequence: number): void {
    if (this.#row === -1 && !this.#find()) return;
    const { accounts } = this.#machine.ledger;
    const words = accounts.words;
    const at = accounts.offset(this.#row);
    const now = balancesOf(words, at);
    const low = words[at + HEAD_LOW]!;
    const high = words[at + HEAD_HIGH]!;
    const isTouched = positionSequence(low, high) === sequence && (low | high) !== 0;
    if (!isTouched && isSame(now, this.#balances)) return;
    const frame = this.#group.frame();
    const whole = new Uint32Array(frame.buffer, frame.byteOffset, frame.byteLength / 4);
    const view = new FrameView(new WholeFrame(whole), sequence, this.#machine.ledger.shards);
    if (isTouched) {
      for (const placed of this.#chain(view, low, high)) this.#addTransfer(view, placed);
    }
    if (!isSame(now, this.#balances)) this.#addExpiries(view);
    if (!isSame(now, this.#balances)) this.#addRest(view, now);
  }

  #find(): boolean {
    const { accountIndex } = this.#machine.ledger;
    const account = this.#account;
    this.#row = accountIndex.find(account, 0, accountIndex.hash(account, 0));
    return this.#row !== -1;
  }

  /** The account's transfers in this frame, in the order in which they took effect: its history is a chain that ends with the newest. */
  #chain(view: FrameView, low: number, high: number): readonly PlacedRow[] {
    const placed: PlacedRow[] = [];
    const position = this.#position;
    position[0] = low;
    position[1] = high;
    while (
      (position[0] | position[1]) !== 0 &&
      positionSequence(position[0], position[1]) === view.sequence
    ) {
      const row = positionRow(position[1]);
      const side = position[1] & 0xff;
      placed.push({ row, side });
      view.previous(row, side, position);
    }
    return placed.toReversed();
  }

  #addTransfer(view: FrameView, { row, side }: PlacedRow): void {
    const entry = this.#entry;
    view.entry(row, entry);
    const flags = entry[29]! >>> 16;
    const amount = bigintOfUint128(entry, AMOUNT);
    let pendingAmount = 0n;
    let type: EntryType = 'single_phase';
    if ((flags & TransferFlags.pending) !== 0) {
      type = 'pending';
      pendingAmount = amount;
      this.#pendings.set(pendingKey(entry, 0), amount);
    } else if (
      (flags & (TransferFlags.postPendingTransfer | TransferFlags.voidPendingTransfer)) !==
      0
    ) {
      type = (flags & TransferFlags.postPendingTransfer) !== 0 ? 'posted' : 'voided';
      pendingAmount = this.#takePending(entry, 16, view.sequence);
    }
    const sides = side === HistorySide.debit ? 'debit' : 'credit';
    this.#apply(sides, type, amount, pendingAmount);
    const effect = bigintOfUint64(entry, Derived.effect);
    this.#write({ type, side: sides, row, effect, pendingAmount }, view.sequence);
  }

  /** Those whose home is here have a row of their own. */
  #addExpiries(view: FrameView): void {
    const entry = this.#entry;
    for (let row = view.inputRows; row < view.rows; row++) {
      view.entry(row, entry);
      if ((entry[Derived.kind]! & DerivedKind.expired) === 0) continue;
      const side = this.#sideIn(entry);
      if (side === undefined) continue;
      const pendingAmount = this.#takePending(entry, 0, view.sequence);
      this.#apply(side, 'expired', 0n, pendingAmount);
      const effect = bigintOfUint64(entry, Derived.effect);
      this.#write({ type: 'expired', side, row, effect, pendingAmount }, view.sequence);
    }
  }

  #sideIn(record: Uint32Array): 'debit' | 'credit' | undefined {
    const isId = (at: number): boolean => this.#account.every((word, w) => word === record[at + w]);
    if (isId(4)) return 'debit';
    return isId(8) ? 'credit' : undefined;
  }

  /** What is left may only be a pending credit that has gone (I1). */
  #addRest(view: FrameView, now: Balances): void {
    const gone = this.#balances.creditsPending - now.creditsPending;
    const rest = { ...this.#balances, creditsPending: now.creditsPending };
    if (gone <= 0n || !isSame(rest, now)) {
      throw new DataDirectoryError(
        'DATA_DAMAGED',
        `the account's transfers do not add up to its balances`,
      );
    }
    this.#entry.fill(0);
    this.#apply('credit', 'expired_elsewhere', 0n, gone);
    const words = { row: NO_ROW, effect: view.closed, pendingAmount: gone };
    this.#write({ type: 'expired_elsewhere', side: 'credit', ...words }, view.sequence);
  }

  #takePending(record: Uint32Array, idAt: number, sequence: number): bigint {
    const key = pendingKey(record, idAt);
    const amount = this.#pendings.get(key);
    if (amount === undefined) {
      throw new DataDirectoryError(
        'DATA_DAMAGED',
        `sequence ${sequence} ends a pending transfer of the account that was not open`,
      );
    }
    this.#pendings.delete(key);
    return amount;
  }

  // oxlint-disable-next-line max-params -- What an entry does to the balances of its side.
  #apply(side: 'debit' | 'credit', type: EntryType, amount: bigint, pendingAmount: bigint): void {
    const posted = type === 'single_phase' || type === 'posted' ? amount : 0n;
    const pending = type === 'pending' ? pendingAmount : -pendingAmount;
    const balances = this.#balances;
    this.#balances =
      side === 'debit'
        ? {
            ...balances,
            debitsPending: balances.debitsPending + pending,
            debitsPosted: balances.debitsPosted + posted,
          }
        : {
            ...balances,
            creditsPending: balances.creditsPending + pending,
            creditsPosted: balances.creditsPosted + posted,
          };
  }

  #write(
    entry: Pick<StatementEntry, 'type' | 'side' | 'row' | 'effect' | 'pendingAmount'>,
    sequence: number,
  ): void {
    if (!this.#isOpen) return;
    if (this.#buffered === BUFFER_ENTRIES) this.#flush();
    const words = this.#buffer;
    const at = this.#buffered++ * ENTRY_WORDS;
    words.fill(0, at, at + ENTRY_WORDS);
    words.set(this.#entry.subarray(0, ROW_WORDS), at);
    const { debitsPending, debitsPosted, creditsPending, creditsPosted } = this.#balances;
    for (const [i, balance] of [
      debitsPending,
      debitsPosted,
      creditsPending,
      creditsPosted,
    ].entries()) {
      writeUint128(balance, words, at + Entry.balances + 4 * i);
    }
    words[at + Entry.type] = ENTRY_TYPES.indexOf(entry.type);
    words[at + Entry.side] = entry.side === 'debit' ? HistorySide.debit : HistorySide.credit;
    words[at + Entry.sequence] = sequence >>> 0;
    words[at + Entry.sequence + 1] = Math.floor(sequence / WORD);
    words[at + Entry.row] = entry.row;
    writeUint64(entry.effect, words, at + Entry.effect);
    writeUint128(entry.pendingAmount, words, at + Entry.pendingAmount);
    this.#entries++;
  }

  #flush(): void {
    writeSync(this.#file, this.#buffer, 0, this.#buffered * ENTRY_WORDS * 4);
    this.#buffered = 0;
  }

  /** The last group was added. */
  end(): void {
    this.#flush();
  }

  get head(): StatementHead {
    return {
      file: this.#path,
      entries: this.#entries,
      isFound: this.#row !== -1,
      opening: this.#opening,
      closing: this.#balances,
    };
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Reads the entries back, in order. */
export function* readStatement({ file, entries }: StatementHead): Generator<StatementEntry, void> {
  const words = new Uint32Array(BUFFER_ENTRIES * ENTRY_WORDS);
  const opened = openSync(file, 'r');
  try {
    for (let done = 0; done < entries;) {
      const count = Math.min(BUFFER_ENTRIES, entries - done);
      readSync(opened, words, 0, count * ENTRY_WORDS * 4, done * ENTRY_WORDS * 4);
      for (let i = 0; i < count; i++) yield entryAt(words, i * ENTRY_WORDS);
      done += count;
    }
  } finally {
    closeSync(opened);
  }
}

function entryAt(words: Uint32Array, at: number): StatementEntry {
  const row = words[at + Entry.row]!;
  return {
    type: ENTRY_TYPES[words[at + Entry.type]!]!,
    side: words[at + Entry.side] === HistorySide.debit ? 'debit' : 'credit',
    sequence: words[at + Entry.sequence]! + words[at + Entry.sequence + 1]! * WORD,
    row: row === NO_ROW ? -1 : row,
    effect: bigintOfUint64(words, at + Entry.effect),
    amount: bigintOfUint128(words, at + AMOUNT),
    pendingAmount: bigintOfUint128(words, at + Entry.pendingAmount),
    record: words.slice(at, at + ROW_WORDS),
    // Balances begin at word 4 of an account's row.
    balances: balancesOf(words, at + Entry.balances - 4),
  };
}

function pendingKey(record: Uint32Array, idAt: number): string {
  return `${bigintOfUint128(record, idAt)}/${bigintOfUint128(record, 4)}`;
}

function isSame(one: Balances, two: Balances): boolean {
  return (
    one.debitsPending === two.debitsPending &&
    one.debitsPosted === two.debitsPosted &&
    one.creditsPending === two.creditsPending &&
    one.creditsPosted === two.creditsPosted
  );
}
