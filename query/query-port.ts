/** The other end of `QueryThread`: a desk on a thread of its own, behind the port that questions come in by. */
import { parentPort } from 'node:worker_threads';
import { assert } from '../engine/assert.ts';
import { QueryDesk } from './query-desk.ts';
import type { FromThread, QueryThreadOptions, ToThread } from './query-thread.ts';

export function runQueryThread(options: QueryThreadOptions): void {
  assert(parentPort !== null, 'the reader runs on a thread of its own');
  const port = parentPort;
  const desk = new QueryDesk(options, {
    answered: (id, answer) => {
      const moved = Object.values(answer).flatMap((value) =>
        ArrayBuffer.isView(value) && value.buffer instanceof ArrayBuffer ? [value.buffer] : [],
      );
      port.postMessage({ type: 'answered', id, answer } satisfies FromThread, moved);
    },
    failed: (id, failure) => {
      port.postMessage({ type: 'failed', id, failure } satisfies FromThread, []);
    },
    noticed: (problem) => {
      port.postMessage({ type: 'noticed', problem } satisfies FromThread, []);
    },
  });
  port.on('message', (message: ToThread) => {
    if (message.type === 'ask') {
      desk.ask(message.id, message.question, message.deadlineMs);
      return;
    }
    desk.close();
    port.close();
  });
}
