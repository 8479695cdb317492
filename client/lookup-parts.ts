/**
 * Look-ups whose answer would be longer than a message may be, asked for in parts: rows are found by their ids, so the parts one after the other are the whole.
 */
import { ROW_BYTES, ROW_WORDS, type Batch, batchOfColumns } from '../engine/batch.ts';
import type { Position, RowsReply } from '../engine/reply.ts';
import { columnsOfBatch } from '../gateway/batch-columns.ts';

const ID_BYTES = 16;
/** Of each row: the record, and what became of a pending transfer. */
const ANSWER_ROW_BYTES = ROW_BYTES + 1;
/** Names of fields, and the positions of 64 shards. */
const ANSWER_FRAME_BYTES = 8192;

/** Rows of which an answer of so many bytes certainly has room; one at least. */
export function answerRowsMax(bytes: number): number {
  return Math.max(1, Math.floor((bytes - ANSWER_FRAME_BYTES) / ANSWER_ROW_BYTES));
}

/** The ids in order, at most so many in each part. */
export function partsOfIds(ids: Batch, rowsMax: number): readonly Batch[] {
  if (ids.n <= rowsMax) return [ids];
  const [column] = columnsOfBatch(ids);
  const parts: Batch[] = [];
  for (let from = 0; from < ids.n; from += rowsMax) {
    const n = Math.min(rowsMax, ids.n - from);
    // An absent column is the id 0 throughout, a constant one another id.
    const isWhole = column === undefined || column.constant;
    const bytes = isWhole
      ? column?.bytes
      : column.bytes.subarray(from * ID_BYTES, (from + n) * ID_BYTES);
    const own = bytes === undefined ? [] : [{ column: 0, constant: isWhole, bytes }];
    parts.push(batchOfColumns(ids.kind, n, own));
  }
  return parts;
}

/** What was found, as one answer. Of each shard it has the eldest position: nothing in it is older. */
export function joinedRows(replies: readonly RowsReply[]): RowsReply {
  const [first] = replies;
  if (replies.length === 1) return first!;
  const n = replies.reduce((sum, one) => sum + one.n, 0);
  const rows = new Uint32Array(n * ROW_WORDS);
  const pendingStatuses = new Uint8Array(n);
  const positions = new Map<number, Position>();
  let at = 0;
  for (const reply of replies) {
    rows.set(reply.rows.subarray(0, reply.n * ROW_WORDS), at * ROW_WORDS);
    pendingStatuses.set(reply.pendingStatuses ?? [], at);
    at += reply.n;
    for (const position of reply.positions) {
      const known = positions.get(position.shard);
      if (known === undefined || position.sequence < known.sequence) {
        positions.set(position.shard, position);
      }
    }
  }
  const byShard = [...positions.values()].toSorted((one, two) => one.shard - two.shard);
  const hasStatuses = first!.pendingStatuses !== undefined;
  return { n, rows, ...(hasStatuses ? { pendingStatuses } : {}), positions: byShard };
}
