/** The examples of docs/tools.md are run, in their order, and print what stands below them, as far as it is the same for every ledger. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { main } from '../../cli.ts';
import { open } from '../../client/in-process-client.ts';
import { Supervisor } from '../../sharding/supervisor.ts';
import { INSPECT_HELP } from '../../tools/inspect-options.ts';
import { REPLAY_HELP } from '../../tools/replay-options.ts';
import { VERIFY_HELP } from '../../tools/verify-options.ts';
import { TempDirectory } from '../support/cluster.ts';
import { ROOT } from '../support/source-files.ts';

const DOCUMENT = readFileSync(join(ROOT, 'docs/tools.md'), 'utf8');

interface Example {
  readonly args: readonly string[];
  readonly shows: readonly string[];
}

const EXAMPLES: readonly Example[] = [...DOCUMENT.matchAll(/^```\n([^`]*)^```$/gm)].flatMap(
  ([, block]) =>
    block!
      .split('$ ./sycee ')
      .slice(1)
      .map((text) => {
        const [command, ...lines] = text.trimEnd().split('\n');
        return { args: command!.split(' '), shows: lines.filter((line) => line !== '…') };
      }),
);

let own: TempDirectory;
/** The document cannot know of which sequence a snapshot is. */
let sequence = '';
beforeAll(async () => {
  own = new TempDirectory();
  const directory = join(own.path, 'data');
  await write(directory);
  const supervisor = await Supervisor.start({ directory });
  const [taken] = await supervisor.snapshot();
  await supervisor.stop();
  sequence = String(taken!.sequence).padStart(12, '0');
});
afterAll(async () => own[Symbol.asyncDispose]());

async function write(directory: string): Promise<void> {
  await using client = await open({ directory, shards: 2 });
  const accounts = [1n, 2n, 3n, 4n].map((id) => ({ id, ledger: 1, code: 1 }));
  await client.createAccounts(accounts);
  const [debitAccountId, creditAccountId] = [1n, 2n];
  const transfer = { id: 1000n, debitAccountId, creditAccountId, amount: 7n, ledger: 1, code: 1 };
  await client.createTransfers([transfer]);
}

test.each(EXAMPLES)('sycee $args does as the document says', async ({ args, shows }) => {
  const out: string[] = [];
  const log: string[] = [];
  const placed = args
    .map((one) => one.replace('N'.repeat(12), sequence))
    .map((one) => (/^data|\.csv$/.test(one) ? join(own.path, one) : one));
  const output = {
    out: (text: string) => out.push(text),
    log: (text: string) => log.push(text),
  };
  expect({ code: await main(placed, output), log }).toEqual({ code: 0, log: [] });
  const squeezed = out.join('\n').replaceAll(/ +/g, ' ');
  for (const line of shows) expect(squeezed).toContain(line.replaceAll(/ +/g, ' '));
});

test('there are examples, and every option of the tools is in the document or in its examples', () => {
  expect(EXAMPLES.length).toBeGreaterThan(10);
  const options = [REPLAY_HELP, VERIFY_HELP, INSPECT_HELP].flatMap((help) =>
    [...help.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, option]) => option!),
  );
  expect(options.filter((option) => !DOCUMENT.includes(option))).toEqual([]);
});
