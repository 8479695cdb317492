/**
 * One create request at the router: its parts on the shards, and the outcomes as they come back, in request order. Settles once; its events
 * count as in flight until every part is answered or its shard is gone, whatever the caller was told meanwhile.
 */
import { assert } from '../engine/assert.ts';
import { Reply, REPLY_HEAD_WORDS, ReplyKind } from '../engine/open-requests.ts';
import type { CreateReply, Position } from '../engine/reply.ts';
import { EventState } from '../engine/status.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { segmentName } from '../persistence/segment.ts';
import { EvenOutcomes } from './even-outcomes.ts';
import type { Call } from './router.ts';
import type { InFlight } from './shard-client.ts';

export interface CreateCallOptions {
  readonly n: number;
  readonly deadlineMs: number;
  readonly release: (call: Call) => void;
}

const FEW = 4;
/** With more rows an array lies outside V8's heap. */
const MANY = 32;

const NO_STATUSES = new Uint16Array(0);
const NO_TIMESTAMPS = new BigUint64Array(0);

export class CreateCall implements Call {
  readonly promise: Promise<CreateReply>;
  readonly deadlineMs: number;
  readonly events: number;
  slot = -1;
  isDone = false;
  readonly #release: (call: Call) => void;
  #resolve!: (reply: CreateReply) => void;
  #reject!: (error: SyceeError) => void;
  #statuses = NO_STATUSES;
  #timestamps = NO_TIMESTAMPS;
  /** The timestamps as words, for a batch; a few are written one by one, since a view costs more than they do. */
  #stamps: Uint32Array | null = null;
  /** In place of the arrays. */
  #even: EvenOutcomes | null = null;
  readonly #positions: Position[] = [];
  #partsOut = 0;
  #notStarted = 0;
  #isStarted = false;
  #isLost = false;
  /** Why a shard did not start its part, when it was not for the deadline. */
  #refusal: SyceeError | null = null;
  #nextRows = 0;
  #next: (() => void) | null = null;
  #onOutcomes: ((statuses: Uint16Array) => void)[] | null = null;

  constructor({ n, deadlineMs, release }: CreateCallOptions) {
    this.events = n;
    this.deadlineMs = deadlineMs;
    this.#release = release;
    if (n <= MANY) this.#makeArrays();
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** A part that goes to a shard. `rows` are its rows in the request, null for all. */
  part(rows: Uint16Array | null): InFlight {
    this.#partsOut++;
    this.#isStarted = true;
    return {
      answered: (shard, words, at) => {
        this.#take(shard, words, at, rows);
        this.#partDone();
      },
      failed: () => {
        this.#lose();
        this.#partDone();
      },
    };
  }

  /** What is to be done with so many rows when every part of the first round is answered. */
  whenAnswered(rows: number, next: () => void): void {
    assert(this.#partsOut > 0, 'the first conflict is with something of the first round');
    this.#next = next;
    this.#nextRows = rows;
  }

  /** Who is told the outcomes when all of them are there, before the caller; each in turn. */
  whenOutcomes(onOutcomes: (statuses: Uint16Array) => void): void {
    this.#onOutcomes ??= [];
    this.#onOutcomes.push(onOutcomes);
  }

  /** Of the rows that are answered; 0 of the others. */
  get statuses(): Uint16Array {
    return this.#even?.statuses ?? this.#statuses;
  }

  /** Nothing was sent, and nothing will be. */
  refuse(error: SyceeError): void {
    assert(!this.#isStarted, 'nothing was sent');
    this.#release(this);
    this.#settle(error);
  }

  /** The second round has nowhere to go. */
  abandon(): void {
    this.#lose();
    if (this.#partsOut === 0) this.#finish();
  }

  expire(): void {
    if (!this.#isStarted) {
      this.#settle(late());
      return;
    }
    this.#settle(
      new SyceeError(
        'unknown',
        'the deadline passed before the answer came: it may or may not have happened, ask again with the same ids',
      ),
    );
  }

  #take(shard: number, words: Uint32Array, at: number, rows: Uint16Array | null): void {
    const count = rows === null ? this.events : rows.length;
    const kind = words[at + Reply.kind]!;
    if (kind !== ReplyKind.created) {
      this.#notStarted += count;
      if (kind === ReplyKind.overloaded) this.#refusal ??= overloaded();
      if (kind === ReplyKind.storageFull) this.#refusal = storageFull();
      if (kind === ReplyKind.archived) this.#refusal = archived(positionOf(shard, words, at));
      if (kind === ReplyKind.damaged) this.#refusal = damaged(shard);
      return;
    }
    assert(words[at + Reply.n] === count, 'an outcome for every row');
    this.#takeOutcomes(words, at, rows);
    this.#positions.push(positionOf(shard, words, at));
  }

  #takeOutcomes(words: Uint32Array, at: number, rows: Uint16Array | null): void {
    const count = rows === null ? this.events : rows.length;
    if (this.#statuses.length < this.events) {
      if (rows === null) this.#even = EvenOutcomes.read(words, at + REPLY_HEAD_WORDS, count);
      if (this.#even !== null) return;
      this.#makeArrays();
    }
    const halves = at + REPLY_HEAD_WORDS + 2 * count;
    for (let i = 0; i < count; i++) {
      const row = rows === null ? i : rows[i]!;
      const status = (words[halves + (i >> 1)]! >>> ((i & 1) * 16)) & 0xffff;
      if (status === EventState.notStarted) this.#notStarted++;
      this.#statuses[row] = status;
      const low = words[at + REPLY_HEAD_WORDS + 2 * i]!;
      const high = words[at + REPLY_HEAD_WORDS + 2 * i + 1]!;
      if (this.#stamps === null) this.#timestamps[row] = (BigInt(high) << 32n) | BigInt(low);
      else {
        this.#stamps[2 * row] = low;
        this.#stamps[2 * row + 1] = high;
      }
    }
  }

  #makeArrays(): void {
    const { events: n } = this;
    this.#statuses = new Uint16Array(n);
    this.#timestamps = new BigUint64Array(n);
    this.#stamps = n > FEW ? new Uint32Array(this.#timestamps.buffer) : null;
  }

  #partDone(): void {
    this.#partsOut--;
    if (this.#partsOut > 0) return;
    const next = this.#next;
    this.#next = null;
    if (next === null) {
      this.#finish();
      return;
    }
    // A second round after a loss, past the deadline, or after half a first round would be one more half: the caller asks again for all.
    if (!this.#isLost && !this.isDone && this.#notStarted === 0) next();
    else {
      this.#notStarted += this.#nextRows;
      this.#finish();
    }
  }

  #finish(): void {
    this.#release(this);
    if (this.#onOutcomes !== null && this.#notStarted === 0 && !this.#isLost) {
      for (const onOutcomes of this.#onOutcomes) onOutcomes(this.statuses);
    }
    if (this.isDone) return;
    if (this.#notStarted === 0) {
      this.isDone = true;
      this.#resolve(this.#reply());
    } else if (this.#notStarted === this.events) {
      this.#settle(this.#refusal ?? late());
    } else {
      this.#settle(
        new SyceeError(
          'unknown',
          'a part of the batch was not started: ask again with the same ids',
        ),
      );
    }
  }

  #reply(): CreateReply {
    if (this.#even !== null) return this.#even.reply(this.#positions);
    const { events: n } = this;
    return {
      n,
      statuses: this.#statuses,
      timestamps: this.#timestamps,
      positions: this.#positions,
    };
  }

  #lose(): void {
    this.#isLost = true;
    this.#settle(
      new SyceeError(
        'unknown',
        'a shard went away before it answered: it may or may not have happened, ask again with the same ids',
      ),
    );
  }

  #settle(error: SyceeError): void {
    if (this.isDone) return;
    this.isDone = true;
    this.#reject(error);
  }
}

export function positionOf(shard: number, words: Uint32Array, at: number): Position {
  return {
    shard,
    sequence: words[at + Reply.sequence]! + words[at + Reply.sequence + 1]! * 4294967296,
    timestamp: (BigInt(words[at + Reply.clock + 1]!) << 32n) | BigInt(words[at + Reply.clock]!),
  };
}

function archived({ shard, sequence }: Position): SyceeError {
  return new SyceeError(
    'segment_archived',
    `an id is known already, and its record lies in an archived segment that is not there: ${segmentName(sequence)} of shard ${shard}; ` +
      'nothing was done, ask again with the same ids when the archive is there',
  );
}

function damaged(shard: number): SyceeError {
  return new SyceeError(
    'shard_unavailable',
    `an id is known already, and its record cannot be read: the journal of shard ${shard} is damaged there, and the log of the server says where; nothing was done`,
  );
}

export function overloaded(): SyceeError {
  return new SyceeError(
    'overloaded',
    'more is under way than the ledger takes; nothing was done, ask again with the same ids',
  );
}

function storageFull(): SyceeError {
  return new SyceeError(
    'storage_full',
    'there is no room on the disk beyond the reserve of the server (--reserve-mib); nothing was done, ask again with the same ids when there is',
  );
}

export function late(): SyceeError {
  return new SyceeError('deadline_exceeded', 'the deadline had passed; nothing was started');
}
