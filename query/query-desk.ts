/**
 * Works on questions about the journals, several at a time, each for a slice and then the next: a page of an account's history does not wait for
 * a long search. What nobody asked for, bringing the indexes up to date, goes on a millisecond at a time while nobody asks.
 *
 * Lives on the reader thread; `QueryThread` is its other end. A question is refused when its deadline passes, also in the middle.
 */
import { performance } from 'node:perf_hooks';
import { unreachable } from '../engine/assert.ts';
import type { AccountFilter, ChangesFilter, QueryFilter } from '../engine/query.ts';
import { type ErrorCode, SyceeError } from '../lib/sycee-error.ts';
import { isSegmentArchived } from '../persistence/errors.ts';
import { accountBalances, type AccountHead, accountTransfers } from './account-history.ts';
import { queryAccountIds } from './account-query.ts';
import { ChangeFeed } from './change-feed.ts';
import type { Pause } from './pause.ts';
import { type ReadProblem, readProblem, readRefusal } from './query-damage.ts';
import { FilterMemory } from './segment-index.ts';
import { ShardReader } from './shard-reader.ts';
import { queryTransfers } from './transfer-query.ts';

export interface QueryDeskOptions {
  readonly shards: number;
  readonly clusterId: string;
  readonly directories: readonly string[];
}

export type Question =
  | {
      readonly type: 'accountTransfers' | 'accountBalances';
      readonly filter: AccountFilter;
      readonly head: AccountHead;
    }
  | { readonly type: 'transfers' | 'accountIds'; readonly filter: QueryFilter }
  | { readonly type: 'changes'; readonly filter: ChangesFilter; readonly watermark: bigint };

/** A SyceeError on its way to another thread. */
export interface QueryFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly field: string | undefined;
  readonly rule: string | undefined;
  /** What the log is to say. */
  readonly problem: ReadProblem | undefined;
}

export interface QueryReplies {
  /** The buffers of the answer's arrays may be moved. */
  answered(id: number, answer: object): void;
  failed(id: number, failure: QueryFailure): void;
  /** Nobody has asked for it yet. */
  noticed(problem: ReadProblem): void;
}

const SLICE_MS = 4;
/** So long the indexes are brought up to date at a time while nobody asks, and then for nine times as long not: a tenth of a core at most. */
const REFRESH_MS = 1;
const REFRESH_PAUSES = 9;
const REFRESH_INTERVAL_MS = 1000;
/** Who asks one page after the other does not wait for that between two of them, ... */
const QUIET_MS = 10;
/** ... but for a step in so long: a hundredth of the time. The rest is paid by the first question that needs the index. */
const REFRESH_PUT_OFF_MS = 100;
const FILTERS_BYTES_MAX = 96 << 20;

interface Job {
  readonly id: number;
  readonly deadlineMs: number;
  readonly work: Generator<Pause, object>;
}

export class QueryDesk {
  readonly #options: QueryDeskOptions;
  readonly #replies: QueryReplies;
  #readers: readonly ShardReader[] | undefined;
  #feed: ChangeFeed | undefined;
  readonly #memory = new FilterMemory(FILTERS_BYTES_MAX);
  readonly #jobs: Job[] = [];
  #turn: NodeJS.Immediate | NodeJS.Timeout | undefined;
  #refreshing: Generator<Pause, object> | undefined;
  /** By the monotonic clock, ms. */
  #refreshFrom = performance.now();
  #askedAt = 0;
  #isClosed = false;

  constructor(options: QueryDeskOptions, replies: QueryReplies) {
    this.#options = options;
    this.#replies = replies;
  }

  ask(id: number, question: Question, deadlineMs: number): void {
    try {
      this.#jobs.push({ id, deadlineMs, work: this.#begin(question) });
    } catch (error: unknown) {
      this.#replies.failed(id, failureOf(error));
    }
    // Nobody is before it: most pages are answered within their first slice, and need not wait for the event loop's next turn.
    if (this.#jobs.length === 1 && !this.#isClosed) this.#run();
    else this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    this.#clearTurn();
    this.#refreshing?.return({});
    for (const { work } of this.#jobs) work.return({});
    this.#jobs.length = 0;
    for (const reader of this.#readers ?? []) reader.close();
    this.#readers = undefined;
  }

  #begin(question: Question): Generator<Pause, object> {
    const readers = this.#open();
    switch (question.type) {
      case 'accountTransfers':
        return accountTransfers(question.filter, question.head, readers[question.head.shard]!);
      case 'accountBalances':
        return accountBalances(question.filter, question.head, readers[question.head.shard]!);
      case 'transfers':
        return queryTransfers(question.filter, readers);
      case 'accountIds':
        return queryAccountIds(question.filter, readers);
      case 'changes':
        this.#feed ??= new ChangeFeed(readers);
        return this.#feed.page(question.filter, question.watermark);
      default:
        return unreachable(question);
    }
  }

  #open(): readonly ShardReader[] {
    if (this.#readers !== undefined) return this.#readers;
    const { shards, clusterId, directories } = this.#options;
    const readers: ShardReader[] = [];
    try {
      for (const [shard, directory] of directories.entries()) {
        readers.push(ShardReader.open({ directory, clusterId, shard, shards }, this.#memory));
      }
    } catch (error: unknown) {
      for (const reader of readers) reader.close();
      throw error;
    }
    this.#readers = readers;
    return readers;
  }

  #schedule(): void {
    if (this.#isClosed) return;
    this.#clearTurn();
    if (this.#jobs.length > 0) {
      this.#turn = setImmediate(() => this.#run());
    } else {
      const due = Math.max(this.#refreshFrom, this.#askedAt + QUIET_MS);
      const wait = Math.ceil(Math.max(due - performance.now(), 1));
      this.#turn = setTimeout(() => this.#run(), wait).unref();
    }
  }

  #clearTurn(): void {
    if (this.#turn === undefined) return;
    clearImmediate(this.#turn as NodeJS.Immediate);
    clearTimeout(this.#turn as NodeJS.Timeout);
    this.#turn = undefined;
  }

  /** One slice of one question, which then goes to the end of the line; when there is none, something for the indexes. */
  #run(): void {
    const job = this.#jobs.shift();
    if (job === undefined) this.#refresh(REFRESH_MS);
    else {
      const isWaiting = this.#answer(job) === 'waiting';
      // What a question waits for may be what was begun here, and nobody else would go on with that.
      if (isWaiting && this.#refreshing !== undefined) this.#refresh(SLICE_MS);
      else if (performance.now() > this.#refreshFrom + REFRESH_PUT_OFF_MS)
        this.#refresh(REFRESH_MS);
    }
    this.#schedule();
  }

  #answer(job: Job): Pause {
    let answer: Pause | object;
    try {
      answer = slice(job);
      if (typeof answer === 'object') this.#replies.answered(job.id, answer);
      else this.#jobs.push(job);
    } catch (error: unknown) {
      this.#replies.failed(job.id, failureOf(error));
      answer = undefined;
    }
    this.#askedAt = performance.now();
    return typeof answer === 'object' ? undefined : answer;
  }

  #refresh(sliceMs: number): void {
    const began = performance.now();
    this.#refreshing ??= this.#refreshAll();
    let isOver: boolean;
    try {
      isOver = typeof goOn(this.#refreshing, began + sliceMs) === 'object';
    } catch (error: unknown) {
      const { problem } = failureOf(error);
      if (problem !== undefined) this.#replies.noticed(problem);
      isOver = true;
    }
    if (isOver) this.#refreshing = undefined;
    const now = performance.now();
    const pause = (now - began) * REFRESH_PAUSES;
    this.#refreshFrom = now + (isOver ? Math.max(pause, REFRESH_INTERVAL_MS) : pause);
  }

  *#refreshAll(): Generator<Pause, object> {
    for (const { index } of this.#readers ?? []) yield* index.refresh();
    return {};
  }
}

/** The answer, or why there is none yet. */
function slice({ work, deadlineMs }: Job): object | Pause {
  if (Date.now() > deadlineMs) {
    work.return({});
    throw new SyceeError('deadline_exceeded', 'the deadline passed before the answer was found');
  }
  return goOn(work, performance.now() + SLICE_MS);
}

/** Steps until it is done, has to wait, or it is time for others; at least one. */
function goOn(work: Generator<Pause, object>, end: number): object | Pause {
  do {
    const step = work.next();
    if (step.done === true) return step.value;
    if (step.value === 'waiting') return 'waiting';
  } while (performance.now() < end);
  return undefined;
}

const NO_FIELD = { field: undefined, rule: undefined };

function failureOf(error: unknown): QueryFailure {
  if (error instanceof SyceeError) {
    const { code, message, field, rule } = error;
    return { code, message, field, rule, problem: undefined };
  }
  if (isSegmentArchived(error)) {
    const { message } = error;
    return { code: 'segment_archived', message, ...NO_FIELD, problem: undefined };
  }
  const problem = readProblem(error);
  const message = readRefusal('what was asked for', problem.isDamage);
  return { code: 'shard_unavailable', message, ...NO_FIELD, problem };
}
