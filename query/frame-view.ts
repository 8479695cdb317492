/**
 * Finds single rows of one journal frame, reading only the bytes that it needs: headers of inputs, a value of each column, the positions of the
 * previous transfers, a derived row. Where the bytes come from is the matter of `FrameBytes`. Rows of every kind are given in the form of
 * derived rows (see `Derived` in engine/group.ts): record, previous positions, effect timestamp, kind.
 */
import { assert } from '../engine/assert.ts';
import { ROW_WORDS } from '../engine/batch.ts';
import {
  BALANCE_WORDS,
  Derived,
  DerivedKind,
  FRAME_MAGIC,
  isFrameVersion,
  Head,
  HEAD_WORDS,
  Input,
  INPUT_WORDS,
  DERIVED_HEAD_WORDS,
  DerivedHead,
} from '../engine/frame.ts';
import { readThin } from '../engine/thin-rows.ts';
import type { FrameBytes } from './frame-bytes.ts';
import {
  FrameInput,
  isAccounts,
  isTransfers,
  OPENING_WORDS,
  TIMESTAMP_WORD,
} from './frame-input.ts';
import { QueryDamage } from './query-damage.ts';

/** The side of an account in a transfer, as in the tag of a position in a chain. */
export const Side = { debit: 1, credit: 2 } as const;

/*
 * What is read on the way to an answer. Shared by all views, of which there are thousands: typed arrays of more than 64 bytes lie outside V8's
 * heap, and so many of them made its collector stop the reader for 10 to 60 ms several times a second.
 */
const opened = new Uint32Array(HEAD_WORDS + OPENING_WORDS);
const opening = new Uint32Array(OPENING_WORDS);
const scratch = new Uint32Array(4);
const pair = new Uint32Array(2);
const derivedHead = new Uint32Array(DERIVED_HEAD_WORDS);
const thinRecord = new Uint32Array(1 + ROW_WORDS);

export class FrameView {
  readonly sequence: number;
  readonly bytes: FrameBytes;
  readonly inputRows: number;
  readonly #shards: number;
  /** For the log; whoever looks at one frame alone knows it. */
  readonly #shard: number | undefined;
  readonly #inputCount: number;
  readonly #derivedRows: number;
  readonly #outcomes: number;
  readonly #closedLow: number;
  readonly #closedHigh: number;
  /** Byte offsets of sections, see `Head`. */
  readonly #derived: number;
  readonly #previous: number;
  readonly #previousUpper: number;
  readonly #balances: number;
  readonly #balanceCount: number;
  /** In order of their first rows; found as far as they were asked for. */
  readonly #inputs: FrameInput[] = [];
  #inputsRead = 0;
  #nextInputAt = HEAD_WORDS * 4;

  constructor(bytes: FrameBytes, sequence: number, shards: number, shard?: number) {
    this.bytes = bytes;
    this.sequence = sequence;
    this.#shards = shards;
    this.#shard = shard;
    const count = Math.min(bytes.byteLength >> 2, opened.length);
    if (count < HEAD_WORDS) throw this.#damaged('not a frame');
    // Nearly always a row of the first input is wanted: its header comes along.
    bytes.copy(0, opened, 0, count);
    if (opened[Head.magic] !== FRAME_MAGIC) throw this.#damaged('not a frame');
    if (!isFrameVersion(opened[Head.version]!)) throw this.#damaged('a frame of another version');
    if (opened[Head.bytes] !== bytes.byteLength) throw this.#damaged('a frame of another length');
    this.inputRows = opened[Head.inputRows]!;
    this.#inputCount = opened[Head.inputs]!;
    this.#derivedRows = opened[Head.derivedRows]!;
    this.#outcomes = opened[Head.outcomes]!;
    this.#closedLow = opened[Head.closed]!;
    this.#closedHigh = opened[Head.closed + 1]!;
    this.#derived = opened[Head.derived]!;
    this.#previous = opened[Head.previous]!;
    this.#previousUpper = opened[Head.previousUpper]!;
    this.#balances = opened[Head.balances]!;
    this.#balanceCount = opened[Head.balanceCount]!;
    if (this.#inputCount > 0 && count === opened.length) this.#openInput(opened, HEAD_WORDS);
  }

  get rows(): number {
    return this.inputRows + this.#derivedRows;
  }

  /** The shard's clock after the group: no effect of this frame or of one before is later. */
  get closed(): bigint {
    return (BigInt(this.#closedHigh) << 32n) | BigInt(this.#closedLow);
  }

  /**
   * The inputs that the frame's rows are in, when every row was created as it came: there are no others then. Undefined when that is not so, or
   * when they lie among more than so many inputs.
   */
  plainInputs(inputsMax: number): readonly FrameInput[] | undefined {
    if (this.#outcomes !== 0 || this.#derivedRows !== 0) return undefined;
    if (this.#inputCount > inputsMax) return undefined;
    while (this.#inputsRead < this.#inputCount) this.#readInput();
    return this.#inputs;
  }

  /** Writes the words of a row, DERIVED_WORDS of them, into `target`. */
  entry(row: number, target: Uint32Array): void {
    this.record(row, target);
    if (row < this.inputRows) this.#inputPrevious(row, target, Derived.debitPrevious);
  }

  /** The same without the positions of the previous transfers, which take as many reads as half of a record: what is in their words is not said. */
  // Hot path.
  record(row: number, target: Uint32Array): void {
    if (row >= this.rows) throw this.#damaged(`there is no row ${row}`);
    if (row >= this.inputRows) {
      this.#derivedEntry(row - this.inputRows, target);
      return;
    }
    const input = this.#inputOf(row);
    input.record(this, row, target, this.#shards);
    target[Derived.effect] = target[TIMESTAMP_WORD]!;
    target[Derived.effect + 1] = target[TIMESTAMP_WORD + 1]!;
    target[Derived.kind] = input.isOfTransfers ? DerivedKind.home : DerivedKind.account;
    target[Derived.kind + 1] = 0;
  }

  /** Writes the position of the transfer before this one in the chain of its debit or credit account: {low, high}, both 0 at the end. */
  previous(row: number, side: number, target: Uint32Array): void {
    this.previousPlace(row, side, target);
    if (row >= this.inputRows || (target[0] === 0 && target[1] === 0)) return;
    const n = this.inputRows;
    const kept = this.#keptPrevious();
    const sides =
      kept === undefined ? this.#byte(this.#previous + 12 * n + row) : kept[12 * n + row]!;
    target[1] = (target[1]! | (side === Side.debit ? sides & 15 : sides >>> 4)) >>> 0;
  }

  /**
   * The same, but the position may not say on which side the account is. That takes a read of its own, and who reads that transfer's record next
   * sees it there.
   */
  // Hot path.
  previousPlace(row: number, side: number, target: Uint32Array): void {
    assert(side === Side.debit || side === Side.credit, 'a chain is on one side of a transfer');
    if (row >= this.rows) throw this.#damaged(`there is no row ${row}`);
    if (row >= this.inputRows) {
      const index = (row - this.inputRows) * DERIVED_HEAD_WORDS;
      const word = side === Side.debit ? DerivedHead.debitPrevious : DerivedHead.creditPrevious;
      this.copy(this.#derived + (index + word) * 4, target, 0, 2);
      return;
    }
    target[0] = 0;
    target[1] = 0;
    const section = this.#previous;
    if (section === 0) return;
    const kept = this.#keptPrevious();
    const lowAt = 8 * row + 4 * (side - 1);
    if (kept === undefined) this.copy(section + lowAt, target, 0, 1);
    else target[0] = wordOf(kept, lowAt);
    const upperAt = this.#previousUpper;
    const upper = upperAt === 0 ? 0 : this.#byte(upperAt + 2 * row + side - 1);
    // Sequences begin with 1: there is none before.
    if (target[0] === 0 && upper === 0) return;
    const rowsAt = 8 * this.inputRows + 4 * row;
    if (kept === undefined) this.copy(section + rowsAt, scratch, 0, 1);
    else scratch[0] = wordOf(kept, rowsAt);
    const before = side === Side.debit ? scratch[0]! & 0xffff : scratch[0]! >>> 16;
    target[1] = ((upper << 24) | (before << 8)) >>> 0;
  }

  /** Sequences of the previous transfers of both sides, their rows, and their sides: eight bytes a row, then four, then one. */
  #keptPrevious(): Uint8Array | undefined {
    const bytes = 13 * this.inputRows;
    if (this.#previous + bytes > this.bytes.byteLength) throw this.#damaged('a section is cut off');
    return this.bytes.section(this.#previous, bytes);
  }

  #derivedEntry(derived: number, target: Uint32Array): void {
    const head = derivedHead;
    const from = this.#derived + derived * DERIVED_HEAD_WORDS * 4;
    this.copy(from, head, 0, DERIVED_HEAD_WORDS);
    this.#copyRecord(head, target);
    target[TIMESTAMP_WORD] = head[DerivedHead.timestamp]!;
    target[TIMESTAMP_WORD + 1] = head[DerivedHead.timestamp + 1]!;
    for (let w = 0; w < 4; w++) {
      target[Derived.debitPrevious + w] = head[DerivedHead.debitPrevious + w]!;
    }
    for (let w = 0; w < 2; w++) {
      target[Derived.effect + w] = head[DerivedHead.effect + w]!;
      target[Derived.decided + w] = head[DerivedHead.decided + w]!;
    }
    target[Derived.kind] = head[DerivedHead.kind]! & ~DerivedKind.thin;
    target[Derived.kind + 1] = 0;
  }

  #copyRecord(head: Uint32Array, target: Uint32Array): void {
    const from = head[DerivedHead.record]! * 4;
    if ((head[DerivedHead.kind]! & DerivedKind.thin) === 0) {
      this.copy(from, target, 0, ROW_WORDS);
      return;
    }
    // Nothing says how long it is, but it is no longer than this, and the frame goes on behind it.
    const count = Math.min(1 + ROW_WORDS, (this.bytes.byteLength - from) >> 2);
    this.copy(from, thinRecord, 0, count);
    readThin(thinRecord, 0, target, 0, ROW_WORDS);
  }

  /** Writes the previous positions of both sides of an input row, four words, to target[to...]. */
  #inputPrevious(row: number, target: Uint32Array, to: number): void {
    const section = this.#previous;
    target.fill(0, to, to + 4);
    if (section === 0) return;
    const n = this.inputRows;
    this.copy(section + 8 * row, pair, 0, 2);
    target[to] = pair[0]!;
    target[to + 2] = pair[1]!;
    this.copy(section + 8 * n + 4 * row, pair, 0, 1);
    const rows = pair[0]!;
    const sides = this.#byte(section + 12 * n + row);
    const upperAt = this.#previousUpper;
    const upperDr = upperAt === 0 ? 0 : this.#byte(upperAt + 2 * row);
    const upperCr = upperAt === 0 ? 0 : this.#byte(upperAt + 2 * row + 1);
    target[to + 1] = ((upperDr << 24) | ((rows & 0xffff) << 8) | (sides & 15)) >>> 0;
    target[to + 3] = ((upperCr << 24) | ((rows >>> 16) << 8) | (sides >>> 4)) >>> 0;
  }

  #byte(at: number): number {
    this.copy(at & ~3, scratch, 0, 1);
    return (scratch[0]! >>> ((at & 3) * 8)) & 0xff;
  }

  /** Writes the 16 words of balances after a row's transfer on one side. False when none were kept. */
  balances(row: number, side: number, target: Uint32Array): boolean {
    const at = this.#balancesAt(row, side);
    if (at < 0) return false;
    this.copy(at + 16, target, 0, 16);
    return true;
  }

  /** Mostly they lie in the order of rows. Where a transfer took effect out of order, a second, slower look finds it. */
  #balancesAt(row: number, side: number): number {
    const section = this.#balances;
    const count = this.#balanceCount;
    if (section === 0) return -1;
    const key = row * 4 + side;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = this.#balanceKey(section, middle);
      if (found === key) return section + middle * BALANCE_WORDS * 4;
      if (found < key) low = middle + 1;
      else high = middle;
    }
    for (let i = 0; i < count; i++) {
      if (this.#balanceKey(section, i) === key) return section + i * BALANCE_WORDS * 4;
    }
    return -1;
  }

  #balanceKey(section: number, index: number): number {
    this.copy(section + index * BALANCE_WORDS * 4, scratch, 0, 2);
    return scratch[0]! * 4 + scratch[1]!;
  }

  #inputOf(row: number): FrameInput {
    for (;;) {
      const last = this.#inputs.at(-1);
      if (last !== undefined && row < last.firstRow + last.n) break;
      this.#readInput();
    }
    let low = 0;
    let high = this.#inputs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#inputs[middle]!.firstRow <= row) low = middle;
      else high = middle - 1;
    }
    return this.#inputs[low]!;
  }

  #readInput(): void {
    if (this.#inputsRead >= this.#inputCount) throw this.#damaged('an input is missing');
    const at = this.#nextInputAt;
    const left = Math.max((this.bytes.byteLength - at) >> 2, INPUT_WORDS);
    opening.fill(0);
    this.copy(at, opening, 0, Math.min(left, OPENING_WORDS));
    this.#openInput(opening, 0);
  }

  /** The next input, whose first words lie at a word of `words`. */
  #openInput(words: Uint32Array, word: number): void {
    const at = this.#nextInputAt;
    const type = words[word + Input.type]!;
    const bytes = words[word + Input.bytes]!;
    if (bytes < INPUT_WORDS * 4 || bytes % 8 !== 0) throw this.#damaged('an input is cut off');
    if (isTransfers(type) || isAccounts(type)) {
      this.#inputs.push(new FrameInput(at, words, word));
    }
    this.#inputsRead++;
    this.#nextInputAt = at + bytes;
  }

  /** What a frame says of its own parts may be damaged: it is not read behind its end. */
  copy(from: number, target: Uint32Array, at: number, count: number): void {
    if (from + count * 4 > this.bytes.byteLength) throw this.#damaged('a section is cut off');
    this.bytes.copy(from, target, at, count);
  }

  #damaged(rule: string): QueryDamage {
    return new QueryDamage(rule, { shard: this.#shard, sequence: this.sequence });
  }
}

function wordOf(bytes: Uint8Array, at: number): number {
  const low = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
  return (low | (bytes[at + 3]! << 24)) >>> 0;
}
