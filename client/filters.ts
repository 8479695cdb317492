/**
 * Filters as callers write them, made the filters that a ledger is asked with: what is left out asks for nothing, and a field that is
 * unknown or not a whole number within its width is refused here, before anything is sent.
 */
import {
  type AccountFilter,
  type ChangesFilter,
  QUERY_LIMIT_DEFAULT,
  QUERY_LIMIT_MAX,
  type QueryFilter,
} from '../engine/query.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { isRecord } from './rows.ts';

export interface PageInput {
  /** Nanoseconds, inclusive. */
  readonly timestampMin?: bigint | undefined;
  readonly timestampMax?: bigint | undefined;
  /** Rows of a page: 100 unless given, 8189 at most. A page may have fewer and still be followed by another. */
  readonly limit?: number | undefined;
  /** The `next` of an earlier answer to the same filter; null and nothing begin at the beginning. */
  readonly cursor?: string | null | undefined;
}

interface UserInput {
  readonly userData128?: bigint | undefined;
  readonly userData64?: bigint | undefined;
  readonly userData32?: number | undefined;
  readonly code?: number | undefined;
  /** The newest first. */
  readonly reversed?: boolean | undefined;
}

/** Of one account. Both sides unless one is named. */
export interface AccountFilterInput extends PageInput, UserInput {
  readonly accountId: bigint;
  readonly debits?: boolean | undefined;
  readonly credits?: boolean | undefined;
}

/** Every given field must match. */
export interface QueryFilterInput extends PageInput, UserInput {
  readonly ledger?: number | undefined;
}

const WIDE_BITS = new Map([
  ['accountId', 128],
  ['userData128', 128],
  ['userData64', 64],
  ['timestampMin', 64],
  ['timestampMax', 64],
]);
const NARROW_BITS = new Map([
  ['userData32', 32],
  ['ledger', 32],
  ['code', 16],
  ['limit', 32],
]);
const SWITCHES = new Set(['debits', 'credits', 'reversed']);

const PAGE_NAMES = ['timestampMin', 'timestampMax', 'limit', 'cursor'];
const USER_NAMES = ['userData128', 'userData64', 'userData32', 'code', 'reversed'];
const ACCOUNT_NAMES = new Set([...PAGE_NAMES, ...USER_NAMES, 'accountId', 'debits', 'credits']);
const QUERY_NAMES = new Set([...PAGE_NAMES, ...USER_NAMES, 'ledger']);
const CHANGES_NAMES = new Set(PAGE_NAMES);

export function accountFilterOf(input: AccountFilterInput): AccountFilter {
  refuseUnsound(input, ACCOUNT_NAMES);
  if (input.accountId === undefined) throw refusal('accountId', 'must be given');
  const { debits, credits } = input;
  const isBoth = debits === undefined && credits === undefined;
  return {
    accountId: input.accountId,
    ...userFilterOf(input),
    ...pageOptionsOf(input),
    debits: isBoth || debits === true,
    credits: isBoth || credits === true,
  };
}

export function queryFilterOf(input: QueryFilterInput): QueryFilter {
  refuseUnsound(input, QUERY_NAMES);
  return { ...userFilterOf(input), ledger: input.ledger ?? 0, ...pageOptionsOf(input) };
}

export function changesFilterOf(input: PageInput): ChangesFilter {
  refuseUnsound(input, CHANGES_NAMES);
  return pageOptionsOf(input);
}

function userFilterOf(input: UserInput): Omit<QueryFilter, keyof ChangesFilter | 'ledger'> {
  return {
    userData128: input.userData128 ?? 0n,
    userData64: input.userData64 ?? 0n,
    userData32: input.userData32 ?? 0,
    code: input.code ?? 0,
    reversed: input.reversed ?? false,
  };
}

function pageOptionsOf(input: PageInput): ChangesFilter {
  return {
    timestampMin: input.timestampMin ?? 0n,
    timestampMax: input.timestampMax ?? 0n,
    limit: input.limit ?? QUERY_LIMIT_DEFAULT,
    cursor: input.cursor ?? '',
  };
}

function refuseUnsound(input: object, names: ReadonlySet<string>): void {
  if (!isRecord(input)) throw refusal('', 'an object with its fields');
  for (const [field, value] of Object.entries(input) as [string, unknown][]) {
    if (!names.has(field)) throw refusal(field, 'unknown field');
    if (value === undefined) continue;
    const rule = ruleBroken(field, value);
    if (rule !== undefined) throw refusal(field, rule);
  }
}

function ruleBroken(field: string, value: unknown): string | undefined {
  const wide = WIDE_BITS.get(field);
  if (wide !== undefined) {
    const isSound = typeof value === 'bigint' && BigInt.asUintN(wide, value) === value;
    return isSound ? undefined : `a bigint from 0 to 2^${wide} - 1`;
  }
  const narrow = NARROW_BITS.get(field);
  if (narrow !== undefined) {
    const max = field === 'limit' ? QUERY_LIMIT_MAX : 2 ** narrow - 1;
    const isWhole = typeof value === 'number' && Number.isInteger(value);
    return isWhole && value >= 0 && value <= max ? undefined : `a whole number from 0 to ${max}`;
  }
  if (SWITCHES.has(field)) return typeof value === 'boolean' ? undefined : 'true or false';
  return value === null || typeof value === 'string' ? undefined : 'the next of an earlier answer';
}

const refusal = (field: string, rule: string): SyceeError =>
  new SyceeError('malformed_request', `filter${field === '' ? '' : `, ${field}`}: ${rule}`, {
    field,
    rule,
  });
