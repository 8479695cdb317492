/**
 * A group: the inputs that one step of the shard executes, and what came of them, in one buffer. The buffer is the journal frame: inputs
 * are copied in once, by column as they came from the wire, and nothing is encoded again.
 *
 * Frame, little-endian, everything 8-byte aligned:
 *   header   20 words, see `Head`; words 16 to 19 are always 0 and serve as the value of absent columns
 *   inputs   each a header of 10 words, see `Input`, then its body: a batch for requests, a message for links
 *   outcomes a status of 16 bits for each input row; left out when every row was created
 *   previous for each input row the positions of the previous transfer of its debit and of its credit account; left out when no input row
 *            has any
 *   derived  rows of 42 words, see `Derived`: what took effect here in this group and is not an input row as it came: transfers that came
 *            with an earlier group or over a link, posts, voids, and balancing transfers, accounts made by a walk, expiries
 *   balances entries of 20 words {row, side, 0, 0, four balances}: of an account with `history`, after that transfer
 *
 * A *position* is a journal sequence and a row of its frame: input rows first, in order, then derived rows. The transfers of one account
 * are a chain: each has the position of the one before.
 * Used by the actor (fills it, journals it), the state machine (executes it) and readers of the journal (find a row).
 */
import { assert } from './assert.ts';
import { Columns, ROW_WORDS, batchDefect } from './batch.ts';
import {
  GROUP_BYTES_MAX,
  GROUP_BYTES_TARGET,
  GROUP_INPUT_ROWS_MAX,
  GROUP_ROWS_MAX,
} from './limits.ts';
import { linkRows, WordList } from './link-message.ts';
import { TransferStatus } from './status.ts';

export const FRAME_VERSION = 2;
export const FRAME_MAGIC = 0x31435953;
export const HEAD_WORDS = 20;
export const ZERO_WORD = 16;
export const INPUT_WORDS = 10;

/** Words of the frame's header. */
export const Head = {
  magic: 0,
  version: 1,
  inputs: 2,
  bytes: 3,
  /** The shard's clock before the first input (u64). */
  opened: 4,
  /** The shard's clock after the last event (u64). */
  closed: 6,
  inputRows: 8,
  derivedRows: 9,
  /** Byte offsets; `outcomes` is 0 when every input row was created. */
  outcomes: 10,
  derived: 11,
  /** Hash over every decision of the group in order, those of walks included. */
  decisions: 12,
  /** Byte offsets, 0 when there is no such section. */
  previous: 13,
  balances: 14,
  balanceCount: 15,
} as const;

/**
 * Words of a derived row behind its 32 of the record. `effect`: when it took effect on this shard. `decided`: when it was decided, by the clock of
 * the shard that did; the timestamp, but for imported rows.
 */
export const Derived = {
  debitPrevious: 32,
  creditPrevious: 34,
  effect: 36,
  kind: 38,
  decided: 40,
} as const;
export const DERIVED_WORDS = 42;
/** `home`: the transfer is at home on this shard, else it is here for the history of its credit account. The other two are no transfers. */
export const DerivedKind = { home: 1, expired: 2, account: 4 } as const;
export const BALANCE_WORDS = 20;

/** Words of an input's header. `bytes` counts header and body. The router writes a request's header as it goes into the ring. */
export const Input = {
  type: 0,
  bytes: 1,
  /** Request: which life of the process and of the shard asked. Link, ack: the other shard. */
  session: 2,
  peer: 2,
  request: 3,
  /** Request: deadline in ns since the epoch, 0 for none. Link, ack: message number. Digest: the digest. (u64) */
  deadline: 4,
  number: 4,
  digest: 4,
  /** Request: number of its first row in the frame, written here. */
  firstRow: 6,
  /** Request: see `InputFlag`. */
  flags: 7,
  /** Request: timestamp of its first row, written here. Link: the sender's clock. (u64) */
  stamp: 8,
} as const;

/** `imported`: the first event of the whole batch is imported. `marks`: a byte for each row lies behind the batch, see event-marks.ts. */
export const InputFlag = { imported: 1, marks: 2 } as const;

export const InputType = {
  createAccounts: 1,
  createTransfers: 2,
  /** Transfers that are one walk together: the rest of a batch. */
  createTransfersTogether: 3,
  link: 4,
  acknowledged: 5,
  digest: 6,
  /** Pending transfers whose time is over, as many as one input takes. */
  expire: 7,
  createAccountsTogether: 8,
} as const;
export type InputType = (typeof InputType)[keyof typeof InputType];

export class Group {
  readonly words: Uint32Array;
  readonly halves: Uint16Array;
  readonly bytes: Uint8Array;
  /** By frame row: outcome, and the timestamp it was given (two words). */
  readonly statuses = new Uint16Array(GROUP_ROWS_MAX + 1);
  readonly #columns = new Columns();
  /** Word offsets of the inputs. */
  readonly inputAt: number[] = [];
  inputRows = 0;
  /** Rows that link messages of this group may derive at once. */
  #pledgedRows = 0;
  #length = HEAD_WORDS;
  /** These wait here until the frame is sealed: they lie behind the outcomes. */
  readonly #previous = new Uint32Array(4 * GROUP_ROWS_MAX);
  #hasPrevious = false;
  #derived = new Uint32Array(DERIVED_WORDS * 64);
  derivedRows = 0;
  readonly #balances = new WordList();
  sequence = 0;
  #sealed = false;

  constructor(bytesMax = GROUP_BYTES_MAX) {
    this.words = new Uint32Array(bytesMax / 4);
    this.halves = new Uint16Array(this.words.buffer);
    this.bytes = new Uint8Array(this.words.buffer);
  }

  get inputs(): number {
    return this.inputAt.length;
  }

  get byteLength(): number {
    return this.#length * 4;
  }

  /** Rows that can still be derived in this group. */
  get rowsLeft(): number {
    return GROUP_ROWS_MAX - this.inputRows - this.#pledgedRows - this.derivedRows;
  }

  reset(sequence: number): void {
    this.inputAt.length = 0;
    this.inputRows = 0;
    this.#pledgedRows = 0;
    this.derivedRows = 0;
    this.#hasPrevious = false;
    this.#balances.length = 0;
    this.#length = HEAD_WORDS;
    this.#sealed = false;
    this.sequence = sequence;
    this.words.fill(0, 0, HEAD_WORDS);
  }

  /** Whether an input of so many bytes and rows still belongs into this group. The first always does. */
  takes(bytes: number, rows: number): boolean {
    if (this.inputAt.length === 0) return true;
    return (
      this.byteLength + bytes <= GROUP_BYTES_TARGET &&
      this.inputRows + this.#pledgedRows + rows <= GROUP_INPUT_ROWS_MAX
    );
  }

  /** Copies a request frame (header and batch) as it lies in a ring. Returns the word offset of its header. */
  addRequest(source: Uint32Array, word: number, words: number): number {
    const at = this.#append(words);
    this.words.set(source.subarray(word, word + words), at);
    this.#openRequest(at);
    return at;
  }

  #openRequest(at: number): void {
    assert(requestDefect(this.words, at) === null, 'a request frame holds a well-formed batch');
    const first = this.inputRows;
    this.words[at + Input.firstRow] = first;
    this.inputRows += batchRows(this.words, at);
    assert(this.inputRows <= GROUP_ROWS_MAX, 'rows of a group are within their bound');
    this.#previous.fill(0, first * 4, this.inputRows * 4);
  }

  /** Adds an input without rows: a link message, an acknowledgement, a digest. Returns the word offset of its header. */
  addMessage(type: InputType, peer: number, body: Uint32Array | null): number {
    const bodyWords = body === null ? 0 : body.length + (body.length & 1);
    const at = this.#append(INPUT_WORDS + bodyWords);
    this.words.fill(0, at, at + INPUT_WORDS + bodyWords);
    this.words[at + Input.type] = type;
    this.words[at + Input.bytes] = (INPUT_WORDS + bodyWords) * 4;
    this.words[at + Input.peer] = peer;
    if (body !== null) {
      this.words.set(body, at + INPUT_WORDS);
      this.#pledgedRows += linkRows(body, 0);
    }
    return at;
  }

  #append(words: number): number {
    assert(!this.#sealed, 'a sealed group takes no input');
    assert((words & 1) === 0, 'inputs keep 8-byte alignment');
    const at = this.#length;
    assert((at + words) * 4 <= this.bytes.byteLength, 'a group is within its bound');
    this.inputAt.push(at);
    this.#length = at + words;
    return at;
  }

  /** Opens the batch of a request input. */
  openBatch(at: number, columns: Columns): void {
    columns.openBatch(this.words, this.halves, (at + INPUT_WORDS) * 4, ZERO_WORD);
  }

  /** Appends what took effect now, 32 words with the timestamp in place, and returns its row. */
  // Hot path.
  derive(source: Uint32Array, at: number, kind: number): number {
    const target = this.#roomToDerive();
    const to = this.derivedRows * DERIVED_WORDS;
    for (let w = 0; w < ROW_WORDS; w++) target[to + w] = source[at + w]!;
    for (let w = ROW_WORDS; w < DERIVED_WORDS; w++) target[to + w] = 0;
    target[to + Derived.effect] = source[at + 30]!;
    target[to + Derived.effect + 1] = source[at + 31]!;
    target[to + Derived.kind] = kind;
    target[to + Derived.decided] = source[at + 30]!;
    target[to + Derived.decided + 1] = source[at + 31]!;
    const row = this.inputRows + this.derivedRows++;
    assert(row < GROUP_ROWS_MAX, 'rows of a group are within their bound');
    return row;
  }

  #roomToDerive(): Uint32Array {
    if ((this.derivedRows + 1) * DERIVED_WORDS > this.#derived.length) {
      const grown = new Uint32Array(this.#derived.length * 2);
      grown.set(this.#derived);
      this.#derived = grown;
    }
    return this.#derived;
  }

  /** A derived row took effect later than its timestamp says. */
  setEffect(row: number, low: number, high: number): void {
    const at = (row - this.inputRows) * DERIVED_WORDS + Derived.effect;
    this.#derived[at] = low;
    this.#derived[at + 1] = high;
  }

  /** A derived row was decided later than its timestamp says. */
  setDecided(row: number, low: number, high: number): void {
    const at = (row - this.inputRows) * DERIVED_WORDS + Derived.decided;
    this.#derived[at] = low;
    this.#derived[at + 1] = high;
  }

  /** The previous transfers of both accounts of an input row: two words each. */
  // Hot path.
  // oxlint-disable-next-line max-params -- An object per transfer would cost more than it explains.
  setInputPrevious(
    row: number,
    dr: Uint32Array,
    drAt: number,
    cr: Uint32Array,
    crAt: number,
  ): void {
    const previous = this.#previous;
    const at = row * 4;
    previous[at] = dr[drAt]!;
    previous[at + 1] = dr[drAt + 1]!;
    previous[at + 2] = cr[crAt]!;
    previous[at + 3] = cr[crAt + 1]!;
    this.#hasPrevious = true;
  }

  /** The previous transfer of the row's debit (side 1) or credit account (side 2). */
  setPrevious(row: number, side: number, low: number, high: number): void {
    if ((low | high) === 0) return;
    if (row < this.inputRows) {
      this.#hasPrevious = true;
      const at = row * 4 + side * 2 - 2;
      this.#previous[at] = low;
      this.#previous[at + 1] = high;
      return;
    }
    const at = (row - this.inputRows) * DERIVED_WORDS + Derived.debitPrevious + side * 2 - 2;
    this.#derived[at] = low;
    this.#derived[at + 1] = high;
  }

  /** The balances of an account after the transfer of a row: 16 words at `at`. */
  addBalances(row: number, side: number, source: Uint32Array, at: number): void {
    const list = this.#balances;
    const to = list.extend(BALANCE_WORDS);
    list.words[to] = row;
    list.words[to + 1] = side;
    list.words[to + 2] = 0;
    list.words[to + 3] = 0;
    for (let w = 0; w < 16; w++) list.words[to + 4 + w] = source[at + w]!;
  }

  get balanceWords(): number {
    return this.#balances.length;
  }

  /** Takes back what a broken chain has added: the rows derived since, and the history of the input rows from..to-1. */
  takeBack(
    mark: { readonly derivedRows: number; readonly balanceWords: number },
    from: number,
    to: number,
  ): void {
    this.derivedRows = mark.derivedRows;
    this.#balances.length = mark.balanceWords;
    this.#previous.fill(0, from * 4, to * 4);
  }

  nextDerivedRow(): number {
    return this.inputRows + this.derivedRows;
  }

  /** Copies a row of this group, while it is being executed, into 32 words. */
  copyRow(row: number, shards: number, target: Uint32Array): void {
    if (row >= this.inputRows) {
      const from = (row - this.inputRows) * DERIVED_WORDS;
      for (let w = 0; w < ROW_WORDS; w++) target[w] = this.#derived[from + w]!;
      return;
    }
    const { words, halves, inputs } = this;
    copyFrameRow({ words, halves, inputs, shards }, this.#columns, row, target);
  }

  /** Writes outcomes, derived rows, and header: from here on `frame()` is what the journal keeps. */
  seal(clock: { readonly low: number; readonly high: number }, decisions: number): void {
    const words = this.words;
    const halves = this.halves;
    let allCreated = true;
    for (let row = 0; row < this.inputRows; row++) {
      if (this.statuses[row] !== TransferStatus.created) {
        allCreated = false;
        break;
      }
    }
    words[Head.outcomes] = 0;
    if (!allCreated) {
      const padded = ((this.inputRows + 3) & ~3) >> 1;
      assert((this.#length + padded) * 4 <= this.bytes.byteLength, 'a group is within its bound');
      words.fill(0, this.#length, this.#length + padded);
      halves.set(this.statuses.subarray(0, this.inputRows), this.#length * 2);
      words[Head.outcomes] = this.#length * 4;
      this.#length += padded;
    }
    words[Head.previous] = this.#hasPrevious
      ? this.#appendSection(this.#previous, this.inputRows * 4)
      : 0;
    words[Head.derived] = this.#appendSection(this.#derived, this.derivedRows * DERIVED_WORDS);
    const { words: balances, length } = this.#balances;
    words[Head.balances] = length > 0 ? this.#appendSection(balances, length) : 0;
    words[Head.balanceCount] = length / BALANCE_WORDS;
    words[Head.magic] = FRAME_MAGIC;
    words[Head.version] = FRAME_VERSION;
    words[Head.inputs] = this.inputAt.length;
    words[Head.bytes] = this.#length * 4;
    words[Head.closed] = clock.low;
    words[Head.closed + 1] = clock.high;
    words[Head.inputRows] = this.inputRows;
    words[Head.derivedRows] = this.derivedRows;
    words[Head.decisions] = decisions;
    this.#sealed = true;
  }

  /** Returns the byte offset at which the section lies. */
  #appendSection(source: Uint32Array, count: number): number {
    const at = this.#length;
    assert((at + count) * 4 <= this.bytes.byteLength, 'a group is within its bound');
    this.words.set(source.subarray(0, count), at);
    this.#length += count;
    return at * 4;
  }

  frame(): Uint8Array {
    assert(this.#sealed, 'only a sealed group has a frame');
    return this.bytes.subarray(0, this.#length * 4);
  }

  /** Takes the inputs of a journalled frame, to execute them again. Returns what is wrong with the frame, or null. */
  load(frame: Uint8Array, sequence: number): string | null {
    this.reset(sequence);
    const defect = frameDefect(frame);
    if (defect !== null) return defect;
    if (frame.byteLength > this.bytes.byteLength) return 'a frame longer than a group can be';
    this.bytes.set(frame, 0);
    const inputs = this.words[Head.inputs]!;
    for (let i = 0; i < inputs; i++) {
      const at = this.#length;
      const bytes = this.words[at + Input.bytes]!;
      if (bytes < INPUT_WORDS * 4 || bytes % 8 !== 0 || at * 4 + bytes > frame.byteLength) {
        return 'an input is cut off';
      }
      this.inputAt.push(at);
      this.#length = at + bytes / 4;
      if (isRequest(this.words[at]!)) {
        if (requestDefect(this.words, at) !== null) return 'an input holds no well-formed batch';
        if (this.inputRows + batchRows(this.words, at) > GROUP_ROWS_MAX) {
          return 'more rows than a group can have';
        }
        this.#openRequest(at);
      } else if (this.words[at] === InputType.link) {
        this.#pledgedRows += linkRows(this.words, at + INPUT_WORDS);
      }
    }
    return null;
  }
}

/** Rows of the batch of a request input. */
function batchRows(words: Uint32Array, at: number): number {
  return words[at + INPUT_WORDS]! & 0xffffff;
}

export function isRequest(type: number): boolean {
  return (
    (type >= InputType.createAccounts && type <= InputType.createTransfersTogether) ||
    type === InputType.createAccountsTogether
  );
}

/** Byte offset of the marks of a request input, or -1. */
export function marksAt(words: Uint32Array, at: number): number {
  if ((words[at + Input.flags]! & InputFlag.marks) === 0) return -1;
  return (at + INPUT_WORDS) * 4 + words[at + INPUT_WORDS + 2]!;
}

function requestDefect(words: Uint32Array, at: number): string | null {
  const end = at * 4 + words[at + Input.bytes]!;
  const defect = batchDefect(words, (at + INPUT_WORDS) * 4, end);
  if (defect !== null) return defect;
  const marks = marksAt(words, at);
  return marks !== -1 && marks + batchRows(words, at) > end ? 'the marks are cut off' : null;
}

function frameDefect(frame: Uint8Array): string | null {
  if (frame.byteLength < HEAD_WORDS * 4 || frame.byteLength % 8 !== 0) return 'not a frame';
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint32(Head.magic * 4, true) !== FRAME_MAGIC) return 'not a frame';
  if (view.getUint32(Head.version * 4, true) !== FRAME_VERSION) return 'a frame of another version';
  if (view.getUint32(Head.bytes * 4, true) !== frame.byteLength) return 'a frame of another length';
  return null;
}

/**
 * Copies a row of a frame into 32 words, with the timestamp that it was given. `words` and `halves` see the same buffer. Used on sealed
 * frames, and on the input rows of a group that is being executed. Input rows carry their request's first timestamp plus i times the shards.
 */
export function copyFrameRow(
  frame: {
    readonly words: Uint32Array;
    readonly halves: Uint16Array;
    readonly inputs: number;
    readonly shards: number;
  },
  columns: Columns,
  row: number,
  target: Uint32Array,
): void {
  const { words, halves, inputs, shards } = frame;
  let at = HEAD_WORDS;
  for (let i = 0; i < inputs; i++, at += words[at + Input.bytes]! >> 2) {
    if (!isRequest(words[at]!)) continue;
    const n = words[at + INPUT_WORDS]! & 0xffffff;
    const within = row - words[at + Input.firstRow]!;
    if (within >= n) continue;
    columns.openBatch(words, halves, (at + INPUT_WORDS) * 4, ZERO_WORD);
    columns.copyRow(within, target, 0);
    // An imported row has its own.
    if ((target[30]! | target[31]!) !== 0) return;
    const stamp = words[at + Input.stamp]! + within * shards;
    target[30] = stamp % 4294967296;
    target[31] = words[at + Input.stamp + 1]! + Math.floor(stamp / 4294967296);
    return;
  }
  const derived = row - words[Head.inputRows]!;
  assert(derived >= 0 && derived < words[Head.derivedRows]!, 'the row is in the frame');
  const from = (words[Head.derived]! >> 2) + derived * DERIVED_WORDS;
  for (let w = 0; w < ROW_WORDS; w++) target[w] = words[from + w]!;
}
