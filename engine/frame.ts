/**
 * The form of a group's frame, and how a sealed one is read: by the journal's readers, and by the group itself (group.ts), which writes it.
 *
 * Frame, little-endian, everything 8-byte aligned:
 *   header   24 words, see `Head`; words 20 to 23 are always 0 and serve as the value of absent columns
 *   inputs   each a header of 10 words, see `Input`, then its body: a batch for requests, a message for links
 *   outcomes a status of 16 bits for each input row; left out when every row was created
 *   previous for each of n input rows the positions of the previous transfer of its debit and of its credit account, by column: lower words of the
 *            sequence (u32, 2n), rows (u16, 2n), sides (u8, n: the debit account's in the lower half, the credit account's in the upper);
 *            left out when no input row has any
 *   upper    upper bytes of those sequences (u8, 2n); left out when all are 0
 *   derived  heads of 12 words, see `DerivedHead`: what took effect here in this group and is not an input row as it came: transfers that
 *            came with an earlier group or over a link, posts, voids, and balancing transfers, accounts made by a walk, expiries
 *   records  32 words each: those that no link message of this frame has
 *   balances entries of 20 words {row, side, 0, 0, four balances}: of an account with `history`, after that transfer
 *
 * A *position* is a journal sequence and a row of its frame: input rows first, in order, then derived rows. The transfers of one account
 * are a chain: each has the position of the one before.
 */
import { assert } from './assert.ts';
import { ROW_WORDS, batchDefect, type Columns } from './batch.ts';
import { readThin } from './thin-rows.ts';

/**
 * What came with which version. `thinRows`: rows of link messages leave words that are zero out (link-message.ts). `riders`: what would wait for a walk
 * that begins in its group goes with it (draft-walks.ts). All else is the same.
 */
export const FrameVersion = { wholeRows: 3, thinRows: 4, riders: 5 } as const;
export const FRAME_VERSION = FrameVersion.riders;
export const FRAME_VERSION_MIN = FrameVersion.wholeRows;
export const FRAME_MAGIC = 0x31435953;
export const HEAD_WORDS = 24;
export const ZERO_WORD = 20;
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
  previousUpper: 16,
} as const;

/**
 * Words of a derived row's head. `record`: word offset in the frame of its 32 words, whose timestamp counts only here. `effect`: when it took effect
 * on this shard. `decided`: when it was decided, by the clock of the shard that did; the timestamp, but for imported rows.
 */
export const DerivedHead = {
  record: 0,
  kind: 1,
  timestamp: 2,
  debitPrevious: 4,
  creditPrevious: 6,
  effect: 8,
  decided: 10,
} as const;
export const DERIVED_HEAD_WORDS = 12;

/** The same, as readers are given every row of a frame: its record, and these words behind it. */
export const Derived = {
  debitPrevious: 32,
  creditPrevious: 34,
  effect: 36,
  kind: 38,
  decided: 40,
} as const;
export const DERIVED_WORDS = 42;
/**
 * `home`: the transfer is at home on this shard, else it is here for the history of its credit account. The next two are no transfers. `thin`: the
 * record lies as thin-rows.ts says; only in the frame, readers are not told.
 */
export const DerivedKind = { home: 1, expired: 2, account: 4, thin: 8 } as const;
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

/** Rows of the batch of a request input. */
export function batchRows(words: Uint32Array, at: number): number {
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

export function requestDefect(words: Uint32Array, at: number): string | null {
  const end = at * 4 + words[at + Input.bytes]!;
  const defect = batchDefect(words, (at + INPUT_WORDS) * 4, end);
  if (defect !== null) return defect;
  const marks = marksAt(words, at);
  return marks !== -1 && marks + batchRows(words, at) > end ? 'the marks are cut off' : null;
}

/** Whether frames of the version are read here. */
export function isFrameVersion(version: number): boolean {
  return version >= FRAME_VERSION_MIN && version <= FRAME_VERSION;
}

export function frameDefect(frame: Uint8Array): string | null {
  if (frame.byteLength < HEAD_WORDS * 4 || frame.byteLength % 8 !== 0) return 'not a frame';
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint32(Head.magic * 4, true) !== FRAME_MAGIC) return 'not a frame';
  if (!isFrameVersion(view.getUint32(Head.version * 4, true))) return 'a frame of another version';
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
  copyDerivedRecord(words, derived, target, 0);
}

/** Copies the record of a derived row of a sealed frame into 32 words at `to`. */
export function copyDerivedRecord(
  words: Uint32Array,
  derived: number,
  target: Uint32Array,
  to: number,
): void {
  const head = (words[Head.derived]! >> 2) + derived * DERIVED_HEAD_WORDS;
  const from = words[head + DerivedHead.record]!;
  const isThin = (words[head + DerivedHead.kind]! & DerivedKind.thin) !== 0;
  assert(from + (isThin ? 1 : ROW_WORDS) <= words.length, 'a record lies in the frame');
  if (isThin) readThin(words, from, target, to, ROW_WORDS);
  else for (let w = 0; w < 30; w++) target[to + w] = words[from + w]!;
  target[to + 30] = words[head + DerivedHead.timestamp]!;
  target[to + 31] = words[head + DerivedHead.timestamp + 1]!;
}
