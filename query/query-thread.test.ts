import { describe, expect, test } from 'vitest';
import type { AccountFilter } from '../engine/query.ts';
import { BuiltDirectory } from '../test/support/built-directory.ts';
import { BuiltJournals } from '../test/support/built-journals.ts';
import { EVERY_ROW } from '../test/support/query-filter.ts';
import type { AccountHead } from './account-history.ts';
import type { ReadProblem } from './query-damage.ts';
import { QueryThread } from './query-thread.ts';

const NEVER = 8_640_000_000_000_000;

class Ledger implements AsyncDisposable {
  readonly built = new BuiltJournals(31, 3);
  readonly directory: BuiltDirectory;
  readonly thread: QueryThread;
  readonly problems: ReadProblem[] = [];

  constructor(steps: number) {
    for (let i = 0; i < steps; i++) this.built.step();
    this.directory = new BuiltDirectory(this.built, 150_000);
    const { directories, clusterId } = this.directory;
    this.thread = QueryThread.start({ directories, clusterId, shards: 3 }, (problem) =>
      this.problems.push(problem),
    );
  }

  busiest(): { readonly filter: AccountFilter; readonly head: AccountHead; readonly n: number } {
    const [accountId, entries] = [...this.built.histories].toSorted(
      (one, two) => two[1].length - one[1].length,
    )[0]!;
    const { shard, row } = this.built.accounts.find(({ id }) => id === accountId)!;
    const head = { shard, ...this.built.heads.get(accountId)!, flags: row[29]! >>> 16 };
    return {
      filter: { ...EVERY_ROW, accountId, debits: true, credits: true },
      head,
      n: entries.length,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.thread.stop();
    this.directory[Symbol.dispose]();
  }
}

function rejected(code: string): Error {
  return expect.objectContaining({ name: 'SyceeError', code }) as Error;
}

describe('the reader of journals', () => {
  test('answers every kind of question', async () => {
    await using ledger = new Ledger(200);
    const { built, thread } = ledger;
    const { filter, head, n } = ledger.busiest();
    const [history, balances, transfers, accounts, changes] = await Promise.all([
      thread.accountTransfers(filter, head, NEVER),
      thread.accountBalances(filter, { ...head, flags: 0 }, NEVER),
      thread.transfers(EVERY_ROW, NEVER),
      thread.accountIds(EVERY_ROW, NEVER),
      thread.changes(
        { timestampMin: 0n, timestampMax: 0n, limit: 8189, cursor: '' },
        built.watermark(),
        NEVER,
      ),
    ]);
    expect(history.n).toBe(n);
    expect(balances.n).toBe(0);
    expect(transfers.n).toBe(built.transfersOf.flat().length);
    expect(accounts.n).toBe(built.accounts.length);
    const watermark = built.watermark();
    expect(changes.n).toBe(built.changes.filter(({ key }) => key < watermark).length);
    expect(transfers.positions.map(({ sequence }) => sequence)).toEqual(
      built.frames.map((frames) => frames.length),
    );
    expect(transfers.positions.map(({ timestamp }) => timestamp)).toEqual(
      built.frames.map((frames) => frames.at(-1)!.timestamp),
    );
  });

  test('refuses what is late, unusable, or too much, each with its code', async () => {
    await using ledger = new Ledger(20);
    const { thread } = ledger;
    await expect(thread.transfers(EVERY_ROW, 1)).rejects.toEqual(rejected('deadline_exceeded'));
    await expect(thread.transfers({ ...EVERY_ROW, cursor: 'no' }, NEVER)).rejects.toMatchObject({
      code: 'malformed_request',
      field: 'cursor',
      rule: 'cursor',
    });
    const many = Array.from({ length: 300 }, () => thread.transfers(EVERY_ROW, NEVER));
    const codes = (await Promise.allSettled(many)).map((one) =>
      one.status === 'rejected' ? (one.reason as { code: string }).code : 'answered',
    );
    expect(codes.filter((code) => code === 'answered').length).toBe(256);
    expect(codes.filter((code) => code === 'overloaded').length).toBe(44);
  });

  test('refuses what it did not get to when it stops, and everything after', async () => {
    await using ledger = new Ledger(20);
    const { thread } = ledger;
    const waiting = thread.transfers(EVERY_ROW, NEVER);
    const [refused] = await Promise.allSettled([waiting, thread.stop()]);
    expect(refused).toEqual({ status: 'rejected', reason: rejected('shard_unavailable') });
    await expect(thread.transfers(EVERY_ROW, NEVER)).rejects.toEqual(rejected('shard_unavailable'));
  });

  test('a journal that cannot be read is a question to ask again', async () => {
    const nowhere = { directories: ['/nowhere/at/all'], clusterId: 'x'.repeat(32), shards: 1 };
    const problems: ReadProblem[] = [];
    const thread = QueryThread.start(nowhere, (problem) => problems.push(problem));
    await expect(thread.transfers(EVERY_ROW, NEVER)).rejects.toEqual(rejected('shard_unavailable'));
    await thread.stop();
    const text = expect.stringContaining('/nowhere/at/all') as string;
    expect(problems).toEqual([{ isDamage: false, text }]);
  });
});
