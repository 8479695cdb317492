/** Shows a segment's rows, a group, or one row of a group. */
import { basename, dirname, resolve } from 'node:path';
import { Group } from '../engine/group.ts';
import { journalCorrupt } from '../persistence/errors.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import { viewSegment } from '../persistence/journal-view.ts';
import { segmentIdentity } from '../persistence/segment-reader.ts';
import { shardNumber } from './arguments.ts';
import type { Capture } from './capture.ts';
import { type FrameRow, FrameText, recordObject, rowObject } from './frame-text.ts';
import type { Place } from './inspect-options.ts';
import { formatTime } from './moment.ts';
import type { Sink } from './sink.ts';
import { columnsOf, writeTable } from './table.ts';
import { UsageError } from './usage.ts';

interface FrameLine {
  readonly sequence: number;
  readonly timestamp: bigint;
  readonly bytes: number;
  readonly inputs: number;
  readonly inputRows: number;
  readonly derivedRows: number;
}

/** Every row is checked against its checksum; those before the segment are not to be seen. */
export function inspectSegment(
  sink: Sink,
  file: string,
  { json, scratch }: { readonly json: boolean; readonly scratch: string },
): void {
  const directory = dirname(resolve(file));
  const segment = viewSegment(resolve(file), scratch);
  if (segment === undefined) throw new UsageError(`${file} is not named as a segment is`);
  const identity = segmentIdentity(segment);
  using journal = JournalReader.open({ directory, view: [segment], ...identity });
  const group = new Group();
  const lines: FrameLine[] = [];
  for (const { sequence, timestamp, frame } of journal.rows(segment.first)) {
    const text = new FrameText(frame, sequence, { group, shards: identity.shards });
    const { bytes, inputs, inputRows, rows } = text;
    const derivedRows = rows - inputRows;
    lines.push({ sequence, timestamp, bytes, inputs: inputs.length, inputRows, derivedRows });
  }
  if (json) {
    const rows = lines.map((line) => ({
      ...line,
      timestamp: String(line.timestamp),
      time: formatTime(line.timestamp),
    }));
    sink.line(JSON.stringify({ type: 'segment', file: basename(file), ...identity, rows }));
    return;
  }
  const { clusterId, shard, shards } = identity;
  sink.line(`${basename(file)}: shard ${shard} of ${shards}, cluster ${clusterId}`);
  sink.line('');
  writeTable(sink, columnsOf('sequence# time bytes# inputs# input_rows# derived_rows#'), () =>
    lines.map((line) => [
      String(line.sequence),
      formatTime(line.timestamp),
      String(line.bytes),
      String(line.inputs),
      String(line.inputRows),
      String(line.derivedRows),
    ]),
  );
}

interface Asked {
  readonly place: Place;
  readonly json: boolean;
}

function frameAt(capture: Capture, { shard, sequence }: Place): FrameText {
  const captured = capture.shards[shardNumber(String(shard), capture.meta.shards)]!;
  const { damage } = captured;
  if (damage !== undefined) throw journalCorrupt({ ...damage, shard }, damage.rule);
  using journal = capture.journal(shard, captured);
  const last = journal.lastSequence();
  if (sequence > last) {
    throw new UsageError(
      `there is no sequence ${sequence}: shard ${shard} ends with sequence ${last}`,
    );
  }
  const { shards } = capture.meta;
  return new FrameText(journal.read(sequence), sequence, { group: new Group(), shards });
}

export function inspectFrame(sink: Sink, capture: Capture, { place, json }: Asked): void {
  const frame = frameAt(capture, place);
  const { shard, sequence } = place;
  const { inputs, opened, closed, bytes } = frame;
  if (json) {
    const head = JSON.stringify({
      type: 'frame',
      shard,
      sequence,
      opened: formatTime(opened),
      closed: formatTime(closed),
      bytes,
      inputs: inputs.map(({ type, bytes: length, what }) => ({ type, bytes: length, ...what })),
    });
    sink.line(`${head.slice(0, -1)},"rows":[`);
    for (let row = 0; row < frame.rows; row++) {
      sink.line(JSON.stringify(rowObject(frame.row(row))) + (row + 1 < frame.rows ? ',' : ''));
    }
    sink.line(']}');
    return;
  }
  sink.line(`shard ${shard}, sequence ${sequence}: ${bytes} bytes`);
  sink.line(`from ${formatTime(opened)} to ${formatTime(closed)}`);
  sink.line('');
  writeTable(sink, columnsOf('input bytes# what'), () =>
    inputs.map(({ type, bytes: length, what }) => [type, String(length), detailsText(what)]),
  );
  if (frame.rows === 0) return;
  sink.line('');
  writeRows(sink, function* rows() {
    for (let row = 0; row < frame.rows; row++) yield frame.row(row);
  });
}

function detailsText(what: Readonly<Record<string, string | number>>): string {
  return Object.entries(what)
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${value}`)
    .join(', ');
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

export function writeRows(sink: Sink, rows: () => Iterable<FrameRow>): void {
  const titles = 'row# from kind id# debit# credit# amount# pending_id# flags outcome effect';
  writeTable(sink, columnsOf(titles), function* lines() {
    for (const row of rows()) {
      const record = recordObject(row);
      const pending = text(record['pending_id']);
      yield [
        String(row.row),
        row.from,
        row.kind,
        text(record['id']),
        text(record['debit_account_id']),
        text(record['credit_account_id']),
        text(record['amount']),
        pending === '0' ? '' : pending,
        (record['flags'] as readonly string[]).join('|'),
        row.status ?? '',
        row.effect === 0n ? '' : formatTime(row.effect),
      ];
    }
  });
}

export function inspectRow(sink: Sink, capture: Capture, { place, json }: Asked): void {
  const frame = frameAt(capture, place);
  const { shard, sequence } = place;
  const row = place.row!;
  if (row >= frame.rows) {
    throw new UsageError(
      `there is no row ${row}: sequence ${sequence} of shard ${shard} has ${frame.rows} rows`,
    );
  }
  const found = frame.row(row);
  if (json) {
    sink.line(JSON.stringify({ type: 'row', shard, sequence, ...rowObject(found) }));
    return;
  }
  const { record, ...rest } = rowObject(found) as { readonly record: object };
  const fields = Object.entries({ shard, sequence, ...rest, ...record });
  const width = Math.max(...fields.map(([name]) => name.length));
  for (const [name, value] of fields) {
    const shown = Array.isArray(value) ? value.join(' | ') : String(value ?? '');
    sink.line(`${name.padEnd(width)}  ${shown}`.trimEnd());
  }
}
