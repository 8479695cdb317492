/** A ledger does not live for its log: whoever read its output may go away, as a pipe to a program that ends, and it goes on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { askControl } from '../../control/control-client.ts';
import { TempDirectory } from '../support/cluster.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));

test('a ledger whose output nobody takes any more answers, and stops in order', async () => {
  await using directory = new TempDirectory();
  const args = [CLI, 'serve', '--data', directory.path, '--http', '127.0.0.1:0', '--json'];
  const child = spawn(process.execPath, args, { cwd: tmpdir(), stdio: ['ignore', 'pipe', 'pipe'] });
  const exit = once(child, 'exit');
  try {
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const { http } = JSON.parse(line) as { readonly http: string };
    child.stdout.destroy();
    child.stderr.destroy();
    const body = JSON.stringify([{ id: 1, ledger: 1, code: 1 }]);
    const headers = { 'content-type': 'application/json' };
    const made = await fetch(`${http}/v1/accounts`, { method: 'POST', headers, body });
    expect(made.status).toBe(200);
    // Both write a line.
    for (let i = 0; i < 2; i++) await askControl(directory.path, 'snapshot');
    expect((await fetch(`${http}/readyz`)).status).toBe(200);
    child.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
  }
});
