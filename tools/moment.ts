/**
 * Moments: a sequence of one shard, or a time. Times are nanoseconds since 1970 in UTC; they are written in ISO 8601 with all nine digits, and read
 * in that form with any precision, or as nanoseconds. No sequence is as large as the nanoseconds of any time since 1970-01-01T00:18:20Z; a number
 * between both, as milliseconds and microseconds are, is refused.
 */
import { SEQUENCE_MAX } from '../engine/limits.ts';
import { UINT64_MAX } from '../engine/uint128.ts';
import { UsageError } from './usage.ts';

export type Moment =
  | { readonly type: 'sequence'; readonly sequence: number }
  | { readonly type: 'time'; readonly time: bigint };

const ISO =
  /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d{2}:?\d{2})?)?$/;
const BILLION = 1_000_000_000n;
/** 1973-03-03. No ledger is older, and the microseconds of any time until the year 5138 are less. */
const NS_MIN = 10n ** 17n;

/** `flag` is named in the refusal. */
export function parseMoment(text: string, flag: string): Moment {
  if (/^\d+$/.test(text)) {
    const value = BigInt(text);
    if (value <= BigInt(SEQUENCE_MAX)) return { type: 'sequence', sequence: Number(value) };
    if (value < NS_MIN) throw notNanoseconds(text, flag);
    if (value <= UINT64_MAX) return { type: 'time', time: value };
  }
  const match = ISO.exec(text);
  const time = match === null ? undefined : timeOf(match);
  if (time === undefined) {
    throw new UsageError(
      `${flag} "${text}" is neither a sequence, nor a time as 2026-11-25T19:37:58.123456789Z, nor nanoseconds since 1970`,
    );
  }
  return { type: 'time', time };
}

/** A moment of all shards: a time. */
export function parseTime(text: string, flag: string): bigint {
  const moment = parseMoment(text, flag);
  if (moment.type === 'sequence') throw notNanoseconds(text, flag);
  return moment.time;
}

function notNanoseconds(text: string, flag: string): UsageError {
  return new UsageError(
    `${flag} ${text} is no time: as a number a time is nanoseconds since 1970, of 18 or 19 digits, and not seconds, milliseconds, or a sequence; ` +
      'or write it as 2026-11-25T19:37:58Z',
  );
}

function timeOf([, date, minutes, seconds, fraction, zone]: RegExpExecArray): bigint | undefined {
  const offset = zone === undefined || /^z$/i.test(zone) ? 'Z' : zone.replace(/^(...):?/, '$1:');
  const text = `${date}T${minutes ?? '00:00'}:${seconds ?? '00'}`;
  // Date takes the 31st of every month, and 24:00; a moment that is not written as it is meant is none.
  const asWritten = new Date(`${text}Z`);
  if (Number.isNaN(asWritten.getTime()) || !asWritten.toISOString().startsWith(text)) {
    return undefined;
  }
  const ms = new Date(`${text}${offset}`).getTime();
  if (Number.isNaN(ms) || ms < 0) return undefined;
  return BigInt(ms) * 1_000_000n + BigInt((fraction ?? '').padEnd(9, '0'));
}

/** 2026-11-25T19:37:58.123456789Z */
export function formatTime(time: bigint): string {
  const seconds = time / BILLION;
  const fraction = String(time % BILLION).padStart(9, '0');
  const date = new Date(Number(seconds) * 1000);
  return `${date.toISOString().slice(0, -5)}.${fraction}Z`;
}
