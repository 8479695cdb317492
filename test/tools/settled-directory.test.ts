import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { TempDirectory } from '../support/cluster.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));

test('verbs for one directory find it as serve does', async () => {
  await using temp = new TempDirectory();
  const sycee = (args: readonly string[], given = ''): { status: number | null; stderr: string } =>
    spawnSync(process.execPath, [CLI, ...args], {
      cwd: temp.path,
      env: { ...process.env, SYCEE_DATA: given },
      encoding: 'utf8',
    });
  const settings = join(temp.path, 'sycee.config.json');
  writeFileSync(settings, JSON.stringify({ data: 'ledger' }));
  expect(sycee(['init', '--shards', '1']).status).toBe(0);
  for (const verb of ['verify', 'snapshot']) {
    expect({ verb, status: sycee([verb]).status }).toEqual({ verb, status: 0 });
    expect(sycee([verb], 'other').stderr).toContain(join(temp.path, 'other'));
    expect(sycee([verb, '--data', 'ledger'], 'other').status).toBe(0);
    expect(sycee([verb, '--data']).status).toBe(2);
  }
  expect(sycee(['inspect', '--data=ledger'], 'other').status).toBe(0);
  writeFileSync(settings, '{');
  const broken = sycee(['verify']);
  expect([broken.status, broken.stderr]).toEqual([2, expect.stringContaining('must be JSON')]);
});
