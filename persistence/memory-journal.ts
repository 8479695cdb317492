/**
 * The journal in memory: the same checks as on disk, for tests and simulations. What it keeps lies in a `MemoryJournalStore`, which outlives
 * the instance as a disk does, so that opening a new instance over the same store is recovery.
 */
import { assert } from '../engine/assert.ts';
import {
  assertAppendable,
  chainStart,
  type JournalIdentity,
  rowChecksum,
} from './checksum-chain.ts';
import { journalCorrupt, JournalError } from './errors.ts';
import type { Journal, JournalRow } from './journal.ts';

const FILE = '(memory)';

export interface MemoryJournalRow extends JournalRow {
  readonly checksum: number;
}

export interface MemoryJournalStore {
  /** Row `sequence` at index `sequence - 1`; undefined is a row that got lost. */
  readonly rows: (MemoryJournalRow | undefined)[];
}

/** When the injected failure strikes: either way `append` throws, and only the store knows. */
export type AppendFailure = 'before-keeping' | 'after-keeping';

export class MemoryJournal implements Journal {
  readonly #identity: JournalIdentity;
  readonly #store: MemoryJournalStore;
  #lastSequence: number;
  #lastChecksum: number;
  #underWay: MemoryJournalRow | undefined;
  /** How often `settle` says of a row that was submitted that it is not durable yet, unless it waits. */
  looksUntilDurable = 0;
  #looksLeft = 0;
  #nextFailure: AppendFailure | undefined;
  #hasFailed = false;
  #isClosed = false;

  constructor(identity: JournalIdentity, store: MemoryJournalStore = { rows: [] }) {
    this.#identity = identity;
    this.#store = store;
    this.#lastSequence = store.rows.length;
    this.#lastChecksum = this.#checksum(this.#lastSequence);
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  secure(): void {
    // It is as durable as it will ever be.
  }

  begin(): void {
    this.#assertUsable();
  }

  readonly firstSequence = 1;

  checksum(sequence: number): number {
    return this.#checksum(sequence);
  }

  append(row: JournalRow): void {
    this.submit(row);
    this.settle(true);
  }

  submit(row: JournalRow): void {
    this.#assertUsable();
    assert(this.#underWay === undefined, 'one row is under way at a time');
    assertAppendable(row, this.#lastSequence);
    const checksum = rowChecksum(this.#lastChecksum, row);
    const { sequence, timestamp } = row;
    this.#underWay = { sequence, timestamp, frame: row.frame.slice(), checksum };
    this.#looksLeft = this.looksUntilDurable;
  }

  settle(isWaiting: boolean): boolean {
    this.#assertUsable();
    const row = this.#underWay;
    if (row === undefined) return true;
    if (!isWaiting && this.#looksLeft-- > 0) return false;
    const failure = this.#nextFailure;
    if (failure !== 'before-keeping') this.#store.rows.push(row);
    if (failure !== undefined) {
      this.#hasFailed = true;
      throw new JournalError('JOURNAL_WRITE_FAILED', `Injected at sequence ${row.sequence}.`);
    }
    this.#underWay = undefined;
    this.#lastSequence = row.sequence;
    this.#lastChecksum = row.checksum;
    assert(this.#store.rows.length === this.#lastSequence, 'one instance appends to a store');
    return true;
  }

  read(sequence: number): Uint8Array {
    this.#assertUsable();
    if (sequence === this.#underWay?.sequence) this.settle(true);
    return this.#row(sequence, this.#checksum(sequence - 1)).frame.slice();
  }

  *rows(first: number): Generator<JournalRow, void, undefined> {
    this.#assertUsable();
    assert(Number.isSafeInteger(first) && first >= 1, 'sequences start at 1');
    if (first > this.#lastSequence) return;
    let before = this.#checksum(first - 1);
    for (let sequence = first; sequence <= this.#lastSequence; sequence++) {
      this.#assertUsable();
      const row = this.#row(sequence, before);
      before = row.checksum;
      yield { ...row, frame: row.frame.slice() };
    }
  }

  /** The next append throws, and the instance refuses everything from then on. */
  failNextAppend(failure: AppendFailure): void {
    this.#nextFailure = failure;
  }

  close(): void {
    this.#isClosed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #row(sequence: number, before: number): MemoryJournalRow {
    const row = this.#store.rows[sequence - 1];
    if (row === undefined) throw journalCorrupt({ file: FILE, sequence }, 'the row is missing');
    if (row.sequence !== sequence || rowChecksum(before, row) !== row.checksum) {
      throw journalCorrupt({ file: FILE, sequence }, 'the row does not match its checksum');
    }
    return row;
  }

  #checksum(sequence: number): number {
    if (sequence === 0) return chainStart(this.#identity);
    const row = this.#store.rows[sequence - 1];
    if (row === undefined) throw journalCorrupt({ file: FILE, sequence }, 'the row is missing');
    return row.checksum;
  }

  #assertUsable(): void {
    assert(!this.#isClosed, 'the journal is open');
    if (!this.#hasFailed) return;
    throw new JournalError(
      'JOURNAL_WRITE_FAILED',
      'An earlier append failed; open the journal anew.',
    );
  }
}
