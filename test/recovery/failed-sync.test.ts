import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Client } from '../../client/client.ts';
import { connectHttp } from '../../client/http-client.ts';
import { doubtfulWalsIn } from '../../persistence/doubtful-wal.ts';
import { startProcess, TempDirectory } from '../support/cluster.ts';
import { losePages } from '../support/lost-pages.ts';

const SOURCE = new URL('../support/failing-sync.c', import.meta.url).pathname;
/** The sealer moves the live WAL every 27 groups at the latest, of which each request is one here. */
const TRANSFERS = 60;

const hasCompiler = spawnSync('cc', ['--version']).status === 0;
const isLinux = process.platform === 'linux';

async function pay(client: Client, from: number, to: number): Promise<void> {
  for (let id = from; id <= to; id++) {
    const { results } = await client.createTransfers([
      { id: BigInt(id), debitAccountId: 1n, creditAccountId: 2n, amount: 1n, ledger: 1, code: 1 },
    ]);
    expect(results).toMatchObject([{ status: 'created' }]);
  }
}

test.runIf(hasCompiler && isLinux)(
  'what a segment could not sync is in its WAL, and outlives an orderly stop (needs a C compiler)',
  async () => {
    await using temp = new TempDirectory();
    const library = join(temp.path, 'failing-sync.so');
    const compiled = spawnSync('cc', ['-shared', '-fPIC', '-o', library, SOURCE, '-ldl']);
    expect(String(compiled.stderr)).toBe('');
    const directory = join(temp.path, 'data');
    const fails = join(temp.path, 'fails');
    {
      await using served = await startProcess({
        shards: 1,
        directory,
        env: { LD_PRELOAD: library, FAILING_SYNC_FROM: fails },
      });
      await using client = connectHttp(served.url);
      await client.createAccounts([1n, 2n].map((id) => ({ id, ledger: 1, code: 1 })));
      await pay(client, 1, TRANSFERS);
      writeFileSync(fails, '');
      await pay(client, TRANSFERS + 1, 2 * TRANSFERS);
      served.kill('SIGTERM');
      expect(await served.exit).toMatchObject({ code: 0 });
      expect(served.stderr).toContain('its WAL is held, and the next start moves it once more');
    }
    const shard = join(directory, 'shard-000');
    const segment = 'segment-000000000001';
    expect(doubtfulWalsIn(shard)).toHaveLength(1);
    losePages(join(shard, `${segment}.sqlite`));
    await using again = await startProcess({ directory });
    await using client = connectHttp(again.url);
    const ids = Array.from({ length: 2 * TRANSFERS }, (_, i) => BigInt(i + 1));
    expect((await client.lookupTransfers(ids)).transfers).toHaveLength(2 * TRANSFERS);
    const { accounts } = await client.lookupAccounts([2n]);
    expect(accounts).toMatchObject([{ creditsPosted: BigInt(2 * TRANSFERS) }]);
    expect(doubtfulWalsIn(shard)).toEqual([]);
  },
);
