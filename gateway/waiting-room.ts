/**
 * Answers HTTP while the ledger recovers, in place of the edge that opens afterwards on the same address: liveness, and how far the shards have come.
 * Everything else is told to come again. Takes nothing: a ledger that is going to refuse its directory must not be written to.
 */
import { once } from 'node:events';
import { RETRY_AFTER_SECONDS } from './admission.ts';
import { PROBLEM_TYPE } from './http-problem.ts';
import { createServer } from './node-http.ts';
import { notReadyText } from './readiness.ts';
import type { RouterStatus } from './request-router.ts';

const HEADERS_TIMEOUT_MS = 5000;

export interface WaitingRoom {
  close(): Promise<void>;
}

export async function openWaitingRoom(
  { host, port }: { readonly host: string; readonly port: number },
  options: { readonly version: string; readonly status: () => RouterStatus },
): Promise<WaitingRoom> {
  const live = JSON.stringify({ status: 'live', version: options.version });
  const server = createServer({ headersTimeout: HEADERS_TIMEOUT_MS }, (request, response) => {
    // The body, if any, is not read: the connection ends with the answer.
    response.setHeader('connection', 'close').setHeader('cache-control', 'no-store');
    if (request.url === '/healthz') {
      response.setHeader('content-type', 'application/json').end(live);
      return;
    }
    response.statusCode = 503;
    response.setHeader('retry-after', String(RETRY_AFTER_SECONDS));
    response.setHeader('content-type', PROBLEM_TYPE).end(notReadyText(options.status()));
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
