/**
 * Answers questions about the past on a thread of its own, with its own read-only connections, so that they never slow an actor down. This is the
 * main thread's handle; the other end is in query-port.ts, so that whoever starts a ledger does not load what answers questions. The thread is
 * there from the first question on, and again after one that it did not survive. At most QUESTIONS_MAX wait; more are refused as overloaded.
 * Rejections are SyceeErrors.
 */
import { Worker } from 'node:worker_threads';
import { assert } from '../engine/assert.ts';
import type { AccountFilter, ChangesFilter, QueryFilter } from '../engine/query.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import type { AccountHead, HistoryBalancesPage, HistoryPage } from './account-history.ts';
import type { FoundAccounts } from './account-query.ts';
import type { FoundChanges } from './change-feed.ts';
import { type OnReadProblem, type ReadProblem, readProblem, readRefusal } from './query-damage.ts';
import type { QueryDeskOptions, QueryFailure, Question } from './query-desk.ts';
import type { FoundTransfers } from './transfer-query.ts';

export type QueryThreadOptions = QueryDeskOptions;

const QUESTIONS_MAX = 256;

export type ToThread =
  | {
      readonly type: 'ask';
      readonly id: number;
      readonly question: Question;
      readonly deadlineMs: number;
    }
  | { readonly type: 'stop' };
export type FromThread =
  | { readonly type: 'answered'; readonly id: number; readonly answer: object }
  | { readonly type: 'failed'; readonly id: number; readonly failure: QueryFailure }
  | { readonly type: 'noticed'; readonly problem: ReadProblem };

interface Waiting {
  readonly resolve: (answer: object) => void;
  readonly reject: (error: SyceeError) => void;
}

export class QueryThread {
  readonly #options: QueryThreadOptions;
  readonly #onProblem: OnReadProblem;
  #worker: Worker | undefined;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #isStopping = false;

  private constructor(options: QueryThreadOptions, onProblem: OnReadProblem) {
    this.#options = options;
    this.#onProblem = onProblem;
  }

  /** `onProblem` is told why something could not be read, each time. */
  static start(options: QueryThreadOptions, onProblem: OnReadProblem): QueryThread {
    assert(options.directories.length === options.shards, 'each shard has its directory');
    return new QueryThread(options, onProblem);
  }

  /** `head` is what the account's owner answers to accountHeads; asked before, so that own acknowledged writes are seen. */
  accountTransfers(
    filter: AccountFilter,
    head: AccountHead,
    deadlineMs: number,
  ): Promise<HistoryPage> {
    return this.#ask({ type: 'accountTransfers', filter, head }, deadlineMs);
  }

  accountBalances(
    filter: AccountFilter,
    head: AccountHead,
    deadlineMs: number,
  ): Promise<HistoryBalancesPage> {
    return this.#ask({ type: 'accountBalances', filter, head }, deadlineMs);
  }

  transfers(filter: QueryFilter, deadlineMs: number): Promise<FoundTransfers> {
    return this.#ask({ type: 'transfers', filter }, deadlineMs);
  }

  accountIds(filter: QueryFilter, deadlineMs: number): Promise<FoundAccounts> {
    return this.#ask({ type: 'accountIds', filter }, deadlineMs);
  }

  /** `watermark`, ns: nothing before it is unresolved on any shard, and all of it is durable. */
  changes(filter: ChangesFilter, watermark: bigint, deadlineMs: number): Promise<FoundChanges> {
    return this.#ask({ type: 'changes', filter, watermark }, deadlineMs);
  }

  /** Ends the thread after the slice that it is at; what waits is refused. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    this.#refuseAll(new Error('the ledger is stopping'));
    worker.postMessage({ type: 'stop' } satisfies ToThread, []);
    await ended;
  }

  /** The answer's type belongs to the question's. */
  #ask<Answer extends object>(question: Question, deadlineMs: number): Promise<Answer> {
    if (this.#isStopping) return Promise.reject(unavailable(undefined));
    if (this.#waiting.size >= QUESTIONS_MAX) {
      const message = `${QUESTIONS_MAX} questions about the past wait already; ask again later`;
      return Promise.reject(new SyceeError('overloaded', message));
    }
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const id = ++this.#lastId;
    return new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(id, { resolve: (answer) => resolve(answer as Answer), reject });
      worker.postMessage({ type: 'ask', id, question, deadlineMs } satisfies ToThread, []);
    });
  }

  #start(): Worker {
    const entry = new URL('./query-worker.ts', import.meta.url);
    const worker = new Worker(entry, { workerData: this.#options, name: 'query' });
    worker.on('message', (message: FromThread) => this.#settle(message));
    worker.on('error', (error) => {
      this.#onProblem(readProblem(error));
      this.#refuseAll(error);
    });
    worker.on('exit', () => {
      this.#worker = undefined;
      this.#refuseAll(new Error('the reader of journals has ended'));
    });
    return worker;
  }

  #settle(message: FromThread): void {
    if (message.type === 'noticed') {
      this.#onProblem(message.problem);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    this.#waiting.delete(message.id);
    if (message.type === 'answered') {
      waiting.resolve(message.answer);
      return;
    }
    const { code, message: text, field, rule, problem } = message.failure;
    if (problem !== undefined) this.#onProblem(problem);
    waiting.reject(
      new SyceeError(code, text, {
        ...(field === undefined ? {} : { field }),
        ...(rule === undefined ? {} : { rule }),
        ...(problem === undefined ? {} : { cause: new Error(problem.text) }),
      }),
    );
  }

  #refuseAll(cause: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(unavailable(cause));
    this.#waiting.clear();
  }
}

function unavailable(cause: unknown): SyceeError {
  return new SyceeError('shard_unavailable', readRefusal('the journals', false), { cause });
}
