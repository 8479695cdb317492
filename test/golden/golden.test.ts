/**
 * Golden data directories, one for each format that was ever released, as a kill left them with work in flight. This program must come up from each, by every
 * way, in the state that was; and what it writes today must be what it wrote then, byte for byte. How one is added: docs/testing.md.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { main } from '../../cli.ts';
import { open } from '../../client/in-process-client.ts';
import { listSnapshots } from '../../persistence/snapshot-manifest.ts';
import { TempDirectory } from '../support/cluster.ts';
import { coldStart } from '../support/cold-start.ts';
import { copyDirectory } from '../support/damaged-directory.ts';
import { arrived, type GoldenFacts } from '../support/golden-facts.ts';
import { GOLDEN_NAME, GOLDEN_NOW } from '../support/golden-name.ts';
import { replayDirectory } from '../support/replay-directory.ts';

const GOLDEN = readdirSync(import.meta.dirname).filter((name) => GOLDEN_NAME.test(name));

test('the format that is written now has a golden directory', () => {
  expect(GOLDEN).toContain(GOLDEN_NOW);
});

describe.for(GOLDEN)('the golden directory of %s', (name) => {
  const golden = join(import.meta.dirname, name);
  const facts = JSON.parse(readFileSync(join(golden, 'facts.json'), 'utf8')) as GoldenFacts;
  const heads = facts.shards.map(({ sequence, digest }) => ({ sequence, digest }));
  const ids = {
    accounts: new Map(facts.accounts.map((one) => [one.name, BigInt(one.id)])),
    transfers: facts.transfers.map(({ id }) => BigInt(id)),
  };
  let temp: TempDirectory;
  let ledger: string;
  beforeAll(() => {
    temp = new TempDirectory();
  });
  afterAll(async () => temp[Symbol.asyncDispose]());
  /** A copy of its own for each test. */
  const copied = (as: string): string => {
    ledger = join(temp.path, as);
    copyDirectory(join(golden, 'ledger'), ledger);
    return ledger;
  };
  const snapshotsOf = (shard: number) => listSnapshots(join(ledger, `shard-00${shard}`));
  const sequences = (): readonly (readonly number[])[] =>
    facts.shards.map(({ shard }) => snapshotsOf(shard).map(({ sequence }) => sequence));

  test('comes up from its newest snapshots, from the older ones, and from the beginning, in one state', () => {
    const directory = copied('cold');
    const expected = { type: 'sound', shards: heads };
    expect(sequences()).toEqual(facts.shards.map(({ snapshots }) => snapshots.toReversed()));
    expect(Math.max(...sequences().map((of) => of.length))).toBe(2);
    while (sequences().flat().length > 0) {
      const from = sequences();
      expect({ from, ...coldStart(directory) }).toEqual({ from, ...expected });
      for (const { shard } of facts.shards) {
        const [newest] = snapshotsOf(shard);
        if (newest === undefined) continue;
        rmSync(newest.manifest);
        rmSync(newest.image);
      }
    }
    expect(coldStart(directory)).toEqual(expected);
  });

  test('is replayed from its first rows to the digests of its live state', () => {
    const replayed = replayDirectory(copied('replayed'));
    expect(replayed.map(({ sequence, digest }) => ({ sequence, digest }))).toEqual(heads);
  });

  test.for(['with its snapshots', 'without them'])(
    'starts %s, lets what was in flight arrive, and has its balances',
    async (way) => {
      const directory = copied(way);
      if (way !== 'with its snapshots') {
        for (const { manifest, image } of facts.shards.flatMap(({ shard }) => snapshotsOf(shard))) {
          rmSync(manifest);
          rmSync(image);
        }
      }
      const found = await arrived(directory, BigInt(facts.time), ids);
      expect(found).toEqual({ accounts: facts.accounts, transfers: facts.transfers });
    },
  );

  test('goes on: an id that failed stays burnt, and a new transfer is created', async () => {
    const directory = copied('on');
    const client = await open({ directory });
    const [debit, credit] = facts.accounts.map(({ id }) => BigInt(id));
    const one = {
      debitAccountId: debit!,
      creditAccountId: credit!,
      ledger: 7,
      code: 1,
      amount: 1n,
    };
    const { results } = await client.createTransfers(
      [BigInt(facts.burnt), 7_000_001n].map((id) => ({ ...one, id })),
    );
    await client.close();
    expect(results.map(({ status }) => status)).toEqual(['id_already_failed', 'created']);
    expect(replayDirectory(directory)).toHaveLength(facts.shards.length);
  });

  test('is sound by verify, and replay and inspect tell the same of it', async () => {
    const directory = copied('verified');
    const verified = await sycee('verify', directory);
    expect(verified).toMatchObject({ sound: true, findings: [] });
    const replayed = await sycee('replay', directory);
    const fromStart = await sycee('replay', directory, '--from-start');
    for (const document of [verified, replayed, fromStart]) {
      expect(document['shards']).toMatchObject(heads);
    }
    const { segments } = await sycee('inspect', directory);
    expect(segments).toHaveLength(2 * facts.shards.length);
  });
});

/** What a verb says as JSON, when all is well. */
async function sycee(...args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const out: string[] = [];
  const log: string[] = [];
  const output = { out: (text: string) => out.push(text), log: (line: string) => log.push(line) };
  const code = await main([...args, '--json'], output);
  expect({ code, log }).toEqual({ code: 0, log: [] });
  return JSON.parse(out.join('')) as Readonly<Record<string, unknown>>;
}

describe('what is written today', () => {
  const golden = join(import.meta.dirname, GOLDEN_NOW);

  test('is what was written then: the same rows, and the same bytes of everything that is not SQLite', async () => {
    await using temp = new TempDirectory();
    const again = join(temp.path, 'again');
    execFileSync(process.execPath, [join(import.meta.dirname, 'make-golden.ts'), again]);
    const then = join(temp.path, 'then');
    mkdirSync(then);
    cpSync(golden, then, { recursive: true });
    expect(contentOf(again)).toEqual(contentOf(then));
  });
});

/** Segments as their rows, since SQLite draws the salts of a WAL, and writes its version into each file; all else as it lies there. */
function contentOf(directory: string): ReadonlyMap<string, unknown> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => /\.(json|head|image|sqlite)$|\/head$/.test(name)).toSorted();
  return new Map(
    files.map((name) => {
      const path = join(directory, name);
      return [name, name.endsWith('.sqlite') ? rowsOf(path) : readFileSync(path).toString('hex')];
    }),
  );
}

function rowsOf(path: string): unknown {
  using database = new DatabaseSync(path);
  const all = (table: string): unknown => {
    const statement = database.prepare(`SELECT * FROM ${table} ORDER BY 1`);
    statement.setReadBigInts(true);
    return statement.all();
  };
  return { meta: all('meta'), rows: all('journal_row') };
}
