import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';

const HERE = import.meta.url;

/** What a thread says that runs this after the short cut is there. */
async function saidBy(code: string): Promise<unknown> {
  const source = `
    const { parentPort } = require('node:worker_threads');
    const load = (name) => import(new URL(name, '${HERE}'));
    void (async () => {
      (await load('./near-imports.ts')).shortenNearImports();
      parentPort.postMessage(await (async () => { ${code} })());
    })();`;
  const worker = new Worker(source, { eval: true });
  try {
    const [said] = (await once(worker, 'message')) as unknown[];
    return said;
  } finally {
    await worker.terminate();
  }
}

test('own files, packages, and built-in modules are found', async () => {
  const said = saidBy(`
    const { SqliteJournal } = await load('../persistence/sqlite-journal.ts');
    return SqliteJournal.name`);
  await expect(said).resolves.toBe('SqliteJournal');
});

test('each file is loaded once, whichever way it is named', async () => {
  const said = saidBy(`
    const journal = await load('../persistence/database.ts');
    return Object.is(journal, await load('../lib/./../persistence/database.ts'))`);
  await expect(said).resolves.toBe(true);
});

test('a file that is not there is said to be missing', async () => {
  const said = saidBy(`
    const name = './not-there.ts';
    return import(name).catch((error) => error.code)`);
  await expect(said).resolves.toMatch(/^(ENOENT|ERR_MODULE_NOT_FOUND)$/u);
});
