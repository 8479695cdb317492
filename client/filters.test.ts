import { expect, test } from 'vitest';
import { accountFilterOf, changesFilterOf, queryFilterOf } from './filters.ts';

test('what is left out asks for nothing, and for both sides of an account', () => {
  expect(accountFilterOf({ accountId: 5n })).toEqual({
    accountId: 5n,
    userData128: 0n,
    userData64: 0n,
    userData32: 0,
    code: 0,
    timestampMin: 0n,
    timestampMax: 0n,
    limit: 100,
    debits: true,
    credits: true,
    reversed: false,
    cursor: '',
  });
  expect(changesFilterOf({ cursor: null })).toEqual({
    timestampMin: 0n,
    timestampMax: 0n,
    limit: 100,
    cursor: '',
  });
  expect(queryFilterOf({ ledger: 3, limit: 7, reversed: true, cursor: 'x' })).toMatchObject({
    ledger: 3,
    limit: 7,
    reversed: true,
    cursor: 'x',
  });
});

test('one side of an account is that side', () => {
  expect(accountFilterOf({ accountId: 5n, debits: true })).toMatchObject({
    debits: true,
    credits: false,
  });
  expect(accountFilterOf({ accountId: 5n, reversed: true })).toMatchObject({
    debits: true,
    credits: true,
  });
  expect(accountFilterOf({ accountId: 5n, debits: false, credits: false })).toMatchObject({
    debits: false,
    credits: false,
  });
});

test.each([
  ['no account', {}, 'accountId'],
  ['an account that is a number', { accountId: 1 }, 'accountId'],
  ['an account of 129 bits', { accountId: 2n ** 128n }, 'accountId'],
  ['a negative account', { accountId: -1n }, 'accountId'],
  ['a field of queries', { accountId: 1n, ledger: 1 }, 'ledger'],
  ['a field of the wire', { accountId: 1n, user_data_64: 1n }, 'user_data_64'],
  ['a page too long', { accountId: 1n, limit: 8190 }, 'limit'],
  ['half a page', { accountId: 1n, limit: 0.5 }, 'limit'],
  ['a code of 17 bits', { accountId: 1n, code: 65_536 }, 'code'],
  ['a time that is a number', { accountId: 1n, timestampMin: 5 }, 'timestampMin'],
  ['a switch that is a number', { accountId: 1n, reversed: 1 }, 'reversed'],
  ['a cursor that is a number', { accountId: 1n, cursor: 1 }, 'cursor'],
])('%s is refused with its field', (_what, input, field) => {
  expect(() => accountFilterOf(input as { accountId: bigint })).toThrow(
    expect.objectContaining({ code: 'malformed_request', field }),
  );
});
