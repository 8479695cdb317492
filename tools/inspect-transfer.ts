/** All that the journals say of a transfer id: every try with its outcome, the record, and what ended it. Reads all journals once. */
import { Transfer } from '../engine/batch.ts';
import { Group } from '../engine/group.ts';
import { FrameRows } from '../query/frame-rows.ts';
import { idOf } from './arguments.ts';
import type { Capture } from './capture.ts';
import { type FrameRow, FrameText, recordObject, rowObject } from './frame-text.ts';
import { formatTime } from './moment.ts';
import { EXIT } from './run-tool.ts';
import type { Sink, ToolOutput } from './sink.ts';
import { columnsOf, writeTable } from './table.ts';

interface Appearance {
  readonly shard: number;
  readonly sequence: number;
  readonly row: FrameRow;
}

// oxlint-disable-next-line max-params -- Where to, from what, what, and where else.
export function inspectTransfer(
  sink: Sink,
  capture: Capture,
  { id, json }: { readonly id: string; readonly json: boolean },
  output: ToolOutput,
): number {
  const words = idOf(id, '--transfer');
  const found = capture.shards.flatMap((_, shard) => appearances(capture, shard, words));
  if (json) {
    const rows = found.map(({ shard, sequence, row }) => ({ shard, sequence, ...rowObject(row) }));
    sink.line(JSON.stringify({ type: 'transfer', id, appearances: rows }));
    return found.length === 0 ? EXIT.failed : EXIT.done;
  }
  if (found.length === 0) {
    output.log(`sycee: No journal of ${capture.directory} names transfer ${id}. Check the id.`);
    return EXIT.failed;
  }
  const titles = 'shard# position from kind id# debit# credit# amount# flags outcome effect';
  writeTable(sink, columnsOf(titles), () =>
    found.map(({ shard, sequence, row }) => {
      const record = recordObject(row);
      return [
        String(shard),
        `${sequence}:${row.row}`,
        row.from,
        row.kind,
        String(record['id']),
        String(record['debit_account_id']),
        String(record['credit_account_id']),
        String(record['amount']),
        (record['flags'] as readonly string[]).join('|'),
        row.status ?? '',
        formatTime(row.effect),
      ];
    }),
  );
  return EXIT.done;
}

/** On one shard: rows of transfers with the id, and those that end it. */
function appearances(capture: Capture, shard: number, id: Uint32Array): readonly Appearance[] {
  const captured = capture.shards[shard]!;
  const { shards } = capture.meta;
  using journal = capture.journal(shard, captured);
  const group = new Group();
  const rows = new FrameRows(shard, shards);
  const found: Appearance[] = [];
  const last = captured.last ?? Number.MAX_SAFE_INTEGER;
  if (last === 0) return found;
  for (const { sequence, frame } of journal.rows(capture.firstSequence(shard))) {
    const own = Uint8Array.from(frame);
    rows.open(new Uint32Array(own.buffer));
    const numbers = rowsNaming(rows, id);
    if (numbers.length > 0) {
      const text = new FrameText(frame, sequence, { group, shards });
      for (const number of numbers) {
        const row = text.row(number);
        if (row.kind !== 'account') found.push({ shard, sequence, row });
      }
    }
    if (sequence === last) break;
  }
  return found;
}

function rowsNaming(rows: FrameRows, id: Uint32Array): readonly number[] {
  const found: number[] = [];
  while (rows.next()) {
    const { columns, n, firstRow } = rows;
    const { words, at, step } = columns;
    for (let i = 0; i < n; i++) {
      const idAt = at[Transfer.id]! + i * step[Transfer.id]!;
      const pendingAt = at[Transfer.pendingId]! + i * step[Transfer.pendingId]!;
      if (isAt(words, idAt, id) || isAt(words, pendingAt, id)) found.push(firstRow + i);
    }
  }
  return found;
}

function isAt(words: Uint32Array, at: number, id: Uint32Array): boolean {
  return (
    words[at] === id[0] &&
    words[at + 1] === id[1] &&
    words[at + 2] === id[2] &&
    words[at + 3] === id[3]
  );
}
