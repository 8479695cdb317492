/**
 * A disk that is full, or nearly: creates are refused at once on every edge, what is there is answered, and writing goes on by itself when there is
 * room. Nothing that was answered is lost, whatever a commit found.
 *
 * What is free is told to the system by the test, but in the last one, which fills a small file system of its own; that takes root, and the right
 * to mount, and is skipped by name without.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { runBackup } from '../../backup/run.ts';
import type { Client } from '../../client/client.ts';
import { open } from '../../client/in-process-client.ts';
import type { SyceeError } from '../../lib/sycee-error.ts';
import { startProcess, TempDirectory } from '../support/cluster.ts';
import { replayDirectory } from '../support/replay-directory.ts';
import { Supervised } from '../support/supervised.ts';

const RESERVE = 8 << 20;
const PATIENCE_MS = 30_000;
const POLL_MS = 5;
const ONE_CODE = { retries: 0, deadlineMs: 5000 };

/** Says how much is free. */
class Disk {
  readonly buffer = new SharedArrayBuffer(8);

  constructor(free: number) {
    this.free = free;
  }

  set free(bytes: number) {
    Atomics.store(new BigInt64Array(this.buffer), 0, BigInt(bytes));
  }
}

const account = (id: bigint): object => ({ id, ledger: 1, code: 1 });
const transfer = (id: bigint, debitAccountId = 1n, creditAccountId = 2n): object => ({
  id,
  debitAccountId,
  creditAccountId,
  amount: 1n,
  ledger: 1,
  code: 1,
});

/** The status of one transfer, or the code of the refusal, without retries. */
function pay(client: Client, id: bigint): Promise<string> {
  return client.createTransfers([transfer(id) as never], ONE_CODE).then(
    ({ results }) => results[0]!.status as string,
    (error: SyceeError) => `${error.code}${error.retryable ? ', retryable' : ''}`,
  );
}

async function fund(client: Client): Promise<void> {
  const accounts = Array.from({ length: 8 }, (_, i) => account(BigInt(i + 1)) as never);
  await client.createAccounts(accounts);
}

test('creates are storage_full while reads go on, and succeed again when there is room; the ballast comes and goes', async () => {
  const disk = new Disk(100 * RESERVE);
  await using system = await Supervised.start({
    shards: 2,
    reserveBytes: RESERVE,
    freeBytes: disk.buffer,
  });
  const { client } = system;
  const ballast = join(system.directory, 'ballast');
  const storageFull = (): readonly number[] =>
    system.supervisor.metrics().map((one) => one.storageFull);
  await fund(client);
  expect(await pay(client, 1n)).toBe('created');
  await system.until('a ballast is there', () => existsSync(ballast));

  disk.free = RESERVE - 1;
  await system.until('both shards are full', () => storageFull().join() === '1,1');
  expect(await pay(client, 2n)).toBe('storage_full, retryable');
  const read = await client.lookupAccounts([1n]);
  expect(read.accounts[0]).toMatchObject({ debitsPosted: 1n });
  expect((await client.getAccountTransfers({ accountId: 1n })).transfers).toHaveLength(1);
  expect(existsSync(ballast)).toBe(true);

  disk.free = 1000;
  await system.until('the ballast is given back', () => !existsSync(ballast));
  expect(await pay(client, 2n)).toBe('storage_full, retryable');
  expect((await client.lookupTransfers([1n])).transfers).toHaveLength(1);
  // A shard that dies now comes back, and refuses.
  system.supervisor.injectFault(1, 'throw');
  await system.until('shard 1 was rebuilt', () => system.supervisor.metrics()[1]!.restarts === 1);
  await system.until('shard 1 runs', () => system.state(1) === 'running');
  expect(await pay(client, 2n)).toBe('storage_full, retryable');

  disk.free = 100 * RESERVE;
  await system.until('there is room', () => storageFull().join() === '0,0');
  expect(await pay(client, 2n)).toBe('created');
  await system.until('a ballast is there again', () => existsSync(ballast));
  expect(system.supervisor.metrics().some((one) => one.storageRefused > 0)).toBe(true);
});

test('it stops with nothing left, and starts again: what is there is answered', async () => {
  const disk = new Disk(100 * RESERVE);
  await using directory = new TempDirectory();
  const options = {
    directory: directory.path,
    shards: 2,
    reserveBytes: RESERVE,
    freeBytes: disk.buffer,
  };
  {
    await using client = await open(options);
    await fund(client);
    expect(await pay(client, 1n)).toBe('created');
    disk.free = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await using client = await open(options);
  expect((await client.lookupTransfers([1n])).transfers).toHaveLength(1);
  expect(await pay(client, 2n)).toBe('storage_full, retryable');
});

test('over HTTP it is 507, a problem with its code, and shown in the metrics; look-ups are 200', async () => {
  await using served = await startProcess({ shards: 1, args: ['--reserve-mib', '1000000000'] });
  const post = (what: string, body: object): Promise<Response> =>
    fetch(`${served.url}/v1/${what}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const refused = await post('accounts', { id: 1, ledger: 1, code: 1 });
  expect(refused.status).toBe(507);
  expect(refused.headers.get('content-type')).toContain('application/problem+json');
  expect(await refused.json()).toMatchObject({
    code: 'storage_full',
    status: 507,
    retryable: true,
  });
  const looked = await post('accounts/lookup', { ids: ['1'] });
  expect(looked.status).toBe(200);
  const ready = await fetch(`${served.url}/readyz`);
  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({
    code: 'not_ready',
    shards: [{ phase: 'running', storage_full: true }],
  });
  expect(await (await fetch(`${served.url}/v1/status`)).json()).toMatchObject({
    ready: false,
    shards: [{ state: 'running', storage_full: true }],
  });
  expect(await looked.json()).toMatchObject({ accounts: [] });
  const metrics = await (await fetch(`${served.url}/metrics`)).text();
  expect(metrics).toContain('sycee_shard_storage_full{shard="0"} 2');
  expect(metrics).toContain('sycee_shard_storage_refused_total{shard="0"} 1');
  await served.child.untilReady(() => Promise.resolve(served.stderr.includes('storage_full')));
  expect(served.stderr).toMatch(
    /\d+ MiB are left on the disk, less than the reserve of 1000000000 MiB \(--reserve-mib\): creates are refused/,
  );
  served.kill('SIGTERM');
  expect(await served.exit).toMatchObject({ code: 0 });
});

const TMPFS_MIB = 64;

/** Mounts a small file system on a directory, or says why it cannot. */
function mountSmall(directory: string): string | null {
  if (process.getuid?.() !== 0) return 'this takes root';
  const size = `size=${TMPFS_MIB}m`;
  const { status, stderr, error } = spawnSync('mount', [
    '-t',
    'tmpfs',
    '-o',
    size,
    'tmpfs',
    directory,
  ]);
  return status === 0 ? null : String(error ?? stderr);
}

/** Takes all room, whoever else takes some of it meanwhile. */
function fillUp(directory: string): void {
  const file = openSync(join(directory, 'others'), 'w');
  try {
    for (const bytes of [1 << 20, 4096]) while (hasRoomFor(file, Buffer.alloc(bytes)));
  } finally {
    closeSync(file);
  }
}

function hasRoomFor(file: number, bytes: Buffer): boolean {
  try {
    return writeSync(file, bytes) === bytes.byteLength;
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    return false;
  }
}

/** Pays with one id after the other, again with the same one where it was refused, and keeps what was created. */
class Payer {
  readonly created: bigint[] = [];
  readonly refusals = new Set<string>();
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async until(isEnough: (said: string) => boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (performance.now() < deadline) {
      const id = BigInt(this.created.length + 1);
      const said = await pay(this.#client, id);
      const isThere = said === 'created' || said === 'exists';
      if (isThere) this.created.push(id);
      else this.refusals.add(said);
      if (isEnough(said)) return;
      if (!isThere) await pause(POLL_MS);
    }
    throw new Error(`it never came so far: ${[...this.refusals].join('; ')}`);
  }
}

test('on a file system that others fill to the last byte nothing that was answered is lost', async (context) => {
  await using directory = new TempDirectory();
  const why = mountSmall(directory.path);
  if (why !== null) context.skip(why);
  try {
    const ledger = join(directory.path, 'ledger');
    const others = join(directory.path, 'others');
    const options = { directory: ledger, shards: 1, reserveBytes: 2 * RESERVE };
    const client = await open(options);
    await fund(client);
    const payer = new Payer(client);
    await payer.until(() => payer.created.length >= 50 && existsSync(join(ledger, 'ballast')));
    // Faster than anybody looks: a commit finds no room.
    fillUp(directory.path);
    await payer.until((said) => said.startsWith('storage_full'));
    expect((await client.lookupTransfers([1n])).transfers).toHaveLength(1);
    rmSync(others);
    await payer.until((said) => said === 'created' || said === 'exists');
    fillUp(directory.path);
    await client.close();
    // Closing has given the ballast back.
    fillUp(directory.path);
    const sentences: string[] = [];
    const output = { out: () => undefined, log: (line: string) => void sentences.push(line) };
    const backup = [ledger, join(directory.path, 'backup'), '--no-snapshot'];
    expect(await runBackup(backup, output, () => Promise.resolve())).toBe(1);
    expect(sentences.join()).toMatch(/no room on the disk|on a disk that is full/);
    rmSync(others);
    expect(await runBackup(backup, output, () => Promise.resolve())).toBe(0);
    for (const said of payer.refusals) expect(said).toMatch(/^(storage_full|unknown|shard_un)/);

    expect(replayDirectory(ledger)).toHaveLength(1);
    await using again = await open(options);
    const { transfers } = await again.lookupTransfers(payer.created);
    expect(transfers).toHaveLength(payer.created.length);
    expect(await pay(again, 100_000n)).toBe('created');
  } finally {
    spawnSync('umount', ['-l', directory.path]);
  }
});
