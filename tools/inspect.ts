/** `sycee inspect`: what is in a data directory, in readable form. This file picks what is shown, and shows the segments. */
import { join } from 'node:path';
import { segmentName } from '../persistence/segment.ts';
import { Capture } from './capture.ts';
import { inspectFrame, inspectRow, inspectSegment } from './inspect-frame.ts';
import { parseInspectOptions, type Subject } from './inspect-options.ts';
import { inspectLinks, inspectPending } from './inspect-state.ts';
import { inspectTransfer } from './inspect-transfer.ts';
import { formatTime } from './moment.ts';
import { EXIT, runTool } from './run-tool.ts';
import { Scratch } from './scratch.ts';
import { Sink, type ToolOutput } from './sink.ts';
import { columnsOf, writeTable } from './table.ts';

export function runInspect(args: readonly string[], output: ToolOutput): Promise<number> {
  return runTool('inspect', output, async (cleanup) => {
    const options = parseInspectOptions(args);
    const { subject, json, archive, directory } = options;
    using sink = new Sink(output);
    if (subject.type === 'segment') {
      inspectSegment(sink, subject.file, { json, scratch: cleanup.add(new Scratch()).path });
      sink.end();
      return EXIT.done;
    }
    const capture = cleanup.add(new Capture(directory, archive));
    const code = await inspectSubject(sink, capture, subject, { json, output });
    sink.end();
    return code;
  });
}

// oxlint-disable-next-line max-params -- Where to, from what, what, and how.
async function inspectSubject(
  sink: Sink,
  capture: Capture,
  subject: Exclude<Subject, { type: 'segment' }>,
  { json, output }: { readonly json: boolean; readonly output: ToolOutput },
): Promise<number> {
  switch (subject.type) {
    case 'frame':
      inspectFrame(sink, capture, { place: subject.place, json });
      return EXIT.done;
    case 'row':
      inspectRow(sink, capture, { place: subject.place, json });
      return EXIT.done;
    case 'transfer':
      return inspectTransfer(sink, capture, { id: subject.id, json }, output);
    case 'pending':
      return inspectPending(sink, capture, { json, output });
    case 'links':
      return inspectLinks(sink, capture, { json, output });
    case 'overview':
    default:
      inspectOverview(sink, capture, json);
      return EXIT.done;
  }
}

interface SegmentLine {
  readonly shard: number;
  readonly file: string;
  readonly first: number;
  readonly last: number;
  readonly from: bigint | null;
  readonly to: bigint | null;
  readonly bytes: number;
  readonly state: 'sealed' | 'live' | 'archived';
}

function inspectOverview(sink: Sink, capture: Capture, json: boolean): void {
  const { meta, directory, isLive } = capture;
  const lines = capture.shards.flatMap((_, shard) => segmentLines(capture, shard));
  if (json) {
    const segments = lines.map(({ from, to, ...line }) => ({
      ...line,
      from: from === null ? null : formatTime(from),
      to: to === null ? null : formatTime(to),
    }));
    sink.line(JSON.stringify({ type: 'inspect', directory, live: isLive, ...meta, segments }));
    return;
  }
  sink.line(`${directory}${isLive ? ', which a process has (or had)' : ''}`);
  sink.line(
    `cluster ${meta.clusterId}, ${meta.shards} shards, format ${meta.format}, made ${meta.created}`,
  );
  sink.line('');
  writeTable(sink, columnsOf('shard# segment first# last# from to bytes# state'), () =>
    lines.map(({ shard, file, first, last, from, to, bytes, state }) => [
      String(shard),
      file,
      String(first),
      last < first ? '-' : String(last),
      from === null ? '-' : formatTime(from),
      to === null ? '-' : formatTime(to),
      String(bytes),
      state,
    ]),
  );
  sink.line('');
  sink.line('more: --frame 0:1, --transfer ID, --pending, --links; see "sycee inspect --help"');
}

function segmentLines(capture: Capture, shard: number): readonly SegmentLine[] {
  const captured = capture.shards[shard]!;
  const { view, directory } = captured;
  using journal = capture.journal(shard, captured);
  const end = journal.lastSequence();
  return view.map(({ first, isInPlace, path, bytes }, i) => {
    const last = (view[i + 1]?.first ?? end + 1) - 1;
    const file = segmentName(first);
    const isArchived = isInPlace && path !== join(directory, file);
    return {
      shard,
      file,
      first,
      last,
      from: last < first ? null : journal.timestamp(first),
      to: last < first ? null : journal.timestamp(last),
      bytes,
      state: isInPlace ? (isArchived ? 'archived' : 'sealed') : 'live',
    };
  });
}
