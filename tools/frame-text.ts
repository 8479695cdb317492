/** A journal frame in readable form: its inputs, and its rows with what became of them. */
import { Transfer, COLUMN_OFFSETS } from '../engine/batch.ts';
import {
  Derived,
  DERIVED_WORDS,
  DerivedKind,
  Head,
  Input,
  INPUT_WORDS,
  InputType,
  isRequest,
} from '../engine/frame.ts';
import type { Group } from '../engine/group.ts';
import { positionRow, positionSequence } from '../engine/ledger.ts';
import { LinkHead } from '../engine/link-message.ts';
import { ACCOUNT_STATUS_NAMES, EventState, TRANSFER_STATUS_NAMES } from '../engine/status.ts';
import { bigintOfUint128, bigintOfUint64 } from '../engine/uint128.ts';
import { WholeFrame } from '../query/frame-bytes.ts';
import { isAccounts } from '../query/frame-input.ts';
import { FrameView } from '../query/frame-view.ts';
import {
  accountFlagNames,
  balanceList,
  balancesOf,
  codeOf,
  flagsOf,
  ledgerOf,
  transferFlagNames,
} from './account-rows.ts';
import { MESSAGE_KINDS } from './conservation.ts';
import { formatTime } from './moment.ts';
import { balanceObject } from './replay-report.ts';

const INPUT_NAMES: Readonly<Record<InputType, string>> = {
  [InputType.createAccounts]: 'create_accounts',
  [InputType.createTransfers]: 'create_transfers',
  [InputType.createTransfersTogether]: 'create_transfers (as one walk)',
  [InputType.link]: 'message',
  [InputType.acknowledged]: 'acknowledgement',
  [InputType.digest]: 'digest',
  [InputType.expire]: 'expiry',
  [InputType.createAccountsTogether]: 'create_accounts (as one walk)',
};

export interface FrameInput {
  readonly type: string;
  readonly bytes: number;
  readonly what: Readonly<Record<string, string | number>>;
}

export interface FrameRow {
  readonly row: number;
  /** `input`: as it came. `derived`: what took effect here otherwise. */
  readonly from: 'input' | 'derived';
  readonly kind: 'account' | 'transfer' | 'copy' | 'expired';
  /** Of an input row: its outcome. */
  readonly status: string | null;
  readonly record: Uint32Array;
  readonly effect: bigint;
  /** Where the previous transfers of both accounts lie, as SEQUENCE:ROW. */
  readonly debitPrevious: string | null;
  readonly creditPrevious: string | null;
}

export class FrameText {
  readonly sequence: number;
  readonly opened: bigint;
  readonly closed: bigint;
  readonly bytes: number;
  readonly inputs: readonly FrameInput[];
  readonly #view: FrameView;
  readonly #group: Group;
  readonly #words: Uint32Array;

  /** The frame is loaded into the group, which finds its inputs. Throws a sentence when it cannot be. */
  constructor(
    frame: Uint8Array,
    sequence: number,
    { group, shards }: { readonly group: Group; readonly shards: number },
  ) {
    const defect = group.load(frame, sequence);
    if (defect !== null) throw new Error(`sequence ${sequence}: ${defect}`);
    const { words } = group;
    this.sequence = sequence;
    this.#group = group;
    this.#words = words.subarray(0, frame.byteLength / 4);
    this.#view = new FrameView(new WholeFrame(this.#words), sequence, shards);
    this.bytes = frame.byteLength;
    this.opened = bigintOfUint64(words, Head.opened);
    this.closed = bigintOfUint64(words, Head.closed);
    this.inputs = group.inputAt.map((at) => inputOf(words, at));
  }

  get inputRows(): number {
    return this.#view.inputRows;
  }

  get rows(): number {
    return this.#view.rows;
  }

  row(row: number): FrameRow {
    const entry = new Uint32Array(DERIVED_WORDS);
    this.#view.entry(row, entry);
    const isInput = row < this.inputRows;
    return {
      row,
      from: isInput ? 'input' : 'derived',
      kind: kindOf(entry[Derived.kind]!),
      status: isInput ? this.#status(row) : null,
      record: entry.slice(0, 32),
      effect: bigintOfUint64(entry, Derived.effect),
      debitPrevious: placeText(entry, Derived.debitPrevious),
      creditPrevious: placeText(entry, Derived.creditPrevious),
    };
  }

  #status(row: number): string {
    const outcomes = this.#words[Head.outcomes]!;
    const status = outcomes === 0 ? 0 : this.#group.halves[(outcomes >> 1) + row]!;
    if (status === EventState.waiting) return '(decided later)';
    if (status === EventState.notStarted) return '(not started: its deadline had passed)';
    const input = this.#group.inputAt.findLast(
      (at) => isRequest(this.#words[at]!) && this.#words[at + Input.firstRow]! <= row,
    );
    const names = isAccounts(this.#words[input!]!) ? ACCOUNT_STATUS_NAMES : TRANSFER_STATUS_NAMES;
    return names[status] ?? `(status ${status})`;
  }
}

function kindOf(kind: number): FrameRow['kind'] {
  if ((kind & DerivedKind.account) !== 0) return 'account';
  if ((kind & DerivedKind.expired) !== 0) return 'expired';
  return (kind & DerivedKind.home) !== 0 ? 'transfer' : 'copy';
}

function placeText(words: Uint32Array, at: number): string | null {
  const low = words[at]!;
  const high = words[at + 1]!;
  return (low | high) === 0 ? null : `${positionSequence(low, high)}:${positionRow(high)}`;
}

function inputOf(words: Uint32Array, at: number): FrameInput {
  const type = words[at]! as InputType;
  return {
    type: INPUT_NAMES[type] ?? `(type ${type})`,
    bytes: words[at + Input.bytes]!,
    what: inputDetails(words, at, type),
  };
}

function inputDetails(words: Uint32Array, at: number, type: InputType): FrameInput['what'] {
  const number = words[at + Input.number]! + words[at + Input.number + 1]! * 4294967296;
  if (isRequest(type)) {
    const deadline = bigintOfUint64(words, at + Input.deadline);
    return {
      session: words[at + Input.session]!,
      request: words[at + Input.request]!,
      first_row: words[at + Input.firstRow]!,
      rows: words[at + INPUT_WORDS]! & 0xffffff,
      time: formatTime(bigintOfUint64(words, at + Input.stamp)),
      ...(deadline === 0n ? {} : { deadline: formatTime(deadline) }),
    };
  }
  if (type === InputType.link) {
    const body = at + INPUT_WORDS;
    return {
      from: words[at + Input.peer]!,
      number,
      kind: MESSAGE_KINDS[words[body + LinkHead.kind]!] ?? '(unknown)',
      rows: words[body + LinkHead.rows]!,
      walk: `${words[body + LinkHead.first]}:${words[body + LinkHead.walk]}`,
      time: formatTime(bigintOfUint64(words, at + Input.stamp)),
    };
  }
  if (type === InputType.acknowledged) return { peer: words[at + Input.peer]!, up_to: number };
  if (type !== InputType.digest) return {};
  const half = (word: number): string => words[at + word]!.toString(16).padStart(8, '0');
  return { digest: `${half(Input.digest)}${half(Input.digest + 1)}` };
}

/** A transfer as it goes over the wire. */
export function transferObject(record: Uint32Array): Readonly<Record<string, unknown>> {
  const id = (column: number): string =>
    String(bigintOfUint128(record, COLUMN_OFFSETS[column]! >> 2));
  return {
    id: id(Transfer.id),
    debit_account_id: id(Transfer.debitAccountId),
    credit_account_id: id(Transfer.creditAccountId),
    amount: id(Transfer.amount),
    pending_id: id(Transfer.pendingId),
    user_data_128: id(Transfer.userData128),
    user_data_64: String(bigintOfUint64(record, COLUMN_OFFSETS[Transfer.userData64]! >> 2)),
    user_data_32: record[COLUMN_OFFSETS[Transfer.userData32]! >> 2]!,
    timeout: record[COLUMN_OFFSETS[Transfer.timeout]! >> 2]!,
    ledger: ledgerOf(record, 0),
    code: codeOf(record, 0),
    flags: transferFlagNames(flagsOf(record, 0)),
    timestamp: String(bigintOfUint64(record, COLUMN_OFFSETS[Transfer.timestamp]! >> 2)),
  };
}

function accountRecord(record: Uint32Array): Readonly<Record<string, unknown>> {
  return {
    id: String(bigintOfUint128(record, 0)),
    ...balanceObject(balanceList(balancesOf(record, 0))),
    ledger: ledgerOf(record, 0),
    code: codeOf(record, 0),
    flags: accountFlagNames(flagsOf(record, 0)),
    timestamp: String(bigintOfUint64(record, COLUMN_OFFSETS[Transfer.timestamp]! >> 2)),
  };
}

export function recordObject({
  kind,
  record,
}: Pick<FrameRow, 'kind' | 'record'>): Readonly<Record<string, unknown>> {
  return kind === 'account' ? accountRecord(record) : transferObject(record);
}

export function rowObject(row: FrameRow): object {
  return {
    row: row.row,
    from: row.from,
    kind: row.kind,
    status: row.status,
    effect_timestamp: String(row.effect),
    time: formatTime(row.effect),
    debit_previous: row.debitPrevious,
    credit_previous: row.creditPrevious,
    record: recordObject(row),
  };
}
