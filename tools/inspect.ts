/** `sycee inspect`: what is in a data directory, in readable form. This file picks what is shown. */
import { Capture } from './capture.ts';
import { inspectFrame, inspectRow, inspectSegment } from './inspect-frame.ts';
import { parseInspectOptions, type Subject } from './inspect-options.ts';
import { inspectOverview } from './inspect-overview.ts';
import { inspectSnapshot } from './inspect-snapshot.ts';
import { inspectLinks, inspectPending } from './inspect-state.ts';
import { inspectTransfer } from './inspect-transfer.ts';
import { EXIT, runTool } from './run-tool.ts';
import { Scratch } from './scratch.ts';
import { Sink, type ToolOutput } from './sink.ts';

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
    if (subject.type === 'snapshot') {
      inspectSnapshot(sink, subject.file, json);
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
  subject: Exclude<Subject, { type: 'segment' | 'snapshot' }>,
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
      return inspectOverview(sink, capture, { json, output });
  }
}
