/** What `scripts/with-node.sh` gives to the program that it starts, besides Node 26. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { TempDirectory } from '../support/cluster.ts';

const SCRIPT = join(import.meta.dirname, '../../scripts/with-node.sh');
const PROBE = "console.log(process.env['NODE_COMPILE_CACHE'] ?? 'none')";

let root: string;

/** A repository whose packages are installed, and which has nothing but a probe. */
beforeEach(async () => {
  const temp = new TempDirectory();
  root = temp.path;
  mkdirSync(join(root, 'scripts'));
  mkdirSync(join(root, 'node_modules/.bin'), { recursive: true });
  copyFileSync(SCRIPT, join(root, 'scripts/with-node.sh'));
  for (const name of ['package-lock.json', 'node_modules/.package-lock.json']) {
    writeFileSync(join(root, name), '{}');
  }
  writeFileSync(join(root, 'node_modules/.fitted-package-lock.json'), '{}');
  symlinkSync(process.execPath, join(root, 'node_modules/.bin/node'));
  writeFileSync(join(root, 'probe.mjs'), PROBE);
  return () => temp[Symbol.asyncDispose]();
});

function run(environment: NodeJS.ProcessEnv = {}): string {
  const { PATH } = process.env;
  const args = [join(root, 'scripts/with-node.sh'), join(root, 'probe.mjs')];
  const ran = spawnSync('sh', args, { env: { PATH, ...environment }, encoding: 'utf8' });
  expect([ran.status, ran.stderr]).toEqual([0, '']);
  return ran.stdout.trim();
}

test('what is compiled is kept among the packages', () => {
  const place = join(root, 'node_modules/.cache/compiled');
  expect(run()).toBe(place);
  expect(existsSync(place)).toBe(true);
});

test('a place that was named is used instead', () => {
  expect(run({ NODE_COMPILE_CACHE: join(root, 'mine') })).toBe(join(root, 'mine'));
});

test('where nothing can be written nothing is kept, and the program runs', () => {
  writeFileSync(join(root, 'node_modules/.cache'), 'a file in the way');
  expect(run()).toBe('none');
});
