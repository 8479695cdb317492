/**
 * The given fields of a filter: each value held to its field, and all of them made a filter. Where they were read is `parse-filter.ts`.
 *
 * Defaults: `limit` QUERY_LIMIT_DEFAULT, and without `flags` both sides of an account.
 */
import { assert } from '../engine/assert.ts';
import {
  type AccountFilter,
  type ChangesFilter,
  QUERY_LIMIT_DEFAULT,
  QUERY_LIMIT_MAX,
  type QueryFilter,
  type UserFilter,
} from '../engine/query.ts';
import { bigintOfUint128 } from '../engine/uint128.ts';
import type { Place } from './field-rules.ts';
import {
  CURSOR_CHARS_MAX,
  FILTER_FIELD_BITS,
  FILTER_RULES,
  FilterFlag,
  type FilterOf,
  type FilterRules,
  QUERY_REVERSED,
  type QueryOperation,
} from './wire-codec-filters.ts';

/** By field, as far as they were given. */
export type FilterValues = Map<string, bigint | string>;

/** The number in four words, as a value of the field that `place` names. */
export function checkedNumber(place: Place, rules: FilterRules, value: Uint32Array): bigint {
  const number = bigintOfUint128(value, 0);
  const bits = FILTER_FIELD_BITS.get(place.field)!;
  if (number >> BigInt(bits) !== 0n) {
    throw place.refusal('range', `is over ${bits === 64 ? '2^64 - 1' : 2 ** bits - 1}`);
  }
  if (place.field === 'flags' && number >> BigInt(rules.flags.names.length) !== 0n) {
    const names = rules.flags.names.map((name, bit) => `${name} ${1 << bit}`).join(', ');
    throw place.refusal('unknown_flag', `has a bit that means nothing here: there are ${names}`);
  }
  return number;
}

export function checkedCursor(place: Place, text: string): string {
  if (text.length > CURSOR_CHARS_MAX || !/^[\x21-\x7e]*$/.test(text)) {
    throw place.refusal('cursor', 'must be the next of an earlier answer, as it was');
  }
  return text;
}

const FILTERS: {
  readonly [O in QueryOperation]: (values: FilterValues, place: Place) => FilterOf<O>;
} = {
  get_account_transfers: accountFilter,
  get_account_balances: accountFilter,
  query_accounts: queryFilter,
  query_transfers: queryFilter,
  get_change_events: changesFilter,
};

export function filterOf<O extends QueryOperation>(
  operation: O,
  values: FilterValues,
  place: Place,
): FilterOf<O> {
  const { required } = FILTER_RULES[operation];
  if (required !== undefined && !values.has(required)) {
    place.open('');
    place.field = required;
    throw place.refusal('missing_field', 'must be given');
  }
  return FILTERS[operation](values, place);
}

function numberOf(values: FilterValues, name: string): bigint {
  const value = values.get(name) ?? 0n;
  assert(typeof value === 'bigint', 'a number was read as a number');
  return value;
}

function accountFilter(values: FilterValues, place: Place): AccountFilter {
  const both = BigInt(FilterFlag.debits | FilterFlag.credits);
  const flags = Number(values.has('flags') ? numberOf(values, 'flags') : both);
  return {
    accountId: numberOf(values, 'account_id'),
    ...userFilter(values),
    ...changesFilter(values, place),
    debits: (flags & FilterFlag.debits) !== 0,
    credits: (flags & FilterFlag.credits) !== 0,
    reversed: (flags & FilterFlag.reversed) !== 0,
  };
}

function queryFilter(values: FilterValues, place: Place): QueryFilter {
  return {
    ...userFilter(values),
    ledger: Number(numberOf(values, 'ledger')),
    ...changesFilter(values, place),
    // By either name.
    reversed: (numberOf(values, 'flags') | numberOf(values, 'reversed')) === BigInt(QUERY_REVERSED),
  };
}

function userFilter(values: FilterValues): UserFilter {
  return {
    userData128: numberOf(values, 'user_data_128'),
    userData64: numberOf(values, 'user_data_64'),
    userData32: Number(numberOf(values, 'user_data_32')),
    code: Number(numberOf(values, 'code')),
  };
}

function changesFilter(values: FilterValues, place: Place): ChangesFilter {
  const limit = values.has('limit') ? Number(numberOf(values, 'limit')) : QUERY_LIMIT_DEFAULT;
  if (limit > QUERY_LIMIT_MAX) {
    place.open('');
    place.field = 'limit';
    throw place.refusal('range', `is over ${QUERY_LIMIT_MAX}: ask for several pages`);
  }
  return {
    timestampMin: numberOf(values, 'timestamp_min'),
    timestampMax: numberOf(values, 'timestamp_max'),
    limit,
    cursor: String(values.get('cursor') ?? ''),
  };
}
