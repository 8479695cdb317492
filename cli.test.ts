import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { main } from './cli.ts';

const CLI = fileURLToPath(new URL('./cli.ts', import.meta.url));

async function run(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly log: string }> {
  const out: string[] = [];
  const log: string[] = [];
  const code = await main(args, { out: (line) => out.push(line), log: (line) => log.push(line) });
  return { code, out: out.join('\n'), log: log.join('\n') };
}

test('without a verb, and with help, the verbs are listed', async () => {
  for (const args of [[], ['help'], ['--help'], ['-h']]) {
    const { code, out } = await run(...args);
    expect(code).toBe(0);
    for (const verb of ['serve', 'init', 'bench', 'replay', 'verify', 'inspect', 'version', 'help'])
      expect(out).toContain(`  ${verb} `);
  }
  expect(JSON.parse((await run('help', '--json')).out)).toMatchObject({ type: 'help' });
});

test('every verb has a usage with examples', async () => {
  for (const verb of ['serve', 'init', 'bench', 'replay', 'verify', 'inspect', 'version']) {
    for (const args of [
      [verb, '--help'],
      [verb, '-h'],
      ['help', verb],
    ]) {
      const { code, out } = await run(...args);
      expect(code).toBe(0);
      expect(out).toMatch(new RegExp(`^usage: sycee ${verb}`));
      expect(out).toContain('examples:');
    }
  }
});

test('the version is printed for people and for programs', async () => {
  expect((await run('version')).out).toMatch(/^sycee \d+\.\d+\.\d+ \(Node \d+/);
  expect((await run('--version')).out).toMatch(/^sycee /);
  expect(JSON.parse((await run('version', '--json')).out)).toMatchObject({ type: 'version' });
});

test.each([
  [['serv'], 'unknown verb "serv", did you mean serve?'],
  [['frobnicate'], 'unknown verb "frobnicate"; try "sycee help"'],
  [['toString'], 'unknown verb "toString"'],
  [['help', 'srve'], 'unknown verb "srve", did you mean serve?'],
  [['serve', '--prot', '1'], 'unknown option --prot'],
  [['serve', '--shards', 'many'], '--shards "many" must be a whole number from 1 to 64'],
  [['init', 'here'], 'unexpected argument "here"'],
  [['replay', '--form', '2'], 'unknown option --form, did you mean --from?'],
  [['replay', '--to', 'noon'], '--to "noon" is neither a sequence'],
  [['replay', '--account', '-1'], '--account "-1" is not an id'],
  [['replay', '--account'], '--account needs a value'],
  [['verify', 'here', 'there'], 'unexpected argument "there"'],
  [['verify', '--json', '--json'], '--json is given twice'],
  [['verify', ''], 'the directory is empty text'],
  [['snapshot', '--now'], 'unknown option --now'],
  [['backup', 'data', ''], 'argument 2 is empty'],
  [['restore', 'backup', '', '--force'], 'argument 2 is empty'],
  [['inspect', '--frame', '1'], '--frame "1" is not SHARD:SEQUENCE'],
  [['inspect', '--links', '--pending'], '--pending and --links: one at a time'],
  [['version', '--loud'], 'unknown option --loud'],
])('wrong usage %s is exit code 2 and a sentence', async (args, sentence) => {
  const { code, out, log } = await run(...args);
  expect(code).toBe(2);
  expect(log).toContain(sentence);
  expect(out).toBe('');
});

test('who closes the output ends a command without a word, and an output that cannot be written is said in a sentence', () => {
  const say = (redirection: string): { readonly status: number | null; readonly stderr: string } =>
    spawnSync(
      'bash',
      ['-c', `set -o pipefail; "$0" "$1" help ${redirection}`, process.execPath, CLI],
      {
        encoding: 'utf8',
      },
    );
  expect(say('| true')).toMatchObject({ status: 141, stderr: '' });
  if (!existsSync('/dev/full')) return;
  expect(say('>/dev/full')).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(
      /^sycee: standard output cannot be written: ENOSPC.*\n$/,
    ) as string,
  });
});

test.each(['top', 'repl', 'completion'])('the verb %s is of a later version', async (verb) => {
  const { code, log } = await run(verb, '--help');
  expect(code).toBe(2);
  expect(log).toContain(`this version does not have "${verb}" yet`);
});

test('init --print-config makes nothing', async () => {
  const place = mkdtempSync(join(tmpdir(), 'sycee-cli-'));
  try {
    const directory = join(place, 'ledger');
    const { code, out } = await run('init', '--data', directory, '--print-config');
    expect({ code, isThere: existsSync(directory) }).toEqual({ code: 0, isThere: false });
    expect(out).toContain(directory);
  } finally {
    rmSync(place, { recursive: true });
  }
});

test('serve --print-config shows every value with its source, and starts nothing', async () => {
  const { code, out } = await run('serve', '--shards', '2', '--print-config');
  expect(code).toBe(0);
  expect(out).toMatch(/^shards +2 +flag$/m);
  expect(out).toMatch(/^http +127\.0\.0\.1:7411 +default$/m);
  const json = await run('serve', '--shards', '2', '--print-config', '--json');
  expect(JSON.parse(json.out)).toMatchObject({ type: 'config' });
});

test('a disk without room is named, with what to do', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sycee-full-'));
  try {
    // Where the file is written that says whose the directory is.
    symlinkSync('/dev/full', join(directory, 'sycee.json.new'));
    const { code, log } = await run('init', '--data', directory);
    expect(code).toBe(1);
    expect(log).toMatch(/^sycee: there is no room on the disk of .*ENOSPC.*Make room, and start/);
    expect(log).toContain(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
