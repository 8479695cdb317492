import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DataDirectory } from '../persistence/data-directory.ts';
import { askControl } from './control-client.ts';
import {
  decodeRequest,
  encodeRequest,
  SOCKET_NAME,
  SOCKET_PLACE_NAME,
} from './control-protocol.ts';
import { ControlServer, type ControlWork } from './control-server.ts';
import { runSnapshot, type SnapshotTaken } from './snapshot-verb.ts';

const TAKEN: readonly SnapshotTaken[] = [{ shard: 0, sequence: 7, bytes: 1 << 20, seconds: 0.5 }];

interface Place extends AsyncDisposable {
  readonly directory: string;
  serve(work: { readonly snapshot?: ControlWork }): Promise<ControlServer>;
}

function place(name = 'data'): Place {
  const root = mkdtempSync(join(tmpdir(), 'sycee-control-'));
  const directory = join(root, name);
  mkdirSync(directory, { recursive: true });
  const servers: ControlServer[] = [];
  return {
    directory,
    serve: async (work) => {
      const { snapshot = () => Promise.resolve(null) } = work;
      const server = await ControlServer.start({ directory, work: { snapshot } });
      servers.push(server);
      return server;
    },
    [Symbol.asyncDispose]: async () => {
      for (const server of servers) await server.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** What the process says to raw bytes. */
function say(path: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => socket.write(bytes));
    let text = '';
    socket.setEncoding('utf8').on('data', (more: string) => (text += more));
    socket.once('error', reject).once('close', () => resolve(text));
  });
}

/** What a verb has said. */
function listening(): { out: string[]; log: string[]; output: Parameters<typeof runSnapshot>[1] } {
  const out: string[] = [];
  const log: string[] = [];
  return { out, log, output: { out: (line) => out.push(line), log: (line) => log.push(line) } };
}

describe('the control socket', () => {
  test('answers with progress, then the result, and is for the owner alone', async () => {
    await using at = place();
    const server = await at.serve({
      snapshot: async (progress) => {
        progress('half');
        return TAKEN;
      },
    });
    expect(statSync(server.path).mode & 0o777).toBe(0o600);
    const lines: string[] = [];
    const result = await askControl(at.directory, 'snapshot', (line) => lines.push(line));
    expect({ result, lines }).toEqual({ result: TAKEN, lines: ['half'] });
  });

  test('passes on why a request failed, with its code', async () => {
    await using at = place();
    const failure = Object.assign(new Error('the disk is full'), { code: 'ENOSPC' });
    await at.serve({ snapshot: () => Promise.reject(failure) });
    const asked = askControl(at.directory, 'snapshot');
    await expect(asked).rejects.toMatchObject({ code: 'ENOSPC', message: 'the disk is full' });
  });

  test('works on one request of a kind at a time', async () => {
    await using at = place();
    let under = 0;
    let most = 0;
    await at.serve({
      snapshot: async () => {
        most = Math.max(most, ++under);
        await new Promise(setImmediate);
        under--;
        return TAKEN;
      },
    });
    await Promise.all([1, 2, 3].map(() => askControl(at.directory, 'snapshot')));
    expect(most).toBe(1);
  });

  test.each([
    ['no JSON', 'hello\n', 'not a line of JSON'],
    ['another version', '{"version":2,"request":"snapshot"}\n', 'version 2'],
    ['an unknown request', '{"version":1,"request":"stop"}\n', 'unknown request'],
    ['an unknown field', '{"version":1,"request":"snapshot","now":1}\n', 'unknown field'],
    ['a line that is too long', 'x'.repeat(5000), 'at most 4096 bytes'],
    ['two lines', `${encodeRequest('snapshot')}x`, 'at most 4096 bytes'],
  ])('refuses %s in a sentence', async (_, bytes, sentence) => {
    await using at = place();
    const server = await at.serve({});
    const answer = JSON.parse(await say(server.path, bytes)) as { code: string; message: string };
    expect(answer.code).toBe('malformed_request');
    expect(answer.message).toContain(sentence);
  });

  test('takes the place of a socket that a killed process has left', async () => {
    await using at = place();
    writeFileSync(join(at.directory, SOCKET_NAME), '');
    await at.serve({ snapshot: () => Promise.resolve(TAKEN) });
    expect(await askControl(at.directory, 'snapshot')).toEqual(TAKEN);
  });

  test('lies elsewhere when the path of the directory is too long, and leaves nothing behind', async () => {
    await using at = place(join('a'.repeat(60), 'b'.repeat(60)));
    const server = await at.serve({ snapshot: () => Promise.resolve(TAKEN) });
    expect(server.path.startsWith(at.directory)).toBe(false);
    expect(await askControl(at.directory, 'snapshot')).toEqual(TAKEN);
    await server.stop();
    expect(existsSync(server.path)).toBe(false);
    await expect(askControl(at.directory, 'snapshot')).rejects.toMatchObject({ code: 'not_live' });
  });

  test('is found through links, whichever of the paths is too long', async () => {
    await using short = place();
    await using long = place(join('a'.repeat(60), 'b'.repeat(60)));
    const linkToLong = join(short.directory, 'link');
    symlinkSync(long.directory, linkToLong);
    await long.serve({ snapshot: () => Promise.resolve(TAKEN) });
    expect(await askControl(linkToLong, 'snapshot')).toEqual(TAKEN);
    const linkToShort = join(long.directory, 'link');
    symlinkSync(short.directory, linkToShort);
    await short.serve({ snapshot: () => Promise.resolve(TAKEN) });
    expect(await askControl(linkToShort, 'snapshot')).toEqual(TAKEN);
  });

  test('takes away what a killed process has left elsewhere', async () => {
    await using at = place(join('a'.repeat(60), 'b'.repeat(60)));
    const left = join(mkdtempSync(join(tmpdir(), 'sycee-')), SOCKET_NAME);
    writeFileSync(left, '');
    writeFileSync(join(at.directory, SOCKET_PLACE_NAME), JSON.stringify({ socket: left }));
    await at.serve({ snapshot: () => Promise.resolve(TAKEN) });
    expect(existsSync(dirname(left))).toBe(false);
    expect(await askControl(at.directory, 'snapshot')).toEqual(TAKEN);
  });

  test('says that nobody is there', async () => {
    await using at = place();
    await expect(askControl(at.directory, 'snapshot')).rejects.toMatchObject({ code: 'not_live' });
  });

  test('reads back the requests that it writes', () => {
    expect(decodeRequest(encodeRequest('snapshot'))).toBe('snapshot');
  });
});

describe('sycee snapshot', () => {
  test('asks the live process, and opens a directory that nobody has', async () => {
    await using at = place();
    const stopped = (): Promise<readonly SnapshotTaken[]> => Promise.resolve([]);
    await at.serve({ snapshot: () => Promise.resolve(TAKEN) });
    const live = listening();
    expect(await runSnapshot([at.directory], live.output, stopped)).toBe(0);
    expect(live.out).toEqual(['shard 0: snapshot at row 7, 1.0 MiB in 0.50 s']);
    await using other = place();
    DataDirectory.open({ directory: other.directory, shards: 1, create: true }).close();
    const { out, output } = listening();
    const done = await runSnapshot([other.directory, '--json'], output, () =>
      Promise.resolve(TAKEN),
    );
    expect(done).toBe(0);
    expect(JSON.parse(out[0]!)).toMatchObject({ type: 'snapshot', live: false, shards: TAKEN });
  });

  test('makes no directory where there is none', async () => {
    await using at = place();
    const { log, output } = listening();
    const nothing = (): Promise<never> => Promise.reject(new Error('not asked'));
    expect(await runSnapshot([at.directory], output, nothing)).toBe(1);
    expect(log.join()).toContain('There is no data directory');
  });

  test('refuses what it does not know with exit code 2', async () => {
    const { log, output } = listening();
    const nothing = (): Promise<never> => Promise.reject(new Error('not asked'));
    expect(await runSnapshot(['--now'], output, nothing)).toBe(2);
    expect(await runSnapshot(['a', 'b'], output, nothing)).toBe(2);
    expect(await runSnapshot([''], output, nothing)).toBe(2);
    expect(await runSnapshot(['--json', '--json'], output, nothing)).toBe(2);
    expect(log.join()).toContain('sycee snapshot --help');
  });
});
