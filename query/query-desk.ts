/**
 * Works on questions about the journals, several at a time, each for a slice and then the next: a page of an account's history does not wait for
 * a long search. What nobody asked for, bringing the indexes up to date, is one more such work, with pauses when it is alone.
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
/** Between two slices of bringing the indexes up to date when nobody waits: it takes a tenth of a core at most. */
const REFRESH_PAUSE_MS = 36;
const REFRESH_INTERVAL_MS = 1000;
const FILTERS_BYTES_MAX = 96 << 20;

interface Job {
  readonly id: number;
  readonly deadlineMs: number;
  readonly work: Generator<Pause, object>;
}

/** The number of the work that nobody asked for. */
const REFRESH = 0;

export class QueryDesk {
  readonly #options: QueryDeskOptions;
  readonly #replies: QueryReplies;
  #readers: readonly ShardReader[] | undefined;
  #feed: ChangeFeed | undefined;
  readonly #memory = new FilterMemory(FILTERS_BYTES_MAX);
  readonly #jobs: Job[] = [];
  #turn: NodeJS.Immediate | NodeJS.Timeout | undefined;
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

  *#refresh(): Generator<Pause, object> {
    for (const { index } of this.#readers ?? []) yield* index.refresh();
    return {};
  }

  #schedule(): void {
    if (this.#isClosed) return;
    this.#clearTurn();
    if (this.#jobs.some(({ id }) => id !== REFRESH)) {
      this.#turn = setImmediate(() => this.#run());
    } else {
      const pause = this.#jobs.length > 0 ? REFRESH_PAUSE_MS : REFRESH_INTERVAL_MS;
      this.#turn = setTimeout(() => this.#run(), pause).unref();
    }
  }

  #clearTurn(): void {
    if (this.#turn === undefined) return;
    clearImmediate(this.#turn as NodeJS.Immediate);
    clearTimeout(this.#turn as NodeJS.Timeout);
    this.#turn = undefined;
  }

  /** One slice of one job, which then goes to the end of the line. */
  #run(): void {
    if (this.#jobs.length === 0) {
      this.#jobs.push({ id: REFRESH, deadlineMs: Infinity, work: this.#refresh() });
    }
    const job = this.#jobs.shift()!;
    try {
      const answer = slice(job);
      if (answer === undefined) this.#jobs.push(job);
      else if (job.id !== REFRESH) this.#replies.answered(job.id, answer);
    } catch (error: unknown) {
      // What brings the index up to date meets the same damage as the questions do, and these say it.
      if (job.id !== REFRESH) this.#replies.failed(job.id, failureOf(error));
    }
    this.#schedule();
  }
}

/** Undefined when there is more to do. */
function slice({ work, deadlineMs }: Job): object | undefined {
  if (Date.now() > deadlineMs) {
    work.return({});
    throw new SyceeError('deadline_exceeded', 'the deadline passed before the answer was found');
  }
  const end = performance.now() + SLICE_MS;
  do {
    const step = work.next();
    if (step.done === true) return step.value;
    if (step.value === 'waiting') return undefined;
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
