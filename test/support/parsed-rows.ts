/** What tests of the parsers share: batches as rows of bigints, and refusals as text. */
import { type Batch, BatchKind, COLUMN_BYTES, Columns, ROW_WORDS } from '../../engine/batch.ts';
import { bigintOfUint128, bigintOfUint64, writeUint128 } from '../../engine/uint128.ts';
import { rulesOf } from '../../gateway/field-rules.ts';
import { parseCreate, parseLookup } from '../../gateway/parse-command.ts';
import { SyceeError } from '../../lib/sycee-error.ts';

export const KINDS = [BatchKind.accounts, BatchKind.transfers] as const;

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Every row of a batch as 13 bigints, so that differently encoded batches can be compared. */
export function rowsOf(batch: Batch): bigint[][] {
  const words = new Uint32Array(batch.words.length + 4);
  words.set(batch.words);
  const columns = new Columns();
  columns.openBatch(words, new Uint16Array(words.buffer), 0, batch.words.length);
  const row = new Uint32Array(ROW_WORDS);
  return Array.from({ length: batch.n }, (_, i) => {
    columns.copyRow(i, row, 0);
    return fieldsOf(row);
  });
}

function fieldsOf(row: Uint32Array): bigint[] {
  const u32 = (word: number): bigint => BigInt(row[word]!);
  return [
    ...[0, 4, 8, 12, 16, 20].map((word) => bigintOfUint128(row, word)),
    bigintOfUint64(row, 24),
    ...[26, 27, 28].map(u32),
    u32(29) & 0xffffn,
    u32(29) >> 16n,
    bigintOfUint64(row, 30),
  ];
}

export function refusal(run: () => unknown): SyceeError {
  try {
    run();
  } catch (error: unknown) {
    if (error instanceof SyceeError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

export const refused = (
  body: string | Uint8Array,
  kind: BatchKind = BatchKind.transfers,
): string => {
  const error = refusal(() => parseCreate(kind, typeof body === 'string' ? utf8(body) : body));
  return `${error.code} ${error.field ?? '-'} ${error.rule ?? '-'}`;
};

export const refusedLookup = (body: string | Uint8Array): string => {
  const error = refusal(() => parseLookup(typeof body === 'string' ? utf8(body) : body));
  return `${error.code} ${error.field ?? '-'} ${error.rule ?? '-'}`;
};

/** The value that a body of one field gives its column, or the rule that it breaks in that field. */
export function outcome(kind: BatchKind, body: Uint8Array, column: number): bigint | string {
  try {
    return rowsOf(parseCreate(kind, body).batch)[0]![column]!;
  } catch (error: unknown) {
    if (!(error instanceof SyceeError)) throw error;
    const isNamed = error.field === rulesOf(kind).fields.names[column];
    return isNamed ? String(error.rule) : `${error.rule} of ${error.field}`;
  }
}

export const bytes16 = (value: bigint): Uint8Array => {
  const words = new Uint32Array(4);
  writeUint128(value, words, 0);
  return new Uint8Array(words.buffer);
};

export const concat = (...parts: (Uint8Array | readonly number[])[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

export const maxOf = (column: number): bigint => (1n << BigInt(COLUMN_BYTES[column]! * 8)) - 1n;
export const columnsOf = (kind: BatchKind): [number, string][] => [
  ...rulesOf(kind).fields.names.entries(),
];
