/** Read requests at the router: parts on the shards, put together in request order when the last one has answered. */
import { assert } from '../engine/assert.ts';
import { ROW_WORDS } from '../engine/batch.ts';
import { Reply, REPLY_HEAD_WORDS } from '../engine/open-requests.ts';
import type { Position, RowsReply } from '../engine/reply.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { positionOf } from './create-call.ts';
import type { AccountHead } from './journal-queries.ts';
import { type RecordThread, WANTED_WORDS } from './record-thread.ts';
import type { Call } from './router.ts';
import type { InFlight } from './shard-client.ts';
import { POSITION_WORDS } from './shard-protocol.ts';

abstract class ReadCall<Result> implements Call {
  readonly promise: Promise<Result>;
  readonly deadlineMs: number;
  readonly events: number;
  slot = -1;
  isDone = false;
  protected readonly positions: Position[] = [];
  #release: (call: Call) => void = () => undefined;
  #resolve!: (result: Result) => void;
  #reject!: (error: SyceeError) => void;
  #partsOut = 0;

  constructor(n: number, deadlineMs: number) {
    this.events = n;
    this.deadlineMs = deadlineMs;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  onRelease(release: (call: Call) => void): void {
    this.#release = release;
  }

  part(rows: Uint16Array): InFlight {
    this.#partsOut++;
    return {
      answered: (shard, words, at) => {
        this.positions.push(positionOf(shard, words, at));
        this.take(shard, words, at, rows);
        this.#partDone();
      },
      failed: (shard) => {
        this.refuse(
          new SyceeError(
            'shard_unavailable',
            `shard ${shard} went away before it answered; ask again`,
          ),
        );
        this.#partDone();
      },
    };
  }

  refuse(error: SyceeError): void {
    if (this.isDone) return;
    this.isDone = true;
    this.#reject(error);
  }

  expire(): void {
    this.refuse(new SyceeError('deadline_exceeded', 'the deadline passed before the answer came'));
  }

  #partDone(): void {
    this.#partsOut--;
    if (this.#partsOut > 0) return;
    if (this.isDone) {
      this.#release(this);
      return;
    }
    const result = this.result();
    if (result instanceof Promise) {
      result.then(
        (value: Result) => this.#finish(value),
        (error: unknown) => {
          this.#release(this);
          this.refuse(error as SyceeError);
        },
      );
    } else this.#finish(result);
  }

  #finish(result: Result): void {
    this.#release(this);
    if (this.isDone) return;
    this.isDone = true;
    this.#resolve(result);
  }

  protected abstract take(shard: number, words: Uint32Array, at: number, rows: Uint16Array): void;
  /** Called when every part is there. What is still under way then counts as in flight. */
  protected abstract result(): Result | Promise<Result>;
}

export class AccountsCall extends ReadCall<RowsReply> {
  /** By row of the request: where its account lies in `#rows`, counted from 1. */
  readonly #places = new Uint16Array(this.events);
  readonly #rows = new Uint32Array(this.events * ROW_WORDS);
  #count = 0;

  protected take(_shard: number, words: Uint32Array, at: number, rows: Uint16Array): void {
    let from = at + REPLY_HEAD_WORDS;
    for (let i = 0; i < words[at + Reply.n]!; i++, from += 2 + ROW_WORDS) {
      const row = rows[words[from]!]!;
      this.#rows.set(words.subarray(from + 2, from + 2 + ROW_WORDS), this.#count * ROW_WORDS);
      this.#places[row] = ++this.#count;
    }
  }

  protected result(): RowsReply {
    const rows = new Uint32Array(this.#count * ROW_WORDS);
    let n = 0;
    for (const place of this.#places) {
      if (place === 0) continue;
      rows.set(this.#rows.subarray((place - 1) * ROW_WORDS, place * ROW_WORDS), n++ * ROW_WORDS);
    }
    return { n, rows, positions: this.positions };
  }
}

/** Positions from the shards, then their records from the reader thread: in request order, the lower shard first. */
export class TransfersCall extends ReadCall<RowsReply> {
  readonly #records: RecordThread;
  readonly #found: {
    readonly row: number;
    readonly shard: number;
    readonly low: number;
    readonly high: number;
    readonly pendingStatus: number;
  }[] = [];

  constructor(n: number, deadlineMs: number, records: RecordThread) {
    super(n, deadlineMs);
    this.#records = records;
  }

  protected take(shard: number, words: Uint32Array, at: number, rows: Uint16Array): void {
    for (let i = 0; i < words[at + Reply.n]!; i++) {
      const from = at + REPLY_HEAD_WORDS + i * POSITION_WORDS;
      const row = rows[words[from]!]!;
      const low = words[from + 1]!;
      const high = words[from + 2]!;
      this.#found.push({ row, shard, low, high, pendingStatus: words[from + 3]! });
    }
  }

  protected result(): RowsReply | Promise<RowsReply> {
    const { positions } = this;
    if (this.#found.length === 0) {
      return { n: 0, rows: new Uint32Array(0), positions, pendingStatuses: new Uint8Array(0) };
    }
    const found = this.#found.toSorted((a, b) => a.row - b.row || a.shard - b.shard);
    const wanted = new Uint32Array(found.length * WANTED_WORDS);
    for (let i = 0; i < found.length; i++) {
      const { shard, low, high } = found[i]!;
      wanted.set([shard, low, high], i * WANTED_WORDS);
    }
    const pendingStatuses = Uint8Array.from(found, ({ pendingStatus }) => pendingStatus);
    return this.#records
      .read(wanted, this.deadlineMs)
      .then((rows) => ({ n: rows.length / ROW_WORDS, rows, positions, pendingStatuses }));
  }
}

/** What became of pending transfers: by row of the request, and 0 for what the shard that was asked does not have. */
export class StatusesCall extends ReadCall<Uint8Array> {
  readonly #statuses = new Uint8Array(this.events);

  protected take(_shard: number, words: Uint32Array, at: number, rows: Uint16Array): void {
    for (let i = 0; i < words[at + Reply.n]!; i++) {
      const from = at + REPLY_HEAD_WORDS + i * POSITION_WORDS;
      this.#statuses[rows[words[from]!]!] = words[from + 3]!;
    }
  }

  protected result(): Uint8Array {
    return this.#statuses;
  }
}

/** Words of an entry: {row of the request, head low, head high, flags}. */
const HEAD_ENTRY_WORDS = 4;

/** Where an account's history begins, with the position of the shard that said so; null for an account that is not there. */
export class HeadCall extends ReadCall<{
  readonly head: AccountHead | null;
  readonly positions: readonly Position[];
}> {
  #head: AccountHead | null = null;

  protected take(shard: number, words: Uint32Array, at: number): void {
    if (words[at + Reply.n] === 0) return;
    assert(words[at + Reply.n] === 1, 'one account was asked for');
    const from = at + REPLY_HEAD_WORDS;
    assert(from + HEAD_ENTRY_WORDS <= words.length, 'an entry is there');
    const [low, high, flags] = [words[from + 1]!, words[from + 2]!, words[from + 3]!];
    this.#head = { shard, low, high, flags };
  }

  protected result(): { readonly head: AccountHead | null; readonly positions: Position[] } {
    return { head: this.#head, positions: this.positions };
  }
}

/** The lowest of the shards' moments: before it nothing is under way any more. */
export class WatermarkCall extends ReadCall<{
  readonly watermark: bigint;
  readonly positions: readonly Position[];
}> {
  #lowest = 2n ** 64n;

  protected take(_shard: number, words: Uint32Array, at: number): void {
    const from = at + REPLY_HEAD_WORDS;
    const watermark = (BigInt(words[from + 1]!) << 32n) | BigInt(words[from]!);
    if (watermark < this.#lowest) this.#lowest = watermark;
  }

  protected result(): { readonly watermark: bigint; readonly positions: Position[] } {
    return { watermark: this.#lowest, positions: this.positions };
  }
}

export class DigestCall extends ReadCall<
  { readonly position: Position; readonly words: readonly [number, number] }[]
> {
  readonly #digests: { readonly position: Position; readonly words: readonly [number, number] }[] =
    [];

  protected take(shard: number, words: Uint32Array, at: number): void {
    const from = at + REPLY_HEAD_WORDS;
    this.#digests.push({
      position: positionOf(shard, words, at),
      words: [words[from]!, words[from + 1]!],
    });
  }

  protected result(): { readonly position: Position; readonly words: readonly [number, number] }[] {
    return this.#digests.toSorted((a, b) => a.position.shard - b.position.shard);
  }
}
