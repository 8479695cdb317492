/**
 * JSON text of replies, by concatenation: names and digits only, so nothing needs an escape. u128 and u64 are decimal strings, smaller
 * fields are numbers, flags are names.
 */
import { assert } from '../engine/assert.ts';
import {
  BatchKind,
  COLUMN_BYTES,
  COLUMN_OFFSETS,
  COLUMNS,
  ROW_WORDS,
  Transfer,
} from '../engine/batch.ts';
import { PENDING_STATUS_NAMES } from '../engine/query.ts';
import type { CreateReply, Position } from '../engine/reply.ts';
import { ACCOUNT_STATUS_NAMES, TRANSFER_STATUS_NAMES } from '../engine/status.ts';
import { formatUint128, formatUint64 } from '../engine/uint128.ts';
import { type KindRules, rulesOf } from './field-rules.ts';

export type PendingStatusName = (typeof PENDING_STATUS_NAMES)[number];

export function statusName(kind: BatchKind, status: number): string {
  const names = kind === BatchKind.accounts ? ACCOUNT_STATUS_NAMES : TRANSFER_STATUS_NAMES;
  const name = names[status];
  assert(name !== undefined, 'a reply holds known statuses');
  return name;
}

/** `"status":"created","timestamp":"1"` of one event, without braces. */
// Hot path.
export function formatResult(kind: BatchKind, reply: CreateReply, i: number): string {
  const name = statusName(kind, reply.statuses[i]!);
  return `"status":"${name}","timestamp":"${reply.timestamps[i]!.toString()}"`;
}

export function formatPositions(positions: readonly Position[]): string {
  let text = '[';
  for (let i = 0; i < positions.length; i++) {
    const { shard, sequence, timestamp } = positions[i]!;
    if (i > 0) text += ',';
    text += `{"shard":${shard},"sequence":${sequence},"timestamp":"${timestamp}"}`;
  }
  return `${text}]`;
}

/** Row i as an object with every field. */
export function formatRow(kind: BatchKind, rows: Uint32Array, i: number): string {
  return `{${formatFields(kind, rows, i)}}`;
}

/** A stored transfer: its fields, and what became of it. */
export function formatTransfer(rows: Uint32Array, i: number, pendingStatus: number): string {
  const fields = formatFields(BatchKind.transfers, rows, i);
  return `{${fields},"pending_status":"${pendingStatusName(pendingStatus)}"}`;
}

export function pendingStatusName(status: number): PendingStatusName {
  const name = PENDING_STATUS_NAMES[status];
  assert(name !== undefined, 'a reply holds known pending statuses');
  return name;
}

export function formatFields(kind: BatchKind, rows: Uint32Array, i: number): string {
  const rules = rulesOf(kind);
  let text = '';
  for (let column = 0; column < COLUMNS; column++) {
    if (column > 0) text += ',';
    text += `"${rules.fields.names[column]!}":${formatField(rules, rows, i, column)}`;
  }
  return text;
}

function formatField(rules: KindRules, rows: Uint32Array, i: number, column: number): string {
  const word = i * ROW_WORDS + (COLUMN_OFFSETS[column]! >> 2);
  if (column === Transfer.flags) {
    const names = flagNames(rules, smallField(rows, i, column));
    return names.length === 0 ? '[]' : `["${names.join('","')}"]`;
  }
  switch (COLUMN_BYTES[column]!) {
    case 16:
      return `"${formatUint128(rows, word)}"`;
    case 8:
      return `"${formatUint64(rows, word)}"`;
    default:
      return String(smallField(rows, i, column));
  }
}

/** A field of 16 or 32 bits of row i. */
export function smallField(rows: Uint32Array, i: number, column: number): number {
  const word = rows[i * ROW_WORDS + (COLUMN_OFFSETS[column]! >> 2)]!;
  if (COLUMN_BYTES[column] === 4) return word;
  return column === Transfer.flags ? word >>> 16 : word & 0xffff;
}

/** Flags are stored only when they are defined, so every bit has a name. */
function flagNames(rules: KindRules, flags: number): readonly string[] {
  return rules.flags.names.filter((_, bit) => (flags & (1 << bit)) !== 0);
}
