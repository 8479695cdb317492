/** Writes a journal frame from its parts, without the engine. The form is that of engine/group.ts. */
import { type Batch, ROW_WORDS } from '../../engine/batch.ts';
import {
  DERIVED_HEAD_WORDS,
  Derived,
  DerivedHead,
  BALANCE_WORDS,
  FRAME_MAGIC,
  FRAME_VERSION,
  Head,
  HEAD_WORDS,
  Input,
  INPUT_WORDS,
  InputType,
} from '../../engine/frame.ts';
import { writeUint64 } from '../../engine/uint128.ts';

export interface BuiltInput {
  readonly type: number;
  readonly batch: Batch;
  readonly stamp: bigint;
  /** By row; created is 0. */
  readonly statuses: readonly number[];
}

export interface FrameParts {
  readonly inputs: readonly BuiltInput[];
  /** Of a link message in front of the inputs; 0 for none. */
  readonly messageBytes: number;
  /** Four words for each input row, or none at all. */
  readonly previous: readonly number[];
  readonly derived: readonly Uint32Array[];
  readonly balances: readonly number[];
  readonly opened: bigint;
  readonly closed: bigint;
}

export function buildFrame(parts: FrameParts): Uint8Array {
  const words: number[] = Array.from({ length: HEAD_WORDS }, () => 0);
  const statuses: number[] = [];
  if (parts.messageBytes > 0) {
    const message = new Uint32Array(INPUT_WORDS + parts.messageBytes / 4).fill(0xabcdef);
    message[Input.type] = InputType.link;
    message[Input.bytes] = message.byteLength;
    append(words, message);
  }
  for (const input of parts.inputs) {
    const header = new Uint32Array(INPUT_WORDS);
    header[Input.type] = input.type;
    header[Input.bytes] = INPUT_WORDS * 4 + input.batch.byteLength;
    header[Input.firstRow] = statuses.length;
    writeUint64(input.stamp, header, Input.stamp);
    append(words, header);
    append(words, input.batch.words);
    statuses.push(...input.statuses);
  }
  if (statuses.some((status) => status !== 0)) {
    words[Head.outcomes] = words.length * 4;
    const halves = new Uint16Array((statuses.length + 3) & ~3);
    halves.set(statuses);
    append(words, new Uint32Array(halves.buffer));
  }
  if (parts.previous.some((word) => word !== 0)) {
    words[Head.previous] = words.length * 4;
    append(words, previousColumns(parts.previous));
  }
  words[Head.derived] = words.length * 4;
  append(words, derivedRows(parts.derived, words.length));
  if (parts.balances.length > 0) {
    words[Head.balances] = words.length * 4;
    append(words, parts.balances);
  }
  words[Head.magic] = FRAME_MAGIC;
  words[Head.version] = FRAME_VERSION;
  words[Head.inputs] = parts.inputs.length + (parts.messageBytes > 0 ? 1 : 0);
  words[Head.inputRows] = statuses.length;
  words[Head.derivedRows] = parts.derived.length;
  words[Head.balanceCount] = parts.balances.length / BALANCE_WORDS;
  words[Head.bytes] = words.length * 4;
  const frame = new Uint32Array(words);
  writeUint64(parts.opened, frame, Head.opened);
  writeUint64(parts.closed, frame, Head.closed);
  return new Uint8Array(frame.buffer);
}

function append(words: number[], more: Iterable<number>): void {
  for (const word of more) words.push(word);
}

/** From four words for each row. */
function previousColumns(previous: readonly number[]): Uint32Array {
  const n = previous.length / 4;
  const bytes = new Uint8Array((13 * n + 7) & ~7);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 2 * n; i++) {
    const high = previous[2 * i + 1]!;
    view.setUint32(4 * i, previous[2 * i]!, true);
    view.setUint16(8 * n + 2 * i, (high >>> 8) & 0xffff, true);
    bytes[12 * n + (i >> 1)]! |= (high & 15) << (4 * (i & 1));
  }
  return new Uint32Array(bytes.buffer);
}

/** Heads, and behind them the records; given in the form that readers see, `Derived`. */
function derivedRows(rows: readonly Uint32Array[], at: number): Uint32Array {
  const heads = rows.length * DERIVED_HEAD_WORDS;
  const section = new Uint32Array(heads + rows.length * ROW_WORDS);
  for (const [i, row] of rows.entries()) {
    const head = section.subarray(i * DERIVED_HEAD_WORDS, (i + 1) * DERIVED_HEAD_WORDS);
    head[DerivedHead.record] = at + heads + i * ROW_WORDS;
    head[DerivedHead.kind] = row[Derived.kind]!;
    head.set(row.subarray(30, 32), DerivedHead.timestamp);
    head.set(row.subarray(Derived.debitPrevious, Derived.effect), DerivedHead.debitPrevious);
    head.set(row.subarray(Derived.effect, Derived.effect + 2), DerivedHead.effect);
    head.set(row.subarray(Derived.decided, Derived.decided + 2), DerivedHead.decided);
    section.set(row.subarray(0, ROW_WORDS), heads + i * ROW_WORDS);
  }
  return section;
}
