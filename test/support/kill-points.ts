/**
 * Loaded before a child's own code (`node --import`), into each of its threads: counts every call that changes a file below a directory, and kills the process
 * with SIGKILL at one of them. So the product's code has no crash points, and none of its steps is forgotten. A point is a thread, a call, its file, and how many
 * times it has come there: `snapshots renameSync snapshot-7.image 1`; the main thread is `main`. So it is the same point where others come more or fewer times. SQLite's
 * own calls are seen from outside only: as statements, pragmas, and closes.
 *
 * KILL_IN     the directory
 * KILL_TRACE  a file: a line for each point that was passed
 * KILL_AT     the point
 * KILL_HOW    `before` the call; `half`: behind the first half of what it writes; a number: so many microseconds after it has begun, or at its end
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import { threadName, Worker } from 'node:worker_threads';
import Database from 'better-sqlite3';

type Call = (...args: unknown[]) => unknown;
type Calls = Record<string, Call>;

const { KILL_IN = '', KILL_TRACE, KILL_AT, KILL_HOW = 'before' } = process.env;
const thread = threadName === '' || threadName === null ? 'main' : threadName;
const { writeSync, appendFileSync } = fs;
const paths = new Map<unknown, string>();
const passed = new Map<string, number>();

/** Ends the process from another thread, while this one is in a call. */
const killer = thread === KILL_AT?.split(' ')[0] && /^\d+$/.test(KILL_HOW) ? makeKiller() : null;

function makeKiller(): Int32Array {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const source = `
    const { workerData: { words, us } } = require('node:worker_threads');
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
    Atomics.wait(words, 0, 0);
    for (const end = process.hrtime.bigint() + BigInt(us) * 1000n; process.hrtime.bigint() < end;);
    process.kill(process.pid, 'SIGKILL');
  `;
  const given = { words, us: Number(KILL_HOW) };
  new Worker(source, { eval: true, execArgv: [], workerData: given }).unref();
  Atomics.wait(words, 1, 0);
  return words;
}

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}

/** Every call comes through here. `half` does the first part of it. */
function pass(what: string, path: unknown, call: () => unknown, half?: () => void): unknown {
  if (typeof path !== 'string' || !path.startsWith(KILL_IN)) return call();
  const place = `${thread} ${what} ${basename(path)}`;
  const times = (passed.get(place) ?? 0) + 1;
  passed.set(place, times);
  const point = `${place} ${times}`;
  if (KILL_TRACE !== undefined) appendFileSync(KILL_TRACE, `${point}\n`);
  if (point !== KILL_AT) return call();
  if (killer === null) {
    if (KILL_HOW === 'half') half?.();
    die();
  }
  Atomics.store(killer, 0, 1);
  Atomics.notify(killer, 0);
  call();
  return die();
}

function halfOf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.byteLength >> 1);
}

function wrapFiles(): void {
  const calls = fs as unknown as Calls;
  const wrap = (name: string, make: (call: Call, args: unknown[]) => unknown): void => {
    const call = calls[name]!;
    calls[name] = (...args: unknown[]) => make(call, args);
  };
  wrap('openSync', (call, args) => {
    const [path, flags] = args;
    const writes = typeof flags === 'number' && (flags & fs.constants.O_CREAT) !== 0;
    const open = (): unknown => {
      const file = call(...args);
      paths.set(file, String(path));
      return file;
    };
    return writes ? pass('open', path, open) : open();
  });
  for (const name of ['fsyncSync', 'fdatasyncSync', 'ftruncateSync']) {
    wrap(name, (call, args) => pass(name, paths.get(args[0]), () => call(...args)));
  }
  for (const name of ['renameSync', 'rmSync', 'unlinkSync', 'mkdirSync', 'truncateSync']) {
    wrap(name, (call, args) => pass(name, args[0], () => call(...args)));
  }
  wrap('writeFileSync', (call, args) => {
    const bytes = Buffer.from(args[1] as string);
    const torn = (): void => void call(args[0], halfOf(bytes), args[2]);
    return pass('writeFileSync', args[0], () => call(...args), torn);
  });
  wrap('writeSync', (call, args) => {
    const [file, bytes, , length, position] = args as [number, Uint8Array, 0, number, number];
    const torn = (): void => void writeSync(file, bytes, 0, length >> 1, position);
    return pass('writeSync', paths.get(file), () => call(...args), torn);
  });
  wrap('writevSync', (call, args) => {
    const [file, parts] = args as [number, readonly Uint8Array[]];
    const torn = (): void => void writeSync(file, halfOf(Buffer.concat(parts)));
    return pass('writevSync', paths.get(file), () => call(...args), torn);
  });
  syncBuiltinESMExports();
}

function wrapSqlite(): void {
  const some = new Database(':memory:');
  const statement = Object.getPrototypeOf(some.prepare('SELECT 1')) as Calls;
  some.close();
  const connection = Database.prototype as unknown as Calls;
  const wrap = (
    calls: Calls,
    name: string,
    isPoint: (first: unknown) => boolean = () => true,
  ): void => {
    const call = calls[name]!;
    calls[name] = function (this: Database.Database & Database.Statement, ...args: unknown[]) {
      const act = (): unknown => call.apply(this, args);
      if (!isPoint(args[0])) return act();
      const { name: path } = calls === statement ? this.database : this;
      const what = name === 'pragma' ? String(args[0]).split(/[ (]/)[0] : name;
      return pass(`sqlite-${what}`, path, act);
    };
  };
  wrap(connection, 'exec');
  wrap(connection, 'close');
  wrap(connection, 'pragma', (text) => /^(journal_mode|wal_checkpoint)\b/.test(String(text)));
  wrap(statement, 'run');
}

if (KILL_IN !== '') {
  wrapFiles();
  wrapSqlite();
}
