import { readdirSync } from 'node:fs';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import type { AccountFilter } from '../engine/query.ts';
import { BuiltDirectory } from '../test/support/built-directory.ts';
import { BuiltJournals } from '../test/support/built-journals.ts';
import { EVERY_ROW } from '../test/support/query-filter.ts';
import type { HistoryPage } from './account-history.ts';
import { QueryDesk } from './query-desk.ts';

const NEVER = 8_640_000_000_000_000;

/** A desk over one shard's journal, with promises for its answers. */
class Asked implements Disposable {
  readonly built = new BuiltJournals(7, 1);
  readonly directory: BuiltDirectory;
  readonly #desk: QueryDesk;
  readonly #waiting = new Map<number, PromiseWithResolvers<object>>();
  #lastId = 0;

  constructor(steps: number, segmentBytesMax: number) {
    for (let i = 0; i < steps; i++) this.built.step();
    this.directory = new BuiltDirectory(this.built, segmentBytesMax);
    const { directories, clusterId } = this.directory;
    this.#desk = new QueryDesk(
      { directories, clusterId, shards: 1 },
      {
        answered: (id, answer) => this.#waiting.get(id)!.resolve(answer),
        failed: (id, { message }) => this.#waiting.get(id)!.reject(new Error(message)),
        noticed: () => undefined,
      },
    );
  }

  page(): Promise<HistoryPage> {
    const [accountId] = this.built.histories.keys();
    const head = { shard: 0, ...this.built.heads.get(accountId!)!, flags: 0 };
    const filter: AccountFilter = {
      ...EVERY_ROW,
      accountId: accountId!,
      debits: true,
      credits: true,
      reversed: true,
      limit: 10,
    };
    return this.#ask({ type: 'accountTransfers', filter, head }) as Promise<HistoryPage>;
  }

  transfers(): Promise<{ readonly n: number }> {
    return this.#ask({ type: 'transfers', filter: EVERY_ROW }) as Promise<{ readonly n: number }>;
  }

  /** Files of indexes that are there. */
  indexes(): number {
    const [directory] = this.directory.directories;
    return readdirSync(directory!).filter((name) => name.endsWith('.index')).length;
  }

  [Symbol.dispose](): void {
    this.#desk.close();
    this.directory[Symbol.dispose]();
  }

  #ask(question: Parameters<QueryDesk['ask']>[1]): Promise<object> {
    const waiting = Promise.withResolvers<object>();
    const id = ++this.#lastId;
    this.#waiting.set(id, waiting);
    this.#desk.ask(id, question, NEVER);
    return waiting.promise;
  }
}

describe('the desk of questions', () => {
  test('the indexes are brought up to date when nobody asks', async () => {
    using asked = new Asked(60, 50_000);
    await asked.page();
    expect(asked.indexes()).toBe(0);
    while (asked.indexes() === 0) await pause(5);
  });

  test('and, slowly, while page after page is asked for', async () => {
    using asked = new Asked(25, 50_000);
    let now = 0;
    using _ = vi.spyOn(performance, 'now').mockImplementation(() => (now += 100));
    for (let pages = 0; asked.indexes() === 0; pages++) {
      expect((await asked.page()).n).toBeGreaterThan(0);
      expect(pages).toBeLessThan(1000);
    }
  });

  test('a question that needs them is answered while they are half done', async () => {
    using asked = new Asked(60, 50_000);
    await asked.page();
    await pause(15);
    const { n } = await asked.transfers();
    expect(n).toBe(asked.built.transfersOf[0]!.length);
    expect(asked.indexes()).toBeGreaterThan(0);
  });

  test('and does not wait long for that beside others', async () => {
    let now = 0;
    using _ = vi.spyOn(performance, 'now').mockImplementation(() => (now += 0.1));
    using asked = new Asked(100, 1_000_000);
    await asked.page();
    await pause(15);
    const waiting = new Set([1]);
    const answered = asked.transfers().finally(() => waiting.clear());
    let pages = 0;
    for (; waiting.size > 0; pages++) {
      await asked.page();
      await turn();
    }
    await answered;
    // As many steps as there are frames, of which a slice has about forty.
    expect(pages).toBeLessThan(20);
  });
});
