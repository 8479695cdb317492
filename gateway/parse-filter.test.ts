import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { QUERY_LIMIT_DEFAULT, QUERY_LIMIT_MAX } from '../engine/query.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { HOSTILE_FILTERS, HOSTILE_QUERIES } from '../test/support/hostile-inputs.ts';
import { bytes16, refusal, utf8 } from '../test/support/parsed-rows.ts';
import { encodeFilter } from './columnar-codec.ts';
import { encodingOfBody } from './parse-command.ts';
import { parseFilter, parseFilterOfUrl, type ParsedFilter } from './parse-filter.ts';
import {
  fieldsOfFilter,
  type FilterOf,
  isVoidFilter,
  QUERY_OPERATIONS,
  type QueryOperation,
} from './wire-codec-filters.ts';

const packr = new Packr({ useRecords: false });

function parse<O extends QueryOperation>(
  operation: O,
  body: object | string | Uint8Array,
): ParsedFilter<O> {
  const isBytes = body instanceof Uint8Array;
  const bytes = isBytes ? body : utf8(typeof body === 'string' ? body : JSON.stringify(body));
  return parseFilter(operation, encodingOfBody(bytes), bytes);
}

const NONE = {
  userData128: 0n,
  userData64: 0n,
  userData32: 0,
  code: 0,
  timestampMin: 0n,
  timestampMax: 0n,
  limit: QUERY_LIMIT_DEFAULT,
  reversed: false,
  cursor: '',
};
const FULL_ACCOUNT: FilterOf<'get_account_transfers'> = {
  accountId: 2n ** 127n + 1n,
  userData128: 2n ** 128n - 1n,
  userData64: 2n ** 64n - 1n,
  userData32: 2 ** 32 - 1,
  code: 65_535,
  timestampMin: 1n,
  timestampMax: 2n ** 63n - 1n,
  limit: QUERY_LIMIT_MAX,
  debits: true,
  credits: false,
  reversed: true,
  cursor: 'AbC-_9.~!',
};
const { accountId: _, debits: _d, credits: _c, ...rest } = FULL_ACCOUNT;
const FULL_QUERY: FilterOf<'query_accounts'> = { ...rest, ledger: 2 ** 32 - 1 };
const FULL_CHANGES: FilterOf<'get_change_events'> = {
  timestampMin: 1n,
  timestampMax: 9n,
  limit: 3,
  cursor: 'x',
};
const FULL: { readonly [O in QueryOperation]: FilterOf<O> } = {
  get_account_transfers: FULL_ACCOUNT,
  get_account_balances: FULL_ACCOUNT,
  query_accounts: FULL_QUERY,
  query_transfers: FULL_QUERY,
  get_change_events: FULL_CHANGES,
};

describe('filters', () => {
  test.each(QUERY_OPERATIONS)('a filter of %s comes back as it was, in every form', (operation) => {
    const filter = FULL[operation];
    const fields = fieldsOfFilter(operation, filter);
    expect(parse(operation, fields)).toEqual({ filter, hasColumns: false });
    expect(parse(operation, packr.pack(fields))).toEqual({ filter, hasColumns: false });
    expect(parse(operation, encodeFilter(operation, filter))).toEqual({ filter, hasColumns: true });
    const { account_id: id, ...others } = fields;
    const query = new URLSearchParams(
      Object.entries(others).map(([name, value]) => [name, String(value)]),
    );
    const account = id === undefined ? undefined : BigInt(id);
    expect(parseFilterOfUrl(operation, query.toString(), account)).toEqual(filter);
  });

  test('what is left out asks for nothing, and for both sides of an account', () => {
    for (const body of [{ account_id: 7 }, packr.pack({ account_id: 7 })]) {
      expect(parse('get_account_balances', body).filter).toEqual({
        ...NONE,
        accountId: 7n,
        debits: true,
        credits: true,
      });
    }
    expect(parse('query_accounts', {}).filter).toEqual({ ...NONE, ledger: 0 });
    const { timestampMin, timestampMax, limit, cursor } = NONE;
    const changes = { timestampMin, timestampMax, limit, cursor };
    expect(parse('get_change_events', packr.pack({})).filter).toEqual(changes);
    expect(parseFilterOfUrl('get_change_events', '')).toEqual(changes);
    expect(parseFilterOfUrl('get_account_transfers', '', 7n)).toMatchObject({ debits: true });
  });

  test('flags are names or bits', () => {
    const sides = (flags: unknown): boolean[] => {
      const { filter } = parse('get_account_transfers', { account_id: 1, flags });
      return [filter.debits, filter.credits, filter.reversed];
    };
    expect(sides(['credits', 'reversed'])).toEqual([false, true, true]);
    expect(sides(6)).toEqual([false, true, true]);
    expect(sides([])).toEqual([false, false, false]);
    expect(sides(4)).toEqual([false, false, true]);
    const packed = packr.pack({ account_id: bytes16(1n), flags: ['debits'] });
    expect(parse('get_account_transfers', packed).filter).toMatchObject({
      accountId: 1n,
      debits: true,
      credits: false,
    });
    for (const flags of [['reversed'], 1]) {
      expect(parse('query_transfers', { flags }).filter.reversed).toBe(true);
    }
    for (const reversed of [true, false]) {
      for (const body of [{ reversed, limit: 5 }, packr.pack({ reversed })]) {
        expect(parse('query_accounts', body).filter.reversed).toBe(reversed);
      }
    }
    for (const query of ['flags=debits,reversed', 'flags=5', 'flags=debits%2Creversed']) {
      expect(parseFilterOfUrl('get_account_transfers', query, 1n)).toMatchObject({
        debits: true,
        credits: false,
        reversed: true,
      });
    }
  });
});

describe('what is refused', () => {
  test.each(HOSTILE_FILTERS.map(({ what, body }) => [what, body] as const))('%s', (_what, body) => {
    const error = refusal(() => parse('query_transfers', body));
    expect(error).toBeInstanceOf(SyceeError);
    expect(error.code).toBe('malformed_request');
    expect([typeof error.field, typeof error.rule]).toEqual(['string', 'string']);
    expect(error.message.length).toBeLessThan(400);
    expect(({} as { limit?: unknown }).limit).toBeUndefined();
  });

  test.each(HOSTILE_QUERIES)('?%.40s', (query) => {
    const error = refusal(() => parseFilterOfUrl('get_account_transfers', query, 1n));
    expect(error.code).toBe('malformed_request');
    expect([typeof error.field, typeof error.rule]).toEqual(['string', 'string']);
    expect(error.message.length).toBeLessThan(400);
  });

  test.each<readonly [QueryOperation, object, string]>([
    ['get_account_transfers', {}, 'account_id missing_field'],
    ['get_account_transfers', { account_id: 1, ledger: 1 }, 'ledger unknown_field'],
    ['get_account_balances', { account_id: 1, flags: 8 }, 'flags unknown_flag'],
    ['get_account_balances', { account_id: 1, limit: 8190 }, 'limit range'],
    ['query_transfers', { account_id: 1 }, 'account_id unknown_field'],
    ['query_transfers', { flags: ['debits'] }, 'flags unknown_flag'],
    ['query_transfers', { reversed: 1 }, 'reversed type'],
    ['get_account_balances', { account_id: 1, reversed: true }, 'reversed unknown_field'],
    ['query_accounts', { cursor: 'a b' }, 'cursor cursor'],
    ['get_change_events', { flags: 0 }, 'flags unknown_field'],
    ['get_change_events', { ledger: 1 }, 'ledger unknown_field'],
  ])('of %s: %j', (operation, body, expected) => {
    for (const each of [body, packr.pack(body)]) {
      const { field, rule } = refusal(() => parse(operation, each));
      expect(`${field} ${rule}`).toBe(expected);
    }
  });
});

describe('invalid filters', () => {
  const account = { accountId: 1n, ...NONE, debits: true, credits: true };

  test.each([
    ['the account 0', { ...account, accountId: 0n }, true],
    ['the account 2^128 - 1', { ...account, accountId: 2n ** 128n - 1n }, true],
    ['no side of an account', { ...account, debits: false, credits: false }, true],
    ['no rows', { ...account, limit: 0 }, true],
    ['an end before its beginning', { ...NONE, timestampMin: 5n, timestampMax: 4n }, true],
    ['a beginning past all time', { ...NONE, timestampMin: 2n ** 63n }, true],
    ['an end past all time', { ...NONE, timestampMax: 2n ** 64n - 1n }, true],
    ['one moment', { ...NONE, timestampMin: 5n, timestampMax: 5n }, false],
    ['a beginning without an end', { ...NONE, timestampMin: 2n ** 63n - 1n }, false],
    ['one side', { ...account, credits: false }, false],
    ['nothing at all', NONE, false],
  ])('%s', (_what, filter, isVoid) => {
    expect(isVoidFilter(filter)).toBe(isVoid);
  });
});
