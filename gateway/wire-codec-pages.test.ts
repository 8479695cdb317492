import { Unpackr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { decodeJsonPage } from '../client/json-pages.ts';
import { ROW_WORDS } from '../engine/batch.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { decodePage } from './columnar-codec.ts';
import { rulesOf } from './field-rules.ts';
import {
  emptyPage,
  type PageOf,
  QUERY_OPERATIONS,
  type QueryOperation,
} from './wire-codec-filters.ts';
import { encodePage, LIST_NAMES, rowBytesMax } from './wire-codec-pages.ts';

const unpackr = new Unpackr({ useRecords: false });
const JSON_FORM = { encoding: 'json', hasColumns: false } as const;
const MAPS = { encoding: 'msgpack', hasColumns: false } as const;
const COLUMNS = { encoding: 'msgpack', hasColumns: true } as const;
const FORMS = [JSON_FORM, MAPS, COLUMNS];
const N = 5;

/** Words that all differ. Reserved fields are 0, and flags mean something. */
function someRows(seed: number, isAccount: boolean): Uint32Array {
  const rows = new Uint32Array(N * ROW_WORDS);
  for (let i = 0; i < rows.length; i++) rows[i] = Math.imul(i + 1 + seed * 1000, 0x9e3779b1) >>> 0;
  for (let i = 0; i < N; i++) {
    rows[i * ROW_WORDS + 29] = (rows[i * ROW_WORDS + 29]! & 0xffff) | (i << 16);
    if (isAccount) rows[i * ROW_WORDS + 27] = 0;
  }
  return rows;
}

const stamps = (first: bigint): BigUint64Array =>
  BigUint64Array.from({ length: N }, (_, i) => first + BigInt(i) * 2n ** 60n);
const rest = {
  n: N,
  next: 'cursor-of_what.follows',
  positions: [{ shard: 3, sequence: 2 ** 40 - 1, timestamp: 2n ** 63n }],
};
const pendingStatuses = Uint8Array.of(0, 1, 2, 3, 4);
const transfers = someRows(1, false);
const accounts = someRows(2, true);

const PAGES: { readonly [O in QueryOperation]: PageOf<O> } = {
  get_account_transfers: {
    ...rest,
    rows: transfers,
    pendingStatuses,
    effectTimestamps: stamps(1n),
  },
  get_account_balances: {
    ...rest,
    balances: transfers.slice(0, N * 16),
    timestamps: stamps(0n),
    effectTimestamps: stamps(7n),
  },
  query_accounts: { ...rest, rows: accounts },
  query_transfers: { ...rest, next: null, rows: transfers, pendingStatuses },
  get_change_events: {
    ...rest,
    types: Uint8Array.of(4, 3, 2, 1, 0),
    timestamps: stamps(9n),
    transfers,
    debitAccounts: accounts,
    creditAccounts: someRows(3, true),
  },
};

describe('pages', () => {
  test.each(QUERY_OPERATIONS)('a page of %s comes back as it was', (operation) => {
    for (const page of [PAGES[operation], emptyPage(operation)]) {
      const columns = encodePage(operation, COLUMNS, page) as Uint8Array;
      expect(decodePage(operation, columns)).toEqual(page);
      const json = new TextEncoder().encode(encodePage(operation, JSON_FORM, page) as string);
      expect(decodeJsonPage(operation, json)).toEqual(page);
    }
  });

  test.each(QUERY_OPERATIONS)('JSON and maps of %s say the same', (operation) => {
    const json: unknown = JSON.parse(encodePage(operation, JSON_FORM, PAGES[operation]) as string);
    const maps: unknown = unpackr.unpack(
      encodePage(operation, MAPS, PAGES[operation]) as Uint8Array,
    );
    expect(readable(maps)).toEqual(readable(json));
  });

  test('the rows have the fields of their kind, and what is told beside them', () => {
    const keys = (operation: QueryOperation, ...path: string[]): string[] => {
      const text = encodePage(operation, JSON_FORM, PAGES[operation]) as string;
      const answer = JSON.parse(text) as Record<string, Record<string, object>[]>;
      expect(Object.keys(answer)).toEqual([LIST_NAMES[operation], 'next', 'positions']);
      let row: object = answer[LIST_NAMES[operation]]![0]!;
      for (const name of path) row = (row as Record<string, object>)[name]!;
      return Object.keys(row);
    };
    const transferNames = rulesOf(2).fields.names;
    const accountNames = rulesOf(1).fields.names;
    expect(keys('get_account_transfers')).toEqual([
      ...transferNames,
      'pending_status',
      'effect_timestamp',
    ]);
    expect(keys('get_account_balances')).toEqual([
      ...accountNames.slice(1, 5),
      'timestamp',
      'effect_timestamp',
    ]);
    expect(keys('query_accounts')).toEqual(accountNames);
    expect(keys('query_transfers')).toEqual([...transferNames, 'pending_status']);
    expect(keys('get_change_events')).toEqual([
      'type',
      'timestamp',
      'transfer',
      'debit_account',
      'credit_account',
    ]);
    expect(keys('get_change_events', 'transfer')).toEqual(transferNames);
    expect(keys('get_change_events', 'credit_account')).toEqual(accountNames);
  });

  test.each(QUERY_OPERATIONS)(
    'no row of %s is longer than what is reckoned for it',
    (operation) => {
      for (const form of FORMS) {
        const bytes = encodePage(operation, form, PAGES[operation]).length;
        const bare = encodePage(operation, form, emptyPage(operation)).length;
        expect(bytes - bare).toBeLessThanOrEqual(N * rowBytesMax(operation, form) + 64);
        expect(rowBytesMax(operation, form)).toBeGreaterThan(64);
      }
    },
  );

  test('an answer that cannot be read is unknown', () => {
    const whole = encodePage('query_accounts', COLUMNS, PAGES.query_accounts) as Uint8Array;
    for (const bytes of [whole.subarray(0, 60), new Uint8Array(0), Uint8Array.of(0x80)]) {
      expect(() => decodePage('query_accounts', bytes)).toThrow(SyceeError);
    }
    expect(() => decodePage('query_transfers', whole)).toThrow('no column debit_account_id');
    expect(() => decodePage('get_change_events', whole)).toThrow('no column type');
    for (const text of [
      '',
      '[]',
      '{"accounts":[]}',
      '{"accounts":[1],"next":null,"positions":[]}',
      '{"accounts":[{"id":"x"}],"next":null,"positions":[]}',
      '{"accounts":[{"id":1.5}],"next":null,"positions":[]}',
      '{"accounts":[],"next":1,"positions":[]}',
    ]) {
      const bytes = new TextEncoder().encode(text);
      expect(() => decodeJsonPage('query_accounts', bytes)).toThrow(
        expect.objectContaining({ code: 'unknown' }),
      );
    }
    const odd = '{"changes":[{"type":"x","timestamp":"1"}],"next":null,"positions":[]}';
    expect(() => decodeJsonPage('get_change_events', new TextEncoder().encode(odd))).toThrow(
      'type x is not known',
    );
  });
});

/** Numbers as decimal text, bins as numbers, flags as bits. */
function readable(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    let number = 0n;
    for (const byte of [...value].toReversed()) number = (number << 8n) | BigInt(byte);
    return String(number);
  }
  if (typeof value === 'bigint' || typeof value === 'number') return String(value);
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      name === 'flags' ? readable(bitsOf(each, 'debit_account_id' in value)) : readable(each),
    ]),
  );
}

function bitsOf(flags: unknown, isTransfer: boolean): unknown {
  if (!Array.isArray(flags)) return flags;
  const { names } = rulesOf(isTransfer ? 2 : 1).flags;
  return (flags as string[]).reduce((bits, name) => bits | (1 << names.indexOf(name)), 0);
}
