import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DataDirectory, inspectDirectory, metaChecksum } from './data-directory.ts';

const MODULE = JSON.stringify(new URL('./data-directory.ts', import.meta.url).href);

interface Place extends Disposable {
  readonly directory: string;
}

function place(): Place {
  const root = mkdtempSync(join(tmpdir(), 'sycee-directory-'));
  return {
    directory: join(root, 'sub', 'ledger'),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

function make(directory: string, shards: number): DataDirectory {
  return DataDirectory.open({ directory, shards, create: true });
}

function refusal(code: string, exitCode: number, message: RegExp): Error {
  return expect.objectContaining({
    code,
    exitCode,
    message: expect.stringMatching(message) as string,
  }) as Error;
}

function changeMeta(directory: string, change: Record<string, unknown>): void {
  const file = join(directory, 'sycee.json');
  const meta = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify({ ...meta, ...change }));
}

function openingScript(directory: string, then: string): string[] {
  const script = `
    const { DataDirectory } = await import(${MODULE});
    try {
      const held = DataDirectory.open({ directory: ${JSON.stringify(directory)}, create: false });
      ${then}
    } catch (error) {
      console.log(JSON.stringify({ code: error.code, exitCode: error.exitCode, message: error.message }));
    }`;
  return ['--input-type=module', '-e', script];
}

describe('making a data directory', () => {
  test('a new one is private, says whose it is, and has a directory for each shard', () => {
    using at = place();
    using made = make(at.directory, 3);
    expect(statSync(at.directory).mode & 0o777).toBe(0o700);
    expect(readdirSync(at.directory).toSorted()).toEqual([
      'lock',
      'lock.pid',
      'shard-000',
      'shard-001',
      'shard-002',
      'sycee.json',
    ]);
    expect(made.meta).toMatchObject({ format: 3, shards: 3 });
    expect(made.meta.clusterId).toMatch(/^[0-9a-f]{32}$/);
    expect(made.shardDirectory(2)).toBe(join(at.directory, 'shard-002'));
    expect(JSON.parse(readFileSync(join(at.directory, 'sycee.json'), 'utf8'))).toEqual({
      ...made.meta,
      checksum: metaChecksum(made.meta),
    });
  });

  test('an existing one keeps what it says of itself', () => {
    using at = place();
    using made = make(at.directory, 2);
    made.close();
    using again = DataDirectory.open({ directory: at.directory, create: true });
    expect(again.meta).toEqual(made.meta);
  });

  test('a creation that was cut short is begun anew', () => {
    using at = place();
    mkdirSync(join(at.directory, 'shard-004'), { recursive: true });
    writeFileSync(join(at.directory, 'sycee.json.new'), '{"form');
    writeFileSync(join(at.directory, 'lock'), '');
    using made = make(at.directory, 1);
    expect(made.meta.shards).toBe(1);
    expect(existsSync(join(at.directory, 'shard-004'))).toBe(false);
  });
});

describe('a directory is refused, and left as it is,', () => {
  test('when there is none and none is to be made', () => {
    using at = place();
    expect(() => DataDirectory.open({ directory: at.directory, create: false })).toThrow(
      refusal('DATA_MISSING', 1, /no data directory/),
    );
    expect(existsSync(at.directory)).toBe(false);
  });

  test.each(['notes.txt', 'shard-000/segment-000000000001.sqlite'])(
    'when it holds %s and no sycee.json',
    (name) => {
      using at = place();
      mkdirSync(join(at.directory, 'shard-000'), { recursive: true });
      writeFileSync(join(at.directory, name), 'x');
      const before = readdirSync(at.directory, { recursive: true });
      expect(() => make(at.directory, 1)).toThrow(refusal('DATA_FOREIGN', 3, /is not empty/));
      expect(readdirSync(at.directory, { recursive: true })).toEqual(before);
    },
  );

  test.each([
    ['a file', [], 'is not a directory'],
    ['what a restore has left', ['restoring.json', 'shard-000/a'], 'Run ./sycee restore again'],
    ['a backup', ['backup.json', 'shard-000/a'], 'is a backup'],
  ])('when it is %s, with what to do', (_, names, sentence) => {
    using at = place();
    mkdirSync(dirname(at.directory), { recursive: true });
    if (names.length === 0) writeFileSync(at.directory, 'x');
    else mkdirSync(join(at.directory, 'shard-000'), { recursive: true });
    for (const name of names) writeFileSync(join(at.directory, name), 'x');
    expect(() => make(at.directory, 1)).toThrow(refusal('DATA_FOREIGN', 3, new RegExp(sentence)));
    expect(() => inspectDirectory(at.directory)).toThrow(sentence);
  });

  test('when its sycee.json is gone and its shards are not', () => {
    using at = place();
    make(at.directory, 1).close();
    rmSync(join(at.directory, 'sycee.json'));
    writeFileSync(join(at.directory, 'head'), 'x');
    writeFileSync(join(at.directory, 'shard-000', 'segment-000000000001.sqlite'), 'x');
    expect(() => make(at.directory, 1)).toThrow(
      refusal('DATA_DAMAGED', 3, /sycee\.json: it is missing/),
    );
  });

  test.runIf(existsSync('/proc/self'))('where nothing can be made', () => {
    expect(() => make('/proc/sycee/data', 1)).toThrow(/ENOENT.*\/proc\/sycee/);
    using at = place();
    mkdirSync(dirname(at.directory), { recursive: true });
    writeFileSync(at.directory, 'x');
    expect(() => make(join(at.directory, 'data'), 1)).toThrow(/is not a directory/);
  });

  test('when it is of another version', () => {
    using at = place();
    make(at.directory, 1).close();
    changeMeta(at.directory, { format: 1, shards: 'many' });
    expect(() => make(at.directory, 1)).toThrow(refusal('DATA_OTHER_VERSION', 3, /format 1/));
  });

  test('when it was made with another number of shards', () => {
    using at = place();
    make(at.directory, 2).close();
    expect(() => make(at.directory, 3)).toThrow(refusal('DATA_OTHER_SHARDS', 1, /with 2 shards/));
  });

  test('when its sycee.json is damaged', () => {
    using at = place();
    make(at.directory, 2).close();
    for (const change of [{ shards: 0 }, { clusterId: 'x' }, { seed: -1 }, { format: 'one' }]) {
      const file = join(at.directory, 'sycee.json');
      const before = readFileSync(file);
      changeMeta(at.directory, change);
      expect(() => make(at.directory, 2)).toThrow(refusal('DATA_DAMAGED', 3, /sycee\.json/));
      writeFileSync(file, before);
    }
    writeFileSync(join(at.directory, 'sycee.json'), '{"format": 2');
    expect(() => make(at.directory, 2)).toThrow(refusal('DATA_DAMAGED', 3, /not readable as JSON/));
  });

  test('when any bit of its sycee.json is flipped', () => {
    using at = place();
    make(at.directory, 1).close();
    const file = join(at.directory, 'sycee.json');
    const whole = readFileSync(file);
    for (let byte = 0; byte < whole.length; byte++) {
      const bytes = Buffer.from(whole);
      bytes[byte]! ^= 1 << (byte % 7);
      writeFileSync(file, bytes);
      expect(() => make(at.directory, 1), `byte ${byte}`).toThrow(
        expect.objectContaining({ exitCode: 3 }),
      );
    }
    for (const change of [{ checksum: '00000000' }, { checksum: undefined }, { seed: 1 }]) {
      writeFileSync(file, whole);
      changeMeta(at.directory, change);
      expect(() => make(at.directory, 1)).toThrow(
        refusal('DATA_DAMAGED', 3, /sycee\.json: the fields do not match their checksum/),
      );
    }
  });

  test('when the directory of a shard is missing', () => {
    using at = place();
    make(at.directory, 2).close();
    rmSync(join(at.directory, 'shard-001'), { recursive: true });
    expect(() => make(at.directory, 2)).toThrow(refusal('DATA_DAMAGED', 3, /shard-001/));
    expect(existsSync(join(at.directory, 'shard-001'))).toBe(false);
  });

  test('when this process holds it already', () => {
    using at = place();
    using held = make(at.directory, 1);
    expect(() => make(at.directory, 1)).toThrow(refusal('DATA_IN_USE', 4, /this very process/));
    held.close();
    held.close();
    make(at.directory, 1).close();
  });

  test('when another process holds it, whose pid is named', () => {
    using at = place();
    using held = make(at.directory, 1);
    expect(held.meta.shards).toBe(1);
    const child = spawnSync(process.execPath, openingScript(at.directory, ''), {
      encoding: 'utf8',
    });
    expect(JSON.parse(child.stdout)).toEqual({
      code: 'DATA_IN_USE',
      exitCode: 4,
      message: expect.stringContaining(`process ${process.pid}`) as string,
    });
    // The refused one left the lock with its holder.
    expect(readFileSync(join(at.directory, 'lock.pid'), 'utf8')).toBe(`${process.pid}\n`);
  });
});

test.each([
  ['text', (lock: string): void => writeFileSync(lock, 'somebody else wrote this'.repeat(50))],
  ['a directory', (lock: string): void => mkdirSync(lock)],
])('a lock that has become %s is refused with what to do, and is made anew', (_, become) => {
  using at = place();
  make(at.directory, 1).close();
  const lock = join(at.directory, 'lock');
  rmSync(lock);
  become(lock);
  expect(() => make(at.directory, 1)).toThrow(
    /^Cannot lock .*lock: SQLITE_\w+\. It is not the file .* move it away/,
  );
  rmSync(lock, { recursive: true });
  make(at.directory, 1).close();
});

test('the lock falls with a killed process', async () => {
  using at = place();
  make(at.directory, 1).close();
  const then = "console.log('held'); setInterval(() => {}, 1000);";
  const child = spawn(process.execPath, openingScript(at.directory, then));
  await once(child.stdout, 'data');
  expect(() => make(at.directory, 1)).toThrow(
    refusal('DATA_IN_USE', 4, new RegExp(`process ${child.pid}\\.`)),
  );
  child.kill('SIGKILL');
  await once(child, 'exit');
  using held = make(at.directory, 1);
  expect(held.meta.shards).toBe(1);
});
