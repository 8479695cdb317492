import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { needNatsServer } from '../test/support/nats.ts';
import { findNatsServer, startNatsServer } from './nats-server.ts';

test('the binary is the one that NATS_SERVER_BIN names, or one on the PATH', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'nats-'));
  const binary = path.join(directory, 'nats-server');
  writeFileSync(binary, '', { mode: 0o755 });
  expect(findNatsServer({ NATS_SERVER_BIN: binary, PATH: '' })).toBe(binary);
  expect(findNatsServer({ PATH: `/nowhere${path.delimiter}${directory}` })).toBe(binary);
  expect(
    findNatsServer({ NATS_SERVER_BIN: '/nowhere/nats-server', PATH: directory }),
  ).toBeUndefined();
});

test('a server takes connections once it is started, and is gone once it is stopped', async (context) => {
  needNatsServer(context);
  const server = await startNatsServer();
  const client = await connect({ servers: server.url });
  await client.close();
  await expect(startNatsServer({ port: server.port })).rejects.toThrow('address already in use');
  await server.stop();
  await expect(connect({ servers: server.url, reconnect: false })).rejects.toThrow(
    'connection refused',
  );
  const again = await startNatsServer({ port: server.port });
  await again.kill();
  expect(() => process.kill(again.pid, 0)).toThrow('ESRCH');
});

test('a binary that cannot run is a sentence', async () => {
  await expect(startNatsServer({ binary: '/nowhere/nats-server' })).rejects.toThrow(
    /^nats-server ended/,
  );
});
