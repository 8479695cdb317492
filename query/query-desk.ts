/**
 * Works on questions about the journals, several at a time, each for a slice and then the next: a page of an account's history does not wait for
 * a long search. What nobody asked for, bringing the indexes up to date, goes on by one step at a time while nobody asks.
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
  readonly cause: string | undefined;
}

export interface QueryReplies {
  /** The buffers of the answer's arrays may be moved. */
  answered(id: number, answer: object): void;
  failed(id: number, failure: QueryFailure): void;
}

const SLICE_MS = 4;
/** After a step of bringing the indexes up to date, so many times as long there is none: it takes a tenth of a core at most. */
const REFRESH_PAUSES = 9;
const REFRESH_INTERVAL_MS = 1000;
/** Who asks one page after the other does not wait for such a step between two of them, ... */
const QUIET_MS = 10;
/** ... but for one in so long: what is put off for ever would be paid by the first question that needs the index. */
const REFRESH_PUT_OFF_MS = 400;
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
  #refreshing: Generator<Pause, void> | undefined;
  /** By the monotonic clock, ms. */
  #refreshFrom = 0;
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
    this.#refreshing?.return();
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
      this.#turn = setTimeout(() => this.#run(), due - performance.now()).unref();
    }
  }

  #clearTurn(): void {
    if (this.#turn === undefined) return;
    clearImmediate(this.#turn as NodeJS.Immediate);
    clearTimeout(this.#turn as NodeJS.Timeout);
    this.#turn = undefined;
  }

  /** One slice of one question, which then goes to the end of the line; when there is none, a step for the indexes. */
  #run(): void {
    const job = this.#jobs.shift();
    const isWanted = job === undefined || this.#answer(job) === 'waiting';
    const now = performance.now();
    if (isWanted || now > this.#refreshFrom + REFRESH_PUT_OFF_MS) this.#refresh(now);
    this.#schedule();
  }

  /** A question that is `waiting` needs the indexes, which are in the midst of being brought up to date. */
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

  #refresh(began: number): void {
    this.#refreshing ??= this.#refreshAll();
    let isDone: boolean;
    try {
      isDone = this.#refreshing.next().done === true;
    } catch {
      // Questions meet the same damage, and these say it.
      isDone = true;
    }
    if (isDone) this.#refreshing = undefined;
    const now = performance.now();
    this.#refreshFrom = now + (isDone ? REFRESH_INTERVAL_MS : (now - began) * REFRESH_PAUSES);
  }

  *#refreshAll(): Generator<Pause, void> {
    for (const { index } of this.#readers ?? []) yield* index.refresh();
  }
}

/** The answer, or why there is none yet. */
function slice({ work, deadlineMs }: Job): object | Pause {
  if (Date.now() > deadlineMs) {
    work.return({});
    throw new SyceeError('deadline_exceeded', 'the deadline passed before the answer was found');
  }
  const end = performance.now() + SLICE_MS;
  do {
    const step = work.next();
    if (step.done === true) return step.value;
    if (step.value === 'waiting') return 'waiting';
  } while (performance.now() < end);
  return undefined;
}

function failureOf(error: unknown): QueryFailure {
  if (error instanceof SyceeError) {
    const { code, message, field, rule } = error;
    return { code, message, field, rule, cause: undefined };
  }
  if (isSegmentArchived(error)) {
    const { message } = error;
    const none = { field: undefined, rule: undefined, cause: undefined };
    return { code: 'segment_archived', message, ...none };
  }
  return {
    code: 'shard_unavailable',
    message: 'the journal cannot be read just now; ask again',
    field: undefined,
    rule: undefined,
    cause: error instanceof Error ? (error.stack ?? error.message) : String(error),
  };
}
