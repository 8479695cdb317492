/**
 * Finds single rows of one journal frame, reading only the bytes that it needs: headers of inputs, a value of each column, the positions of the
 * previous transfers, a derived row. Where the bytes come from is the matter of `FrameBytes`. Rows of every kind are given in the form of
 * derived rows (see `Derived` in engine/group.ts): record, previous positions, effect timestamp, kind.
 */
import { assert } from '../engine/assert.ts';
import {
  COLUMN_BYTES,
  COLUMN_OFFSETS,
  COLUMNS,
  HEADER_BYTES,
  ROW_WORDS,
  Transfer,
} from '../engine/batch.ts';
import { AccountFlags, TransferFlags } from '../engine/flags.ts';
import {
  BALANCE_WORDS,
  Derived,
  DerivedKind,
  FRAME_MAGIC,
  FRAME_VERSION,
  Head,
  HEAD_WORDS,
  Input,
  INPUT_WORDS,
  InputType,
  DERIVED_HEAD_WORDS,
  DerivedHead,
} from '../engine/frame.ts';
import { QueryDamage } from './query-damage.ts';

export interface FrameBytes {
  readonly byteLength: number;
  /** Copies words from byte `from`, a multiple of 4, to target[at...]. */
  copy(from: number, target: Uint32Array, at: number, count: number): void;
}

/** A whole frame in memory. */
export class WholeFrame implements FrameBytes {
  readonly words: Uint32Array;

  constructor(words: Uint32Array) {
    this.words = words;
  }

  get byteLength(): number {
    return this.words.byteLength;
  }

  copy(from: number, target: Uint32Array, at: number, count: number): void {
    const word = from >> 2;
    assert(word + count <= this.words.length, 'the words are in the frame');
    for (let w = 0; w < count; w++) target[at + w] = this.words[word + w]!;
  }
}

/** The side of an account in a transfer, as in the tag of a position in a chain. */
export const Side = { debit: 1, credit: 2 } as const;

/** Code and flags share a word. */
const FLAGS_WORD = COLUMN_OFFSETS[Transfer.code]! >> 2;
const TIMESTAMP_WORD = COLUMN_OFFSETS[Transfer.timestamp]! >> 2;
/** Words at the start of an input: its header and that of the batch. */
const OPENING_WORDS = INPUT_WORDS + HEADER_BYTES / 4;

export function isTransfers(type: number): boolean {
  return type === InputType.createTransfers || type === InputType.createTransfersTogether;
}

export function isAccounts(type: number): boolean {
  return type === InputType.createAccounts || type === InputType.createAccountsTogether;
}

export class FrameView {
  readonly sequence: number;
  readonly bytes: FrameBytes;
  readonly #shards: number;
  readonly #head = new Uint32Array(HEAD_WORDS);
  /** Where each request input begins (bytes), in order of its first row; found as far as they were asked for. */
  readonly #inputs: { readonly at: number; readonly firstRow: number; readonly n: number }[] = [];
  #inputsRead = 0;
  #nextInputAt = HEAD_WORDS * 4;
  readonly #opening = new Uint32Array(OPENING_WORDS);
  readonly #scratch = new Uint32Array(4);
  readonly #pair = new Uint32Array(2);
  readonly #both = new Uint32Array(4);
  readonly #derivedHead = new Uint32Array(DERIVED_HEAD_WORDS);

  constructor(bytes: FrameBytes, sequence: number, shards: number) {
    this.bytes = bytes;
    this.sequence = sequence;
    this.#shards = shards;
    if (bytes.byteLength < HEAD_WORDS * 4) throw this.#damaged('not a frame');
    bytes.copy(0, this.#head, 0, HEAD_WORDS);
    const head = this.#head;
    if (head[Head.magic] !== FRAME_MAGIC) throw this.#damaged('not a frame');
    if (head[Head.version] !== FRAME_VERSION) throw this.#damaged('a frame of another version');
    if (head[Head.bytes] !== bytes.byteLength) throw this.#damaged('a frame of another length');
  }

  get inputRows(): number {
    return this.#head[Head.inputRows]!;
  }

  get rows(): number {
    return this.inputRows + this.#head[Head.derivedRows]!;
  }

  /** The shard's clock after the group: no effect of this frame or of one before is later. */
  get closed(): bigint {
    const head = this.#head;
    return (BigInt(head[Head.closed + 1]!) << 32n) | BigInt(head[Head.closed]!);
  }

  /** Writes the words of a row, DERIVED_WORDS of them, into `target`. */
  entry(row: number, target: Uint32Array): void {
    if (row >= this.rows) throw this.#damaged(`there is no row ${row}`);
    if (row >= this.inputRows) {
      this.#derivedEntry(row - this.inputRows, target);
      return;
    }
    this.#inputEntry(row, target);
    this.#inputPrevious(row, target, Derived.debitPrevious);
    target[Derived.effect] = target[TIMESTAMP_WORD]!;
    target[Derived.effect + 1] = target[TIMESTAMP_WORD + 1]!;
    target[Derived.kind] = isTransfers(this.#opening[Input.type]!)
      ? DerivedKind.home
      : DerivedKind.account;
    target[Derived.kind + 1] = 0;
  }

  /** Writes the position of the transfer before this one in the chain of its debit or credit account: {low, high}, both 0 at the end. */
  previous(row: number, side: number, target: Uint32Array): void {
    assert(side === Side.debit || side === Side.credit, 'a chain is on one side of a transfer');
    if (row >= this.rows) throw this.#damaged(`there is no row ${row}`);
    if (row < this.inputRows) {
      const both = this.#both;
      this.#inputPrevious(row, both, 0);
      target[0] = both[2 * side - 2]!;
      target[1] = both[2 * side - 1]!;
      return;
    }
    const index = (row - this.inputRows) * DERIVED_HEAD_WORDS;
    const word = side === Side.debit ? DerivedHead.debitPrevious : DerivedHead.creditPrevious;
    this.#copy(this.#head[Head.derived]! + (index + word) * 4, target, 0, 2);
  }

  #derivedEntry(derived: number, target: Uint32Array): void {
    const head = this.#derivedHead;
    const from = this.#head[Head.derived]! + derived * DERIVED_HEAD_WORDS * 4;
    this.#copy(from, head, 0, DERIVED_HEAD_WORDS);
    this.#copy(head[DerivedHead.record]! * 4, target, 0, ROW_WORDS);
    target[TIMESTAMP_WORD] = head[DerivedHead.timestamp]!;
    target[TIMESTAMP_WORD + 1] = head[DerivedHead.timestamp + 1]!;
    for (let w = 0; w < 4; w++) {
      target[Derived.debitPrevious + w] = head[DerivedHead.debitPrevious + w]!;
    }
    for (let w = 0; w < 2; w++) {
      target[Derived.effect + w] = head[DerivedHead.effect + w]!;
      target[Derived.decided + w] = head[DerivedHead.decided + w]!;
    }
    target[Derived.kind] = head[DerivedHead.kind]!;
    target[Derived.kind + 1] = 0;
  }

  /** Writes the previous positions of both sides of an input row, four words, to target[to...]. */
  #inputPrevious(row: number, target: Uint32Array, to: number): void {
    const section = this.#head[Head.previous]!;
    target.fill(0, to, to + 4);
    if (section === 0) return;
    const n = this.inputRows;
    const pair = this.#pair;
    this.#copy(section + 8 * row, pair, 0, 2);
    target[to] = pair[0]!;
    target[to + 2] = pair[1]!;
    this.#copy(section + 8 * n + 4 * row, pair, 0, 1);
    const rows = pair[0]!;
    const sides = this.#byte(section + 12 * n + row);
    const upperAt = this.#head[Head.previousUpper]!;
    const upperDr = upperAt === 0 ? 0 : this.#byte(upperAt + 2 * row);
    const upperCr = upperAt === 0 ? 0 : this.#byte(upperAt + 2 * row + 1);
    target[to + 1] = ((upperDr << 24) | ((rows & 0xffff) << 8) | (sides & 15)) >>> 0;
    target[to + 3] = ((upperCr << 24) | ((rows >>> 16) << 8) | (sides >>> 4)) >>> 0;
  }

  #byte(at: number): number {
    this.#copy(at & ~3, this.#scratch, 0, 1);
    return (this.#scratch[0]! >>> ((at & 3) * 8)) & 0xff;
  }

  /** Writes the 16 words of balances after a row's transfer on one side. False when none were kept. */
  balances(row: number, side: number, target: Uint32Array): boolean {
    const at = this.#balancesAt(row, side);
    if (at < 0) return false;
    this.#copy(at + 16, target, 0, 16);
    return true;
  }

  /** Mostly they lie in the order of rows. Where a transfer took effect out of order, a second, slower look finds it. */
  #balancesAt(row: number, side: number): number {
    const section = this.#head[Head.balances]!;
    const count = this.#head[Head.balanceCount]!;
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
    const scratch = this.#scratch;
    this.#copy(section + index * BALANCE_WORDS * 4, scratch, 0, 2);
    return scratch[0]! * 4 + scratch[1]!;
  }

  #inputEntry(row: number, target: Uint32Array): void {
    const input = this.#inputOf(row);
    const opening = this.#opening;
    this.#copy(input.at, opening, 0, OPENING_WORDS);
    const masks = opening[INPUT_WORDS + 1]!;
    const within = row - input.firstRow;
    let at = input.at + OPENING_WORDS * 4;
    target.fill(0, 0, ROW_WORDS);
    for (let column = 0; column < COLUMNS; column++) {
      if ((masks & (1 << column)) === 0) continue;
      const width = COLUMN_BYTES[column]!;
      const isConstant = (masks & (1 << (column + 16))) !== 0;
      this.#value(column, at + (isConstant ? 0 : width * within), target);
      at += (isConstant ? width + 7 : width * input.n + 7) & ~7;
    }
    const stamp = opening[Input.stamp]! + within * this.#shards;
    target[Derived.decided] = stamp % 4294967296;
    target[Derived.decided + 1] = opening[Input.stamp + 1]! + Math.floor(stamp / 4294967296);
    const flags = target[FLAGS_WORD]! >>> 16;
    const imported = isTransfers(opening[Input.type]!)
      ? TransferFlags.imported
      : AccountFlags.imported;
    if ((flags & imported) !== 0) return;
    target[TIMESTAMP_WORD] = target[Derived.decided]!;
    target[TIMESTAMP_WORD + 1] = target[Derived.decided + 1]!;
  }

  #value(column: number, at: number, target: Uint32Array): void {
    const width = COLUMN_BYTES[column]!;
    const word = COLUMN_OFFSETS[column]! >> 2;
    if (width > 2) {
      this.#copy(at, target, word, width >> 2);
      return;
    }
    const scratch = this.#scratch;
    this.#copy(at & ~3, scratch, 0, 1);
    const half = (at & 2) === 0 ? scratch[0]! & 0xffff : scratch[0]! >>> 16;
    target[word] = (target[word]! | (column === Transfer.flags ? half << 16 : half)) >>> 0;
  }

  #inputOf(row: number): { readonly at: number; readonly firstRow: number; readonly n: number } {
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
    if (this.#inputsRead >= this.#head[Head.inputs]!) throw this.#damaged('an input is missing');
    const opening = this.#opening;
    const at = this.#nextInputAt;
    this.#copy(at, opening, 0, INPUT_WORDS);
    const type = opening[Input.type]!;
    const bytes = opening[Input.bytes]!;
    if (bytes < INPUT_WORDS * 4 || bytes % 8 !== 0) throw this.#damaged('an input is cut off');
    if (isTransfers(type) || isAccounts(type)) {
      this.#copy(at + INPUT_WORDS * 4, opening, INPUT_WORDS, 1);
      const n = opening[INPUT_WORDS]! & 0xffffff;
      this.#inputs.push({ at, firstRow: opening[Input.firstRow]!, n });
    }
    this.#inputsRead++;
    this.#nextInputAt = at + bytes;
  }

  #copy(from: number, target: Uint32Array, at: number, count: number): void {
    if (from + count * 4 > this.bytes.byteLength) throw this.#damaged('a section is cut off');
    this.bytes.copy(from, target, at, count);
  }

  #damaged(rule: string): QueryDamage {
    return new QueryDamage(`journal row ${this.sequence}: ${rule}`);
  }
}
