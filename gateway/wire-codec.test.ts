import { Unpackr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { BatchKind, batchOfRows, COLUMN_BYTES, COLUMNS, ROW_WORDS } from '../engine/batch.ts';
import type { CreateReply, RowsReply } from '../engine/reply.ts';
import { AccountStatus, TransferStatus } from '../engine/status.ts';
import { ERROR_CODES, ERROR_HTTP_STATUS, SyceeError } from '../lib/sycee-error.ts';
import { decodeCreate, decodeRows, encodeColumns, encodeIds } from './columnar-codec.ts';
import { rulesOf } from './field-rules.ts';
import { parseCreate, parseLookup } from './parse-command.ts';
import { encodeCreate, encodeProblem, encodeRows, encodingOf, statusHttp } from './wire-codec.ts';

const { accounts, transfers, ids } = BatchKind;
const unpackr = new Unpackr({ useRecords: false });
const unpack = (bytes: Uint8Array | string): unknown => unpackr.unpack(bytes as Uint8Array);
const parse = (text: Uint8Array | string): unknown => JSON.parse(text as string);

const STAMP = 1_700_000_000_123_456_789n;
const positions = [
  { shard: 0, sequence: 1, timestamp: STAMP },
  { shard: 63, sequence: 2 ** 40 - 1, timestamp: 2n ** 64n - 1n },
];
const jsonPositions = [
  { shard: 0, sequence: 1, timestamp: String(STAMP) },
  { shard: 63, sequence: 2 ** 40 - 1, timestamp: String(2n ** 64n - 1n) },
];
const reply: CreateReply = {
  n: 3,
  statuses: Uint16Array.of(0, TransferStatus.exists, TransferStatus.id_already_failed),
  timestamps: BigUint64Array.of(STAMP, 0n, 2n ** 64n - 1n),
  positions,
};
const single: CreateReply = {
  n: 1,
  statuses: Uint16Array.of(TransferStatus.exceeds_credits),
  timestamps: BigUint64Array.of(STAMP),
  positions: [positions[0]!],
};

/** Rows whose every byte differs, but for flags, which mean something. */
function someRows(n: number): Uint32Array {
  const rows = new Uint32Array(n * ROW_WORDS);
  const bytes = new Uint8Array(rows.buffer);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 37 + (at >> 7) * 11 + 1) & 0xff;
  for (let i = 0; i < n; i++) {
    rows[i * ROW_WORDS + 29] = (rows[i * ROW_WORDS + 29]! & 0xffff) | ((i % 2 === 0 ? 6 : 0) << 16);
  }
  return rows;
}

describe('encodeCreate', () => {
  test('one object is answered by its result', () => {
    const { status, timestamp } = { status: 'exceeds_credits', timestamp: STAMP };
    const json = encodeCreate(transfers, { shape: 'one', encoding: 'json' }, single);
    expect(json).toBe(
      `{"status":"exceeds_credits","timestamp":"${STAMP}","positions":[{"shard":0,"sequence":1,"timestamp":"${STAMP}"}]}`,
    );
    const packed = encodeCreate(transfers, { shape: 'one', encoding: 'msgpack' }, single);
    expect(unpack(packed)).toEqual({ status, timestamp, positions: single.positions });
  });

  test('many are answered in request order', () => {
    const names = ['created', 'exists', 'id_already_failed'];
    const json = encodeCreate(transfers, { shape: 'many', encoding: 'json' }, reply);
    expect(parse(json)).toEqual({
      results: names.map((status, i) => ({ status, timestamp: String(reply.timestamps[i]) })),
      positions: jsonPositions,
    });
    const packed = unpack(encodeCreate(transfers, { shape: 'many', encoding: 'msgpack' }, reply));
    const { results } = packed as { results: { status: string; timestamp: bigint }[] };
    expect(results.map((one) => one.status)).toEqual(names);
    expect(results.map((one) => one.timestamp)).toEqual([...reply.timestamps]);
  });

  test('columns come back as they were', () => {
    const bytes = encodeCreate(transfers, { shape: 'columns', encoding: 'msgpack' }, reply);
    expect(decodeCreate(bytes as Uint8Array)).toEqual(reply);
  });

  test('no number of an answer is a msgpack float', () => {
    const bytes = encodeCreate(transfers, { shape: 'columns', encoding: 'msgpack' }, reply);
    const answer = unpack(bytes) as { positions: { sequence: unknown }[] };
    expect(answer.positions[1]!.sequence).toBe(BigInt(2 ** 40 - 1));
  });

  test('the answer of an account has the names of accounts', () => {
    const exists = { ...single, statuses: Uint16Array.of(AccountStatus.exists) };
    const json = encodeCreate(accounts, { shape: 'one', encoding: 'json' }, exists);
    expect(parse(json)).toMatchObject({ status: 'exists' });
  });
});

describe('encodeRows', () => {
  const rows = someRows(5);
  const pendingStatuses = Uint8Array.of(0, 1, 2, 3, 4);
  const found: RowsReply = { n: 5, rows, positions };
  const foundTransfers: RowsReply = { ...found, pendingStatuses };
  const none: RowsReply = { n: 0, rows: new Uint32Array(0), positions };
  const noTransfers: RowsReply = { ...none, pendingStatuses: new Uint8Array(0) };

  test('rows come back as they were, in columns', () => {
    for (const [kind, some, nothing] of [
      [accounts, found, none],
      [transfers, foundTransfers, noTransfers],
    ] as const) {
      const bytes = encodeRows(kind, { shape: 'columns', encoding: 'msgpack' }, some);
      expect(decodeRows(kind, bytes as Uint8Array)).toEqual(some);
      const empty = encodeRows(kind, { shape: 'columns', encoding: 'msgpack' }, nothing);
      expect(decodeRows(kind, empty as Uint8Array)).toEqual(nothing);
    }
  });

  test('a transfer says what became of it: by name, and in columns by number', () => {
    const names = ['none', 'pending', 'posted', 'voided', 'expired'];
    const json = encodeRows(transfers, { shape: 'many', encoding: 'json' }, foundTransfers);
    const packed = encodeRows(transfers, { shape: 'many', encoding: 'msgpack' }, foundTransfers);
    for (const answer of [parse(json), unpack(packed)] as { transfers: object[] }[]) {
      expect(answer.transfers).toMatchObject(names.map((name) => ({ pending_status: name })));
    }
    const columns = encodeRows(
      transfers,
      { shape: 'columns', encoding: 'msgpack' },
      foundTransfers,
    );
    expect(unpack(columns)).toMatchObject({ pending_status: Buffer.from(pendingStatuses) });
    const form = { shape: 'many', encoding: 'json' } as const;
    expect(() => encodeRows(transfers, form, found)).toThrow('one pending status');
    expect(encodeRows(accounts, form, found)).not.toContain('pending_status');
  });

  test('rows in JSON and in maps have every field, and can be sent back as they are', () => {
    const { fields } = rulesOf(accounts);
    const json = encodeRows(accounts, { shape: 'many', encoding: 'json' }, found) as string;
    const answer = parse(json) as { accounts: Record<string, unknown>[]; positions: unknown };
    expect(answer.positions).toEqual(jsonPositions);
    expect(answer.accounts.map((one) => Object.keys(one))).toEqual(
      Array.from({ length: 5 }, () => fields.names),
    );
    expect(answer.accounts[0]!['flags']).toEqual([
      'debits_must_not_exceed_credits',
      'credits_must_not_exceed_debits',
    ]);
    expect(answer.accounts[1]!['flags']).toEqual([]);
    const packed = encodeRows(accounts, { shape: 'many', encoding: 'msgpack' }, found);
    const maps = unpack(packed) as { accounts: Record<string, unknown>[] };
    const whole = batchOfRows(accounts, rows, 5).words;
    const text = new TextEncoder().encode(JSON.stringify(answer.accounts));
    expect(parseCreate(accounts, text).batch.words).toEqual(whole);
    expect(maps.accounts[0]!['id']).toHaveLength(16);
    expect(maps.accounts[0]!['flags']).toBe(6);
    for (const column of Array.from({ length: COLUMNS }, (_, each) => each)) {
      if (COLUMN_BYTES[column] !== 16) continue;
      const bytes = new Uint8Array(rows.buffer, column * 16, 16);
      expect(maps.accounts[0]![fields.names[column]!]).toEqual(Buffer.from(bytes));
    }
  });

  test('one object is the object itself', () => {
    const one: RowsReply = {
      n: 1,
      rows: someRows(1),
      pendingStatuses: Uint8Array.of(0),
      positions,
    };
    const names = [...rulesOf(transfers).fields.names, 'pending_status'];
    const json = encodeRows(transfers, { shape: 'one', encoding: 'json' }, one);
    expect(Object.keys(parse(json) as object)).toEqual(names);
    const packed = encodeRows(transfers, { shape: 'one', encoding: 'msgpack' }, one);
    expect(Object.keys(unpack(packed) as object)).toEqual(names);
  });

  test('nothing found is an empty list', () => {
    const json = encodeRows(transfers, { shape: 'many', encoding: 'json' }, noTransfers);
    expect(parse(json)).toEqual({ transfers: [], positions: jsonPositions });
  });
});

describe('columnar requests', () => {
  test('a batch comes back as it was, with its constant and its absent columns', () => {
    const rows = someRows(9);
    for (let i = 0; i < 9; i++) {
      rows[i * ROW_WORDS + 28] = 700;
      rows.fill(0xabcdef, i * ROW_WORDS + 12, i * ROW_WORDS + 16);
      rows.fill(0xfedcba98, i * ROW_WORDS + 24, i * ROW_WORDS + 26);
      rows.fill(0, i * ROW_WORDS + 16, i * ROW_WORDS + 20);
    }
    const batch = batchOfRows(accounts, rows, 9);
    expect(parseCreate(accounts, encodeColumns(batch)).batch.words).toEqual(batch.words);
    const one = batchOfRows(accounts, rows, 1);
    expect(parseCreate(accounts, encodeColumns(one)).batch.n).toBe(1);
  });

  test('ids come back as they were, also when all of them are 0', () => {
    const rows = new Uint32Array(3 * ROW_WORDS);
    expect(parseLookup(encodeIds(batchOfRows(ids, rows, 3))).batch.n).toBe(3);
    rows[0] = 5;
    rows[ROW_WORDS + 3] = 0xffff_ffff;
    const batch = batchOfRows(ids, rows, 3);
    expect(parseLookup(encodeIds(batch)).batch.words).toEqual(batch.words);
  });

  test('an answer that cannot be read leaves the outcome unknown', () => {
    const whole = encodeCreate(
      transfers,
      { shape: 'columns', encoding: 'msgpack' },
      reply,
    ) as Uint8Array;
    for (const bytes of [
      new Uint8Array(0),
      Uint8Array.of(0xc1),
      Uint8Array.of(0x80),
      whole.subarray(0, 40),
    ]) {
      expect(() => decodeCreate(bytes)).toThrow(SyceeError);
      expect(() => decodeRows(transfers, bytes)).toThrow('may or may not have happened');
    }
    expect(() => decodeRows(accounts, whole)).toThrow('no column id');
  });
});

describe('encodeProblem', () => {
  test('every code has its HTTP number, in JSON and in msgpack', () => {
    for (const code of ERROR_CODES) {
      const error = new SyceeError(code, 'a "quoted" sentence', { field: 'ids[3]', rule: 'type' });
      const expected = {
        type: `urn:sycee:problem:${code}`,
        title: code.replaceAll('_', ' '),
        status: ERROR_HTTP_STATUS[code],
        detail: 'a "quoted" sentence',
        code,
        retryable: error.retryable,
        field: 'ids[3]',
        rule: 'type',
      };
      expect(parse(encodeProblem('json', error))).toEqual(expected);
      expect(unpack(encodeProblem('msgpack', error))).toEqual(expected);
    }
    const bare = parse(encodeProblem('json', new SyceeError('overloaded', 'full')));
    expect(bare).not.toHaveProperty('field');
    expect(encodingOf(Uint8Array.of(0xc0))).toBeNull();
  });
});

describe('statusHttp', () => {
  const ACCOUNT_HTTP: Record<keyof typeof AccountStatus, number> = {
    created: 201,
    linked_event_failed: 409,
    linked_event_chain_open: 409,
    timestamp_must_be_zero: 400,
    reserved_field: 400,
    reserved_flag: 400,
    id_must_not_be_zero: 400,
    id_must_not_be_int_max: 400,
    flags_are_mutually_exclusive: 400,
    debits_pending_must_be_zero: 400,
    debits_posted_must_be_zero: 400,
    credits_pending_must_be_zero: 400,
    credits_posted_must_be_zero: 400,
    ledger_must_not_be_zero: 400,
    code_must_not_be_zero: 400,
    exists_with_different_flags: 409,
    exists_with_different_user_data_128: 409,
    exists_with_different_user_data_64: 409,
    exists_with_different_user_data_32: 409,
    exists_with_different_ledger: 409,
    exists_with_different_code: 409,
    exists: 200,
    imported_event_expected: 400,
    imported_event_not_expected: 400,
    imported_event_timestamp_out_of_range: 400,
    imported_event_timestamp_must_not_advance: 422,
    imported_event_timestamp_must_not_regress: 422,
  };
  const TRANSFER_HTTP: Record<keyof typeof TransferStatus, number> = {
    created: 201,
    linked_event_failed: 409,
    linked_event_chain_open: 409,
    timestamp_must_be_zero: 400,
    reserved_flag: 400,
    id_must_not_be_zero: 400,
    id_must_not_be_int_max: 400,
    flags_are_mutually_exclusive: 400,
    debit_account_id_must_not_be_zero: 400,
    debit_account_id_must_not_be_int_max: 400,
    credit_account_id_must_not_be_zero: 400,
    credit_account_id_must_not_be_int_max: 400,
    accounts_must_be_different: 400,
    pending_id_must_be_zero: 400,
    pending_id_must_not_be_zero: 400,
    pending_id_must_not_be_int_max: 400,
    pending_id_must_be_different: 400,
    timeout_reserved_for_pending_transfer: 400,
    ledger_must_not_be_zero: 400,
    code_must_not_be_zero: 400,
    debit_account_not_found: 404,
    credit_account_not_found: 404,
    accounts_must_have_the_same_ledger: 422,
    transfer_must_have_the_same_ledger_as_accounts: 422,
    exists_with_different_flags: 409,
    exists_with_different_debit_account_id: 409,
    exists_with_different_credit_account_id: 409,
    exists_with_different_amount: 409,
    exists_with_different_pending_id: 409,
    exists_with_different_user_data_128: 409,
    exists_with_different_user_data_64: 409,
    exists_with_different_user_data_32: 409,
    exists_with_different_timeout: 409,
    exists_with_different_code: 409,
    exists: 200,
    overflows_debits_pending: 422,
    overflows_credits_pending: 422,
    overflows_debits_posted: 422,
    overflows_credits_posted: 422,
    overflows_debits: 422,
    overflows_credits: 422,
    exceeds_credits: 422,
    exceeds_debits: 422,
    exists_with_different_ledger: 409,
    id_already_failed: 409,
    pending_transfer_not_found: 404,
    pending_transfer_not_pending: 422,
    pending_transfer_has_different_debit_account_id: 422,
    pending_transfer_has_different_credit_account_id: 422,
    pending_transfer_has_different_ledger: 422,
    pending_transfer_has_different_code: 422,
    exceeds_pending_transfer_amount: 422,
    pending_transfer_has_different_amount: 422,
    pending_transfer_already_posted: 409,
    pending_transfer_already_voided: 409,
    pending_transfer_expired: 409,
    overflows_timeout: 422,
    imported_event_expected: 400,
    imported_event_not_expected: 400,
    imported_event_timestamp_out_of_range: 400,
    imported_event_timestamp_must_not_advance: 422,
    imported_event_timestamp_must_not_regress: 422,
    imported_event_timestamp_must_postdate_debit_account: 422,
    imported_event_timestamp_must_postdate_credit_account: 422,
    imported_event_timeout_must_be_zero: 400,
    closing_transfer_must_be_pending: 400,
    debit_account_already_closed: 409,
    credit_account_already_closed: 409,
  };

  test.each(Object.entries(ACCOUNT_HTTP))('account status %s is %i', (name, http) => {
    expect(statusHttp(accounts, AccountStatus[name as keyof typeof AccountStatus])).toBe(http);
  });

  test.each(Object.entries(TRANSFER_HTTP))('transfer status %s is %i', (name, http) => {
    expect(statusHttp(transfers, TransferStatus[name as keyof typeof TransferStatus])).toBe(http);
  });

  test('a number that is no status is a bug', () => {
    expect(() => statusHttp(accounts, 99)).toThrow('known statuses');
    expect(() => statusHttp(transfers, 18)).toThrow('known statuses');
  });
});
