/**
 * Real systems for tests: one in this process, and `sycee serve` as a child; both on directories that go away again. (lib/nats-server.ts starts a
 * `nats-server`.)
 *
 * Each is disposable (`await using`). A child is ended by its own id, never by name. What does not come up within READY_MS_MAX fails the
 * test with what the child wrote.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { open, type InProcessClient } from '../../client/in-process-client.ts';
import { makeMemoryDirectory } from './memory-directory.ts';
import type { ShardOf } from './model-ledger.ts';
import { placementOf } from './placement.ts';

const READY_MS_MAX = 20_000;
const PROBE_MS = 200;
const OUTPUT_CHARACTERS_MAX = 1 << 20;
const LOOPBACK = '127.0.0.1';
const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));
/**
 * Of Node: room for what a start leaves, MiB in each half of what is young. A process that lives for a second collects a dozen times else, while its
 * heaps grow, for 0.06 s of processor time; one that lives longer has grown as far by itself.
 */
const ROOM_FOR_A_START = '--min-semi-space-size=16';

/** A fresh directory, removed with all that is in it, and with the head witness beside it. */
export class TempDirectory implements AsyncDisposable {
  readonly path: string;

  constructor({ isInMemory = false } = {}) {
    const prefix = 'sycee-test-';
    this.path = isInMemory ? makeMemoryDirectory(prefix) : mkdtempSync(join(tmpdir(), prefix));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 });
    rmSync(`${this.path}.head`, { force: true });
  }
}

export interface SystemOptions {
  readonly shards: number;
  /** The ledger's time stands still, and moves by `advance` only. */
  readonly hasManualClock?: boolean;
  /** Left as it is at the end. Without it the system has a directory of its own, which goes away with it. */
  readonly directory?: string;
  /** Its own directory is one of memory-directory.ts: for a system that is asked one question after the other. */
  readonly isInMemory?: boolean;
}

/** A whole system in this process. `client` is another one after a restart. */
export class TestSystem implements AsyncDisposable {
  readonly shards: number;
  readonly directory: string;
  readonly shardOf: ShardOf;
  readonly #temp: TempDirectory | null;
  readonly #clock: SharedArrayBuffer | undefined;
  #client: InProcessClient | null = null;

  constructor({ shards, directory, hasManualClock = false, isInMemory = false }: SystemOptions) {
    if (hasManualClock) {
      this.#clock = new SharedArrayBuffer(8);
      new BigInt64Array(this.#clock)[0] = BigInt(Date.now()) * 1_000_000n;
    }
    this.#temp = directory === undefined ? new TempDirectory({ isInMemory }) : null;
    this.shards = shards;
    this.directory = directory ?? this.#temp!.path;
    this.shardOf = placementOf(shards);
  }

  get client(): InProcessClient {
    if (this.#client === null) throw new Error('the system is not started');
    return this.#client;
  }

  async start(): Promise<void> {
    this.#client = await open({
      directory: this.directory,
      shards: this.shards,
      manualClock: this.#clock,
    });
  }

  /** The ledger's time, ns. */
  now(): bigint {
    return Atomics.load(new BigInt64Array(this.#clock!), 0);
  }

  /** Moves the manual clock, and waits until what expires by it has expired. */
  async advance(seconds: number): Promise<void> {
    Atomics.add(new BigInt64Array(this.#clock!), 0, BigInt(Math.round(seconds * 1e9)));
    await this.client.settle();
  }

  /** Closes in order and opens again: everything comes back from the journals. */
  async restart(): Promise<void> {
    await this.client.close();
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.close();
    await this.#temp?.[Symbol.asyncDispose]();
  }
}

export async function startSystem(options: SystemOptions): Promise<TestSystem> {
  const system = new TestSystem(options);
  try {
    await system.start();
  } catch (error: unknown) {
    await system[Symbol.asyncDispose]();
    throw error;
  }
  return system;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child with its output. Disposing of it kills it if it still lives, and waits for its end. */
export class Child implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly exit: Promise<Exit>;
  #output = Promise.withResolvers<void>();
  #stdout = '';
  #stderr = '';
  #hasExited = false;

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    // Not in the repository, where somebody's settings file may lie.
    this.#child = spawn(command, args, { cwd: tmpdir(), env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-OUTPUT_CHARACTERS_MAX);
      this.#output.resolve();
      this.#output = Promise.withResolvers();
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-OUTPUT_CHARACTERS_MAX);
    });
    // `close` comes when the output has been read to its end, `exit` may come before.
    this.exit = once(this.#child, 'close').then(([code, signal]) => {
      this.#hasExited = true;
      return { code, signal };
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /**
   * Resolves when the probe says yes; rejects when the child ends, or after READY_MS_MAX. It asks when the child has said something, and now and
   * then besides: asking all the time would take from the child what its start needs.
   */
  async untilReady(probe: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + READY_MS_MAX;
    for (;;) {
      const spoken = this.#output.promise;
      if (await probe()) return;
      if (this.#hasExited) throw new Error(`the child ended before it was ready\n${this.output}`);
      if (performance.now() > deadline) throw new Error(`the child is not ready\n${this.output}`);
      await Promise.race([spoken, this.exit, pause(PROBE_MS)]);
    }
  }

  get output(): string {
    return `stdout: ${this.#stdout}\nstderr: ${this.#stderr}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasExited) this.kill('SIGKILL');
    await this.exit;
  }
}

export interface ProcessOptions {
  /** After `serve`. Data directory and addresses are given in the environment, which flags win over. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly shards?: number;
  readonly directory?: string;
  /** Without it NATS is off. */
  readonly nats?: { readonly url: string };
}

/** `sycee serve` as a child, with HTTP on a free port of the loopback. */
export class ServeProcess implements AsyncDisposable {
  readonly child: Child;
  readonly url: string;
  readonly directory: string;
  readonly #temp: TempDirectory | null;

  constructor(port: number, options: ProcessOptions) {
    const { args = [], env = {}, shards, directory, nats } = options;
    this.#temp = directory === undefined ? new TempDirectory() : null;
    this.directory = directory ?? this.#temp!.path;
    this.url = `http://${LOOPBACK}:${port}`;
    const own = {
      SYCEE_DATA: this.directory,
      SYCEE_HTTP: `${LOOPBACK}:${port}`,
      SYCEE_NATS: nats?.url ?? 'off',
    };
    const flags = shards === undefined ? args : ['--shards', String(shards), ...args];
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('SYCEE_'));
    const all = { ...Object.fromEntries(inherited), ...own, ...env };
    this.child = new Child(process.execPath, [ROOM_FOR_A_START, CLI, 'serve', ...flags], all);
  }

  get exit(): Promise<Exit> {
    return this.child.exit;
  }

  get stdout(): string {
    return this.child.stdout;
  }

  get stderr(): string {
    return this.child.stderr;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Whether it serves; there need not be room on the disk. */
  async isReady(): Promise<boolean> {
    try {
      const ask = (route: string): Promise<Response> =>
        fetch(`${this.url}${route}`, { signal: AbortSignal.timeout(2000) });
      const ready = await ask('/readyz');
      if ((await ready.text()).includes('"storage_full":true')) {
        // While it starts there is no status.
        const status = await ask('/v1/status');
        await status.arrayBuffer();
        return status.ok;
      }
      return ready.ok;
    } catch {
      return false; // nobody listens yet
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child[Symbol.asyncDispose]();
    await this.#temp?.[Symbol.asyncDispose]();
  }
}

/** Resolves when the process serves. */
export async function startProcess(options: ProcessOptions = {}): Promise<ServeProcess> {
  const served = await spawnProcess(options);
  try {
    await served.child.untilReady(() => served.isReady());
  } catch (error: unknown) {
    await served[Symbol.asyncDispose]();
    throw error;
  }
  return served;
}

/** Does not wait for readiness: for a process that is due to refuse. */
export async function spawnProcess(options: ProcessOptions = {}): Promise<ServeProcess> {
  return new ServeProcess(await freePort(), options);
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
