/**
 * What a request may say: the fields of each kind in column order, the flags, and how a refusal names the field and the rule it breaks.
 *
 * Flag bits of events that mean nothing pass, because the engine has an outcome for them. Rules, as `SyceeError.rule` says them:
 *   syntax, trailing_bytes, body_form, byte_order_mark, length, nesting, escape   the bytes are not of the form
 *   type, number_form, safe_integer, range, float, extension                      a value is not of its field's type
 *   unknown_field, doubled_field, missing_field, empty                            the fields are not the known ones
 *   unknown_flag, doubled_flag                                                    flags
 *   cursor                                                                        not the `next` of an answer to the same question
 *   batch_events_max, body_bytes_max                                              `too_large`
 */
import { assert } from '../engine/assert.ts';
import { BatchKind, COLUMN_BYTES } from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import { SyceeError } from '../lib/sycee-error.ts';

/** 8189 transfers with every field at its longest in JSON come close to it. Transports bound bodies themselves as well. */
export const BODY_BYTES_MAX = 8 << 20;

const NAME_BYTES_MAX = 40;
const SLOTS = 64;

/** Finds a name from its bytes, without making a string of it. */
export class NameTable {
  readonly names: readonly string[];
  readonly #bytes: readonly Uint8Array[];
  readonly #slots = new Int8Array(SLOTS).fill(-1);

  constructor(names: readonly string[]) {
    assert(names.length < SLOTS / 2, 'a search ends at a free slot');
    const encoder = new TextEncoder();
    this.names = names;
    this.#bytes = names.map((name) => encoder.encode(name));
    for (const [index, bytes] of this.#bytes.entries()) {
      assert(bytes.length <= NAME_BYTES_MAX, 'a name is within its bound');
      let slot = slotOf(bytes, 0, bytes.length);
      while (this.#slots[slot] !== -1) slot = (slot + 1) % SLOTS;
      this.#slots[slot] = index;
    }
  }

  /** The index of the name at bytes `from` to `to`, or -1. */
  // Hot path.
  find(bytes: Uint8Array, from: number, to: number): number {
    if (to - from > NAME_BYTES_MAX) return -1;
    let slot = slotOf(bytes, from, to);
    for (;;) {
      const index = this.#slots[slot]!;
      if (index === -1 || isSame(this.#bytes[index]!, bytes, from, to)) return index;
      slot = (slot + 1) % SLOTS;
    }
  }
}

function slotOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = to - from;
  for (let at = from; at < to; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
  return (hash ^ (hash >>> 6)) & (SLOTS - 1);
}

function isSame(name: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[from + i]) return false;
  return true;
}

export interface KindRules {
  readonly kind: BatchKind;
  readonly singular: string;
  readonly plural: string;
  /** By column. */
  readonly fields: NameTable;
  /** By bit. */
  readonly flags: NameTable;
}

const ACCOUNT_FLAGS = [
  'linked',
  'debits_must_not_exceed_credits',
  'credits_must_not_exceed_debits',
  'history',
  'imported',
  'closed',
];

const TRANSFER_FLAGS = [
  'linked',
  'pending',
  'post_pending_transfer',
  'void_pending_transfer',
  'balancing_debit',
  'balancing_credit',
  'closing_debit',
  'closing_credit',
  'imported',
];

const accountRules: KindRules = {
  kind: BatchKind.accounts,
  singular: 'account',
  plural: 'accounts',
  fields: new NameTable([
    'id',
    'debits_pending',
    'debits_posted',
    'credits_pending',
    'credits_posted',
    'user_data_128',
    'user_data_64',
    'user_data_32',
    'reserved',
    'ledger',
    'code',
    'flags',
    'timestamp',
  ]),
  flags: new NameTable(ACCOUNT_FLAGS),
};

const transferRules: KindRules = {
  kind: BatchKind.transfers,
  singular: 'transfer',
  plural: 'transfers',
  fields: new NameTable([
    'id',
    'debit_account_id',
    'credit_account_id',
    'amount',
    'pending_id',
    'user_data_128',
    'user_data_64',
    'user_data_32',
    'timeout',
    'ledger',
    'code',
    'flags',
    'timestamp',
  ]),
  flags: new NameTable(TRANSFER_FLAGS),
};

/** Of a list of ids: one column, no flags. */
const idRules: KindRules = {
  kind: BatchKind.ids,
  singular: 'id',
  plural: 'ids',
  fields: new NameTable(['id']),
  flags: new NameTable([]),
};

export function rulesOf(kind: BatchKind): KindRules {
  if (kind === BatchKind.transfers) return transferRules;
  return kind === BatchKind.accounts ? accountRules : idRules;
}

/** Where a parser is, for the error that it may have to throw. Text is made only then. */
export class Place {
  /** `transfers` while rows of an array are read. */
  list = '';
  row = -1;
  field = '';

  open(list: string): void {
    this.list = list;
    this.row = -1;
    this.field = '';
  }

  get path(): string {
    const row = this.row < 0 ? '' : `${this.list}[${this.row}]`;
    return row === '' || this.field === '' ? row + this.field : `${row}.${this.field}`;
  }

  /** `sentence` goes on after the name of the field, as in `must be an integer`. */
  refusal(rule: string, sentence: string): SyceeError {
    const { path } = this;
    return new SyceeError('malformed_request', `${path === '' ? 'the body' : path} ${sentence}`, {
      field: path,
      rule,
    });
  }
}

/** A name that is in no table, for an error: cut, and with `?` for what is not printable ASCII. */
export function printable(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let at = from; at < to && at < from + NAME_BYTES_MAX; at++) {
    const byte = bytes[at]!;
    text += byte > 0x20 && byte < 0x7f && byte !== 0x22 ? String.fromCharCode(byte) : '?';
  }
  return to - from > NAME_BYTES_MAX ? `${text}...` : text;
}

/** The refusal of a field that is none of `known`. */
export function unknownField(place: Place, known: readonly string[], name: string): SyceeError {
  place.field = name === '' ? '""' : name;
  return place.refusal('unknown_field', `is unknown: the fields are ${known.join(', ')}`);
}

/** Sets the bit of a flag name in `flags`. `name` is for the error. */
export function withFlag(place: Place, bit: number, flags: number, name: () => string): number {
  if (bit < 0) throw place.refusal('unknown_flag', `has the unknown flag "${name()}"`);
  if ((flags & (1 << bit)) !== 0) {
    throw place.refusal('doubled_flag', `has the flag ${name()} twice`);
  }
  return flags | (1 << bit);
}

export function tooLarge(rule: 'batch_events_max' | 'body_bytes_max'): SyceeError {
  return rule === 'body_bytes_max'
    ? new SyceeError('too_large', `the body has more than ${BODY_BYTES_MAX} bytes`, { rule })
    : new SyceeError(
        'too_large',
        `the request has more than ${BATCH_EVENTS_MAX} events; send them in several requests`,
        { rule },
      );
}

/** The largest value of a column of 16 or 32 bits. */
export function maxOfColumn(column: number): number {
  return COLUMN_BYTES[column] === 2 ? 0xffff : 0xffff_ffff;
}
