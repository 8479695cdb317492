/**
 * Single transfers of many callers, sent in batches: what a service with a thousand requests at once has, and a ledger likes. A batch leaves when
 * the one before it was answered, with all that has come meanwhile; so a lone caller waits for nobody, and under load batches grow by
 * themselves, without a timer.
 *
 * Each caller is answered for itself: an input that breaks a rule rejects its own call only, before anything is sent; a ledger outcome is a status. A
 * batch that as a whole has no answer rejects all calls in it, with the same error, and each of them may be made again with the same id.
 * Calls take effect in the order in which they were made while one batch is under way at a time, which is the default.
 *
 * What waits is bounded: beyond `waitingMax` a call is rejected at once (`overloaded`).
 */
import { BatchKind, batchOfRows, ROW_BYTES, ROW_WORDS } from '../engine/batch.ts';
import { TransferFlags } from '../engine/flags.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import {
  type CallOptions,
  type Client,
  type CreateResult,
  type TransferInput,
  transferResults,
  type TransferStatusName,
} from './client.ts';
import { writeObject } from './rows.ts';

export type TransferResult = CreateResult<TransferStatusName>;

export interface BatchingOptions extends CallOptions {
  /** Batches under way at a time. 1 unless given: with more, those of the same moment may change places. */
  readonly inFlight?: number;
  /** Transfers that wait for their batch, at most. 65,536 unless given. */
  readonly waitingMax?: number;
}

interface Caller {
  /** Its rows in the batch: one, or those of a chain. */
  readonly from: number;
  readonly to: number;
  readonly resolve: (results: readonly TransferResult[]) => void;
  readonly reject: (error: unknown) => void;
}

const WAITING_MAX = 65_536;
const ROWS_MIN = 64;

/** A batch that takes rows until it leaves. */
class Gathering {
  readonly callers: Caller[] = [];
  n = 0;
  #rows = new Uint32Array(ROWS_MIN * ROW_WORDS);

  hasRoom(count: number): boolean {
    return this.n + count <= BATCH_EVENTS_MAX;
  }

  /** Writes the rows of one caller, all or none of them. */
  write(transfers: readonly TransferInput[]): void {
    this.#reach(this.n + transfers.length);
    const { n } = this;
    const view = new DataView(this.#rows.buffer, n * ROW_BYTES);
    try {
      for (const [i, transfer] of transfers.entries()) {
        writeObject(BatchKind.transfers, transfer, view, i);
      }
    } catch (error: unknown) {
      this.#rows.fill(0, n * ROW_WORDS, (n + transfers.length) * ROW_WORDS);
      throw error;
    }
    this.n += transfers.length;
  }

  batch(): ReturnType<typeof batchOfRows> {
    return batchOfRows(BatchKind.transfers, this.#rows.subarray(0, this.n * ROW_WORDS), this.n);
  }

  #reach(rows: number): void {
    if (rows * ROW_WORDS <= this.#rows.length) return;
    const grown = new Uint32Array(Math.max(rows * ROW_WORDS, this.#rows.length * 2));
    grown.set(this.#rows);
    this.#rows = grown;
  }
}

export class BatchingClient implements AsyncDisposable {
  readonly #client: Pick<Client, 'createTransfers'>;
  readonly #options: BatchingOptions;
  readonly #inFlightMax: number;
  readonly #waitingMax: number;
  /** Those that wait, the eldest first; the last one takes more. */
  #waiting: Gathering[] = [];
  #waitingRows = 0;
  #inFlight = 0;
  #isDue = false;
  #isClosed = false;
  #idle = Promise.withResolvers<void>();

  /** The client stays the caller's: it may be used besides, and is not closed with this one. */
  constructor(client: Pick<Client, 'createTransfers'>, options: BatchingOptions = {}) {
    const { inFlight = 1, waitingMax = WAITING_MAX } = options;
    for (const [name, value] of Object.entries({ inFlight, waitingMax })) {
      if (!Number.isSafeInteger(value) || value < 1) throw badOption(name);
    }
    this.#client = client;
    this.#options = options;
    this.#inFlightMax = inFlight;
    this.#waitingMax = waitingMax;
  }

  /** One transfer, which is not linked to others. */
  async createTransfer(transfer: TransferInput): Promise<TransferResult> {
    if (hasFlag(transfer, TransferFlags.linked)) {
      throw refusal('flags', 'a linked transfer goes with its chain: use createChain');
    }
    const [result] = await this.#create([transfer]);
    return result!;
  }

  /** Transfers that take effect together or not at all: all but the last one have the flag `linked`. */
  async createChain(transfers: readonly TransferInput[]): Promise<readonly TransferResult[]> {
    for (const [i, transfer] of transfers.entries()) {
      if (hasFlag(transfer, TransferFlags.linked) === (i === transfers.length - 1)) {
        throw refusal('flags', 'all transfers of a chain are linked but the last one');
      }
    }
    if (transfers.length === 0) return [];
    if (transfers.length > BATCH_EVENTS_MAX) {
      const rule = `at most ${BATCH_EVENTS_MAX}`;
      throw new SyceeError('too_large', `a chain of ${transfers.length}; ${rule} fit`, {
        field: 'length',
        rule,
      });
    }
    return this.#create(transfers);
  }

  /** Takes nothing more, and resolves when everybody is answered. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#inFlight === 0 && this.#waitingRows === 0) return;
    await this.#idle.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // Hot path.
  #create(transfers: readonly TransferInput[]): Promise<readonly TransferResult[]> {
    if (this.#isClosed) throw new SyceeError('malformed_request', 'this client is closed');
    if (this.#waitingRows + transfers.length > this.#waitingMax) {
      throw new SyceeError(
        'overloaded',
        `${this.#waitingRows} transfers wait for their batch, and ${this.#waitingMax} may`,
      );
    }
    // A batch is imported as a whole, so those of strangers do not mix.
    if (transfers.some((transfer) => hasFlag(transfer, TransferFlags.imported))) {
      throw refusal('flags', 'a batch is imported as a whole: use createTransfers');
    }
    let gathering = this.#waiting.at(-1);
    if (gathering?.hasRoom(transfers.length) !== true) {
      gathering = new Gathering();
      this.#waiting.push(gathering);
    }
    const { callers } = gathering;
    const from = gathering.n;
    try {
      gathering.write(transfers);
    } catch (error: unknown) {
      if (gathering.n === 0) this.#waiting.pop();
      throw error;
    }
    const to = gathering.n;
    this.#waitingRows += to - from;
    this.#wake();
    return new Promise((resolve, reject) => {
      callers.push({ from, to, resolve, reject });
    });
  }

  /** Calls that are made without a pause go together. */
  #wake(): void {
    if (this.#isDue || this.#inFlight >= this.#inFlightMax) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      while (this.#inFlight < this.#inFlightMax && this.#waiting.length > 0) {
        void this.#send(this.#waiting.shift()!);
      }
    });
  }

  async #send(gathering: Gathering): Promise<void> {
    this.#inFlight++;
    this.#waitingRows -= gathering.n;
    try {
      const reply = await this.#client.createTransfers(gathering.batch(), this.#options);
      const results = transferResults(reply);
      for (const { from, to, resolve } of gathering.callers) resolve(results.slice(from, to));
    } catch (error: unknown) {
      for (const { reject } of gathering.callers) reject(error);
    }
    this.#inFlight--;
    if (this.#waiting.length > 0) this.#wake();
    else if (this.#inFlight === 0) {
      this.#idle.resolve();
      this.#idle = Promise.withResolvers();
    }
  }
}

/** What is no number is refused when it is written. */
function hasFlag({ flags }: TransferInput, flag: number): boolean {
  return typeof flags === 'number' && (flags & flag) !== 0;
}

function refusal(field: string, rule: string): SyceeError {
  return new SyceeError('malformed_request', `${field}: ${rule}`, { field, rule });
}

function badOption(name: string): SyceeError {
  const rule = 'a whole number from 1 on';
  return new SyceeError('malformed_request', `${name}: ${rule}`, { field: name, rule });
}
