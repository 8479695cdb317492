/** TigerBeetle's own side of the peers, with a server and a client that are made up: what a real one answers is in same-work.test.ts. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { idBytes, type PeerLedger } from './ledger.ts';
import { findTigerbeetle, loadTigerbeetle, startTigerbeetle, statusesOf } from './tigerbeetle.ts';

/** It listens until a file END lies beside its own, then says why it goes. */
const SERVER = `#!/bin/sh
for last; do :; done
case "$1" in
  version) echo 'TigerBeetle version 0.17.9+abc' ;;
  format) touch "$last" ;;
  start)
    echo 'info(main): listening on 127.0.0.1' >&2
    until [ -e "$(dirname "$last")/END" ]; do sleep 0.02; done
    echo 'panic: no room' >&2
    exit 1 ;;
esac
`;

/** A client that is never answered, and rejects what waits when it is closed, as the real one. Says which clients were asked. */
const CLIENT = `
exports.asked = [];
let made = 0;
exports.createClient = () => {
  const [own, waiting] = [made++, []];
  return {
    createTransfers: () => new Promise((_, reject) => {
      exports.asked.push(own);
      waiting.push(reject);
    }),
    destroy: () => {
      for (const reject of waiting) reject(new Error('Client was closed.'));
    },
  };
};
`;

interface MadeUp {
  readonly directory: string;
  readonly binary: string;
  /** Stands in for the name of the package. */
  readonly name: string;
}

async function makeUp(clientVersion = '0.17.9'): Promise<MadeUp> {
  const directory = await mkdtemp(path.join(tmpdir(), 'sycee-peer-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const [binary, name] = [path.join(directory, 'tigerbeetle'), path.join(directory, 'client')];
  await writeFile(binary, SERVER, { mode: 0o755 });
  await mkdir(name);
  const described = { name: 'client', version: clientVersion, main: 'index.cjs' };
  await writeFile(path.join(name, 'package.json'), JSON.stringify(described));
  await writeFile(path.join(name, 'index.cjs'), CLIENT);
  return { directory, binary, name };
}

async function start(batch: number, binaryOf = (binary: string) => binary) {
  const { directory, binary, name } = await makeUp();
  const ledger = await startTigerbeetle({ directory, clients: 2, batch }, binaryOf(binary), name);
  onTestFinished(() => ledger.stop());
  const { asked } = loadTigerbeetle(binary, name) as unknown as { readonly asked: number[] };
  return { ledger, asked, directory };
}

const ONE = idBytes(Uint32Array.of(1, 0, 0, 0));
const call = (ledger: PeerLedger, client: number) =>
  ledger.prepare({ debits: ONE, credits: ONE, amounts: [1], ledger: 1, code: 1, flags: 0 })(
    client,
    ONE,
  );

test('it is refused without its binary, without its package, and with one of another version', async () => {
  expect(() => loadTigerbeetle('nowhere')).toThrow(
    '--tigerbeetle nowhere is not a binary that can be run',
  );
  const { directory, binary, name } = await makeUp('0.17.4');
  expect(() => loadTigerbeetle(binary, path.join(directory, 'none'))).toThrow(
    "tigerbeetle-node is not installed. Of the server's version: npm install --no-save tigerbeetle-node@0.17.9",
  );
  expect(() => loadTigerbeetle(binary, name)).toThrow(
    'tigerbeetle-node is 0.17.4, and the server is 0.17.9: npm install --no-save tigerbeetle-node@0.17.9',
  );
  await writeFile(binary, '#!/bin/sh\necho hello\n');
  expect(() => loadTigerbeetle(binary, name)).toThrow('says no version: hello');
});

test('the tests are run with the binary that TIGERBEETLE_BIN names', () => {
  expect(findTigerbeetle({ TIGERBEETLE_BIN: 'somewhere' })).toBe('somewhere');
  expect(findTigerbeetle({ TIGERBEETLE_BIN: '' })).toBeUndefined();
  expect(findTigerbeetle({})).toBeUndefined();
});

test('a server that ends under a call ends the call, and says why', async () => {
  const { ledger, directory } = await start(20);
  const calls = Promise.allSettled([call(ledger, 0), call(ledger, 1)]);
  await writeFile(path.join(directory, 'END'), '');
  const refused = {
    status: 'rejected',
    reason: expect.objectContaining({
      message: expect.stringMatching(/^TigerBeetle ended: .*panic: no room$/s),
    }),
  };
  expect(await calls).toEqual([refused, refused]);
});

test.each([
  [1, [0, 0]],
  [20, [0, 1]],
])('calls of %d are over the clients %j', async (batch, clients) => {
  const { ledger, asked } = await start(batch);
  const calls = Promise.allSettled([call(ledger, 0), call(ledger, 1)]);
  expect(asked).toEqual(clients);
  await ledger.stop();
  expect((await calls).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});

test('its binary may be named from here', async () => {
  // From elsewhere, such as the root, there is no way through this directory.
  const started = start(20, (binary) => `bench/${path.relative('bench', binary)}`);
  await expect(started).resolves.toHaveProperty('ledger');
});

test("TigerBeetle's created is 0 here, and every transfer is answered", () => {
  expect(statusesOf([{ status: 0xffff_ffff }], 1)).toBeNull();
  expect(statusesOf([{ status: 46 }, { status: 0xffff_ffff }], 2)).toEqual([46, 0]);
  expect(() => statusesOf([], 2)).toThrow('TigerBeetle answered 0 of 2 in a request');
});
