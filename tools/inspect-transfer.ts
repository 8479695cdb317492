/**
 * All that the journals say of a transfer id: every try with its outcome, the record, and what ended it. Reads all journals once, and says what it
 * could not read of them: it may be there.
 */
import { Transfer } from '../engine/batch.ts';
import { Group } from '../engine/group.ts';
import { FrameRows } from '../query/frame-rows.ts';
import { idOf } from './arguments.ts';
import type { Capture } from './capture.ts';
import { damageIn, knownDamage } from './damaged-shard.ts';
import { type FrameRow, FrameText, recordObject, rowObject } from './frame-text.ts';
import { formatTime } from './moment.ts';
import { damageText } from './replay.ts';
import { EXIT } from './run-tool.ts';
import { awayText, type RowsAway, rowsAtHand, segmentsAtHand } from './segments-at-hand.ts';
import type { ShardDamage } from './shard-task.ts';
import type { Sink, ToolOutput } from './sink.ts';
import { columnsOf, writeTable } from './table.ts';

interface Appearance {
  readonly shard: number;
  readonly sequence: number;
  readonly row: FrameRow;
}

/** What one shard says of the id, and what of it could not be read. */
interface Look {
  readonly found: readonly Appearance[];
  readonly away: readonly RowsAway[];
  readonly damage: ShardDamage | undefined;
}

// oxlint-disable-next-line max-params -- Where to, from what, what, and where else.
export function inspectTransfer(
  sink: Sink,
  capture: Capture,
  { id, json }: { readonly id: string; readonly json: boolean },
  output: ToolOutput,
): number {
  const words = idOf(id, '--transfer');
  const looks = capture.shards.map((_, shard) => lookAt(capture, shard, words));
  const found = looks.flatMap((look) => look.found);
  const away = looks.flatMap((look) => look.away);
  const damages = looks.flatMap(({ damage }) => damage ?? []);
  if (json) {
    const appearances = found.map(({ shard, sequence, row }) => {
      return { shard, sequence, ...rowObject(row) };
    });
    const document = { type: 'transfer', id, appearances, not_read: away, damages };
    sink.line(JSON.stringify(document));
  } else if (found.length > 0) writeAppearances(sink, found);
  for (const damage of damages) output.log(`sycee: ${damageText(damage)}`);
  for (const rows of away) output.log(`sycee: ${awayText(rows)}`);
  const isWhole = damages.length === 0 && away.length === 0;
  if (found.length === 0 && !json) {
    output.log(
      isWhole
        ? `sycee: No journal of ${capture.directory} names transfer ${id}. Check the id.`
        : `sycee: What could be read of ${capture.directory} does not name transfer ${id}.`,
    );
  }
  if (damages.length > 0) return EXIT.damaged;
  return isWhole && found.length > 0 ? EXIT.done : EXIT.failed;
}

function writeAppearances(sink: Sink, found: readonly Appearance[]): void {
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
}

/** On one shard: rows of transfers with the id, and those that end it, up to where it is damaged. */
function lookAt(capture: Capture, shard: number, id: Uint32Array): Look {
  const found: Appearance[] = [];
  let away: readonly RowsAway[] = [];
  const known = knownDamage(capture, shard);
  try {
    const atHand = segmentsAtHand(capture, shard);
    ({ away } = atHand);
    if (capture.shards[shard]!.damage === undefined) {
      const { shards } = capture.meta;
      const group = new Group();
      const rows = new FrameRows(shard, shards);
      for (const { sequence, frame } of rowsAtHand(capture, shard, atHand)) {
        const own = Uint8Array.from(frame);
        rows.open(new Uint32Array(own.buffer));
        const numbers = rowsNaming(rows, id);
        if (numbers.length === 0) continue;
        const text = new FrameText(frame, sequence, { group, shards });
        for (const number of numbers) {
          const row = text.row(number);
          if (row.kind !== 'account') found.push({ shard, sequence, row });
        }
      }
    }
    return { found, away, damage: known };
  } catch (error: unknown) {
    return { found, away, damage: known ?? damageIn(error, shard) };
  }
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
