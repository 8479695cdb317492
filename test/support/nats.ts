/** Tests that need a nats-server: skipped with the sentence that helps where there is none, which is a failure where CI=true. */
import type { TestContext } from 'vitest';
import { findNatsServer, NO_NATS_SERVER } from '../../lib/nats-server.ts';

/** The first line of such a test. */
export function needNatsServer(context: TestContext): void {
  if (findNatsServer() !== undefined) return;
  if (process.env['CI'] === 'true') throw new Error(NO_NATS_SERVER);
  context.skip(NO_NATS_SERVER);
}
