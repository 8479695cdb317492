import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { CONFIG_FILE, ConfigError, loadConfig } from './config.ts';
import { maskUrl } from './lib/nats-server.ts';

function load(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  file?: unknown,
): ReturnType<typeof loadConfig> {
  const directory = mkdtempSync(path.join(tmpdir(), 'config-'));
  try {
    if (file !== undefined) {
      const text = typeof file === 'string' ? file : JSON.stringify(file);
      writeFileSync(path.join(directory, CONFIG_FILE), text);
    }
    return loadConfig({ arguments: args, environment, directory });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('without anything the defaults hold, and nothing can change them', () => {
  const { config } = load([]);
  expect(config).toMatchObject({
    http: { host: '127.0.0.1', port: 7411 },
    nats: { type: 'off' },
    natsPrefix: 'sycee',
    shards: undefined,
    token: undefined,
    snapshotMinutes: 60,
    snapshotMib: 1024,
  });
  expect(path.basename(config.data)).toBe('data');
  expect(Object.isFrozen(config)).toBe(true);
});

test('a flag wins over the environment, the environment over the file, the file over the default', () => {
  const file = { shards: 2, http: '7002', 'nats-prefix': 'file', data: './there' };
  const environment = { SYCEE_HTTP: '7001', SYCEE_NATS_PREFIX: 'environment' };
  const { config, settings } = load(['--nats-prefix=flag'], environment, file);
  expect(config.natsPrefix).toBe('flag');
  expect(config.http).toEqual({ host: '127.0.0.1', port: 7001 });
  expect(config.shards).toBe(2);
  expect(path.isAbsolute(config.data)).toBe(true);
  const sources = Object.fromEntries(settings.map(({ option, source }) => [option, source]));
  expect(sources).toMatchObject({
    'nats-prefix': 'flag',
    http: 'environment',
    shards: 'file',
    nats: 'default',
  });
});

test('an empty variable counts as left out', () => {
  expect(load([], { SYCEE_TOKEN: '', SYCEE_HTTP: '' }).config.token).toBeUndefined();
});

test('secrets are masked where settings are shown', () => {
  const { settings } = load(['--nats', 'nats://user:secret@host:4222'], {
    SYCEE_TOKEN: 'very-secret',
  });
  expect(JSON.stringify(settings)).not.toContain('secret');
  expect(maskUrl('nats://a:b@one:1,nats://two:2')).toBe('nats://********@one:1,nats://two:2');
});

test.each([
  [['--http', 'off'], 'off'],
  [['--http', '8000'], { host: '127.0.0.1', port: 8000 }],
  [['--http', 'localhost:0'], { host: 'localhost', port: 0 }],
  [['--http', '[::1]:7411'], { host: '::1', port: 7411 }],
  [['--http', '0.0.0.0:7411', '--token', 'long-enough'], { host: '0.0.0.0', port: 7411 }],
])('%s is accepted', (args, expected) => {
  expect(load(args).config.http).toEqual(expected);
});

test.each([
  [['--snapshot-mib', '-1'], '--snapshot-mib "-1" must be a whole number from 0 to 1000000'],
  [['--shards', '0'], '--shards "0" must be a whole number from 1 to 64'],
  [['--shards', '65'], '--shards "65" must be a whole number from 1 to 64'],
  [['--shards', '1.5'], '--shards "1.5" must be a whole number from 1 to 64'],
  [['--shards'], 'option --shards needs a value'],
  [['--shards', '--json'], 'option --shards needs a value'],
  [['--shards', '1', '--shards', '2'], 'option --shards is given twice'],
  [['--shard', '1'], 'unknown option --shard, did you mean --shards?'],
  [['--json=yes'], 'option --json takes no value'],
  [['now'], 'unexpected argument "now": options begin with --'],
  [['--http', '70000'], '--http "70000" must be HOST:PORT, PORT, or off'],
  [['--http', 'http://x:1'], '--http "http://x:1" must be HOST:PORT, PORT, or off'],
  [['--nats', 'on'], '--nats "on" must be nats://HOST:PORT, auto, or off'],
  [['--nats-prefix', 'a.*'], '--nats-prefix "a.*" must be subject parts'],
  [['--nats-prefix', 'a..b'], '--nats-prefix "a..b" must be subject parts'],
  [['--token', 'short'], '--token must be 8 to 512 printable characters'],
  [['--data', ''], '--data "" must be the name of a directory'],
  [['--bytes-max', '1'], '--bytes-max "1" must be a whole number from 8388608'],
  [['--http', '0.0.0.0:1'], '--http 0.0.0.0:1 is open to other machines and so must have a token'],
  [['--http', 'example.org:1'], '--http example.org:1 is open to other machines'],
  [['--data', 'x', '--archive', 'x/y'], 'is in the data directory: name a place outside of it'],
  [['--archive', '/dev/null'], '--archive /dev/null is not a directory: name one, or a new place'],
  [['--config', 'nowhere.json'], 'cannot be read'],
] as const)('%s is refused with the option and the rule', (args, sentence) => {
  expect(() => load(args)).toThrow(ConfigError);
  expect(() => load(args)).toThrow(sentence);
});

test('a wrong value names the variable or the file that it came from', () => {
  expect(() => load([], { SYCEE_SHARDS: 'many' })).toThrow(
    'SYCEE_SHARDS "many" must be a whole number',
  );
  expect(() => load([], {}, { shards: 'many' })).toThrow(
    '"shards" in the configuration file "many" must be',
  );
  expect(() => load([], {}, { shard: 1 })).toThrow('unknown option "shard", did you mean shards?');
  expect(() => load([], {}, { shards: [1] })).toThrow('"shards" must be a string or a number');
  expect(() => load([], {}, '{')).toThrow('must be JSON');
  expect(() => load([], {}, '[]')).toThrow('must be one JSON object');
});
