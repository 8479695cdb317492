/**
 * A group: the inputs that one step of the shard executes, and what came of them, in one buffer. The buffer is the journal frame: inputs
 * are copied in once, by column as they came from the wire, and nothing is encoded again. The form of a frame is described in frame.ts.
 *
 * Used by the actor (fills it, journals it), the state machine (executes it) and readers of the journal (find a row).
 */
import { assert } from './assert.ts';
import { Columns } from './batch.ts';
import { DerivedRows } from './derived-rows.ts';
import {
  BALANCE_WORDS,
  batchRows,
  copyFrameRow,
  DerivedHead,
  DerivedKind,
  FRAME_MAGIC,
  FRAME_VERSION,
  FrameVersion,
  frameDefect,
  Head,
  HEAD_WORDS,
  Input,
  INPUT_WORDS,
  InputType,
  isRequest,
  requestDefect,
  ZERO_WORD,
} from './frame.ts';
import {
  BATCH_EVENTS_MAX,
  GROUP_BYTES_MAX,
  GROUP_BYTES_TARGET,
  GROUP_INPUT_ROWS_MAX,
  GROUP_ROWS_MAX,
} from './limits.ts';
import { linkRows, messageDefect, WordList } from './link-message.ts';
import { PreviousPositions, previousBytes, upperBytes } from './previous-positions.ts';
import { TransferStatus } from './status.ts';

export class Group {
  readonly words: Uint32Array;
  readonly halves: Uint16Array;
  readonly bytes: Uint8Array;
  readonly inputRowsMax: number;
  /** By frame row: outcome, and the timestamp it was given (two words). */
  readonly statuses: Uint16Array;
  readonly #columns = new Columns();
  /** Word offsets of the inputs. */
  readonly inputAt: number[] = [];
  inputRows = 0;
  /** Rows that link messages of this group may derive at once. */
  #pledgedRows = 0;
  #length = HEAD_WORDS;
  /** These wait here until the frame is sealed: they lie behind the outcomes. */
  readonly previous: PreviousPositions;
  readonly #derived = new DerivedRows();
  readonly #balances = new WordList();
  sequence = 0;
  /** Called at each input and each block of rows while the group is executed, for what its owner has to do besides; it changes nothing here. */
  onBlock: () => void = () => undefined;
  #sealed = false;
  #version: number = FRAME_VERSION;

  /** `inputRowsMax`: who makes thousands of groups that are small can have them with less room. */
  constructor(
    bytesMax = GROUP_BYTES_MAX,
    { inputRowsMax = GROUP_ROWS_MAX }: { readonly inputRowsMax?: number } = {},
  ) {
    assert(inputRowsMax <= GROUP_ROWS_MAX, 'rows of a group are within their bound');
    this.inputRowsMax = inputRowsMax;
    this.statuses = new Uint16Array(inputRowsMax + 1);
    this.previous = new PreviousPositions(inputRowsMax);
    this.words = new Uint32Array(bytesMax / 4);
    this.halves = new Uint16Array(this.words.buffer);
    this.bytes = new Uint8Array(this.words.buffer);
  }

  /** Rows of the largest batch that may be an input. */
  get batchRowsMax(): number {
    return Math.min(BATCH_EVENTS_MAX, this.inputRowsMax);
  }

  get inputs(): number {
    return this.inputAt.length;
  }

  get byteLength(): number {
    return this.#length * 4;
  }

  get derivedRows(): number {
    return this.#derived.count;
  }

  /** Rows that can still be derived in this group. */
  get rowsLeft(): number {
    return GROUP_ROWS_MAX - this.inputRows - this.#pledgedRows - this.derivedRows;
  }

  reset(sequence: number): void {
    this.inputAt.length = 0;
    this.inputRows = 0;
    this.#pledgedRows = 0;
    this.#derived.reset();
    this.previous.isUsed = false;
    this.previous.hasUpper = false;
    this.#balances.length = 0;
    this.#length = HEAD_WORDS;
    this.#sealed = false;
    this.sequence = sequence;
    this.#version = FRAME_VERSION;
    this.words.fill(0, 0, HEAD_WORDS);
  }

  /** Whether an input of so many bytes and rows still belongs into this group. The first always does. */
  takes(bytes: number, rows: number): boolean {
    if (this.inputAt.length === 0) return true;
    return (
      this.byteLength + bytes <= GROUP_BYTES_TARGET &&
      this.inputRows + this.#pledgedRows + rows <= Math.min(GROUP_INPUT_ROWS_MAX, this.inputRowsMax)
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
    assert(this.inputRows <= this.inputRowsMax, 'rows of a group are within their bound');
    this.previous.clear(first, this.inputRows);
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
    return this.#rowOf(this.#derived.add(source, at, kind));
  }

  /** The same for a transfer at home here, where the caller writes its 32 words into `derivedRecords`, from `derivedRecordAt` on. */
  // Hot path.
  deriveBlank(low: number, high: number): number {
    return this.#rowOf(this.#derived.addBlank(DerivedKind.home, low, high));
  }

  // Hot path.
  get derivedRecords(): Uint32Array {
    return this.#derived.recordWords;
  }

  // Hot path.
  get derivedRecordAt(): number {
    return this.#derived.recordAt;
  }

  /** The same, where all but the timestamp lies already in an input of this group, from a word of the frame on. */
  // Hot path.
  deriveFrom(record: number, kind: number, low: number, high: number): number {
    assert(record < this.#length, 'the record lies in an input');
    return this.#rowOf(this.#derived.addReference(record, kind, low, high));
  }

  #rowOf(derived: number): number {
    const row = this.inputRows + derived;
    assert(row < GROUP_ROWS_MAX, 'rows of a group are within their bound');
    return row;
  }

  /** The word of the frame at which an input's body lies that was handed out as a view; -1 when the words are others. */
  wordOf(body: Uint32Array): number {
    return body.buffer === this.words.buffer ? body.byteOffset / 4 : -1;
  }

  /** A derived row took effect later than its timestamp says. */
  setEffect(row: number, low: number, high: number): void {
    this.#derived.set(row - this.inputRows, DerivedHead.effect, low, high);
  }

  /** A derived row was decided later than its timestamp says. */
  setDecided(row: number, low: number, high: number): void {
    this.#derived.set(row - this.inputRows, DerivedHead.decided, low, high);
  }

  /** The previous transfer of the row's debit (side 1) or credit account (side 2). */
  setPrevious(row: number, side: number, low: number, high: number): void {
    if ((low | high) === 0) return;
    if (row < this.inputRows) {
      this.previous.set(row, side, low, high);
      return;
    }
    const field = DerivedHead.debitPrevious + side * 2 - 2;
    this.#derived.set(row - this.inputRows, field, low, high);
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
    this.#derived.takeBack(mark.derivedRows);
    this.#balances.length = mark.balanceWords;
    this.previous.clear(from, to);
  }

  /** Whether messages that are sent by this group have thin rows: one of an earlier version, executed again, sends what it has sent then. */
  get hasThinRows(): boolean {
    return this.#version >= FrameVersion.thinRows;
  }

  /** Whether what would wait for a walk that begins in this group goes with it, see draft-walks.ts; the same holds of earlier versions. */
  get hasRiders(): boolean {
    return this.#version >= FrameVersion.riders;
  }

  nextDerivedRow(): number {
    return this.inputRows + this.derivedRows;
  }

  /** Copies a row of this group, while it is being executed, into 32 words. */
  copyRow(row: number, shards: number, target: Uint32Array): void {
    if (row >= this.inputRows) {
      this.#derived.copyRecord(row - this.inputRows, this.words, target);
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
    this.#sealPrevious();
    const derived = this.#extend(this.#derived.wordLength);
    this.#derived.write(words, derived);
    words[Head.derived] = derived * 4;
    const { length } = this.#balances;
    const balances = this.#extend(length);
    words.set(this.#balances.view(), balances);
    words[Head.balances] = length > 0 ? balances * 4 : 0;
    words[Head.balanceCount] = length / BALANCE_WORDS;
    words[Head.magic] = FRAME_MAGIC;
    words[Head.version] = this.#version;
    words[Head.inputs] = this.inputAt.length;
    words[Head.bytes] = this.#length * 4;
    words[Head.closed] = clock.low;
    words[Head.closed + 1] = clock.high;
    words[Head.inputRows] = this.inputRows;
    words[Head.derivedRows] = this.derivedRows;
    words[Head.decisions] = decisions;
    this.#sealed = true;
  }

  #sealPrevious(): void {
    const { words, previous, inputRows: n } = this;
    words[Head.previous] = 0;
    words[Head.previousUpper] = 0;
    if (!previous.isUsed) return;
    const at = this.#extend(previousBytes(n) / 4) * 4;
    words[Head.previous] = at;
    previous.write(this.bytes, at, n);
    if (!previous.hasUpper) return;
    const upper = this.#extend(upperBytes(n) / 4) * 4;
    words[Head.previousUpper] = upper;
    previous.writeUpper(this.bytes, upper, n);
  }

  /** Makes room for a section; returns the word at which it begins. */
  #extend(count: number): number {
    const at = this.#length;
    assert((at + count) * 4 <= this.bytes.byteLength, 'a group is within its bound');
    this.#length += count;
    return at;
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
    // Executed again, it comes out as it was.
    this.#version = this.words[Head.version]!;
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
        if (this.inputRows + batchRows(this.words, at) > this.inputRowsMax) {
          return 'more rows than a group can have';
        }
        this.#openRequest(at);
      } else if (this.words[at] === InputType.link) {
        const message = messageDefect(this.words, at + INPUT_WORDS, this.#length);
        if (message !== null) return message;
        this.#pledgedRows += linkRows(this.words, at + INPUT_WORDS);
      }
    }
    return null;
  }
}
