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
import { BatchKind, batchOfRows, ROW_WORDS } from '../engine/batch.ts';
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
import { closedError } from './retry.ts';
import { assertList, isRecord, writeObject } from './rows.ts';

export type TransferResult = CreateResult<TransferStatusName>;

export interface BatchingOptions extends CallOptions {
  /** Batches under way at a time. 1 unless given: with more, those of the same moment may change places. */
  readonly inFlight?: number;
  /** Transfers that wait for their batch, at most. 65,536 unless given. */
  readonly waitingMax?: number;
}

/** Who waits for what became of rows of a batch. */
interface Caller {
  answer(results: readonly TransferResult[]): void;
  readonly reject: (error: unknown) => void;
}

class SingleCaller implements Caller {
  readonly #row: number;
  readonly #resolve: (result: TransferResult) => void;
  readonly reject: (error: unknown) => void;

  constructor(
    row: number,
    resolve: (result: TransferResult) => void,
    reject: (error: unknown) => void,
  ) {
    this.#row = row;
    this.#resolve = resolve;
    this.reject = reject;
  }

  answer(results: readonly TransferResult[]): void {
    this.#resolve(results[this.#row]!);
  }
}

class ChainCaller implements Caller {
  readonly #rows: readonly [from: number, to: number];
  readonly #resolve: (results: readonly TransferResult[]) => void;
  readonly reject: (error: unknown) => void;

  constructor(
    rows: readonly [from: number, to: number],
    resolve: (results: readonly TransferResult[]) => void,
    reject: (error: unknown) => void,
  ) {
    this.#rows = rows;
    this.#resolve = resolve;
    this.reject = reject;
  }

  answer(results: readonly TransferResult[]): void {
    this.#resolve(results.slice(...this.#rows));
  }
}

const WAITING_MAX = 65_536;
const ROWS_MIN = 64;

/** A batch that takes rows until it leaves. */
class Gathering {
  readonly callers: Caller[] = [];
  n = 0;
  #rows = new Uint32Array(ROWS_MIN * ROW_WORDS);
  #view = new DataView(this.#rows.buffer);

  hasRoom(count: number): boolean {
    return this.n + count <= BATCH_EVENTS_MAX;
  }

  /** Writes the row of one caller, or nothing. */
  // Hot path.
  write(transfer: TransferInput): void {
    this.#reach(this.n + 1);
    try {
      writeObject(BatchKind.transfers, transfer, this.#view, this.n, 0);
    } catch (error: unknown) {
      this.#rows.fill(0, this.n * ROW_WORDS, (this.n + 1) * ROW_WORDS);
      throw error;
    }
    this.n++;
  }

  /** Writes the rows of one caller, all or none of them. */
  writeChain(transfers: readonly TransferInput[]): void {
    this.#reach(this.n + transfers.length);
    const { n } = this;
    try {
      for (const [i, transfer] of transfers.entries()) {
        writeObject(BatchKind.transfers, transfer, this.#view, n + i, i);
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
    this.#view = new DataView(grown.buffer);
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
  // Hot path.
  createTransfer(transfer: TransferInput): Promise<TransferResult> {
    // What is thrown in here rejects the promise.
    return new Promise((resolve, reject) => {
      if (hasFlag(transfer, TransferFlags.linked)) {
        throw refusal('flags', 'a linked transfer goes with its chain: use createChain');
      }
      refuseImported(transfer);
      const gathering = this.#gathering(1);
      gathering.write(transfer);
      gathering.callers.push(new SingleCaller(gathering.n - 1, resolve, reject));
      this.#entered(gathering, 1);
    });
  }

  /** Transfers that take effect together or not at all: all but the last one have the flag `linked`. */
  async createChain(transfers: readonly TransferInput[]): Promise<readonly TransferResult[]> {
    assertList(transfers, 'transfers');
    for (const [i, transfer] of transfers.entries()) {
      if (hasFlag(transfer, TransferFlags.linked) === (i === transfers.length - 1)) {
        throw refusal('flags', 'all transfers of a chain are linked but the last one');
      }
      refuseImported(transfer);
    }
    if (transfers.length === 0) return [];
    if (transfers.length > BATCH_EVENTS_MAX) {
      const rule = `at most ${BATCH_EVENTS_MAX}`;
      throw new SyceeError('too_large', `a chain of ${transfers.length}; ${rule} fit`, {
        field: 'length',
        rule,
      });
    }
    return new Promise((resolve, reject) => {
      const gathering = this.#gathering(transfers.length);
      const from = gathering.n;
      gathering.writeChain(transfers);
      gathering.callers.push(new ChainCaller([from, gathering.n], resolve, reject));
      this.#entered(gathering, transfers.length);
    });
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

  /** One that waits and has room for so many rows; it is among those that wait when something was entered. */
  #gathering(count: number): Gathering {
    if (this.#isClosed) throw closedError(false);
    if (this.#waitingRows + count > this.#waitingMax) {
      throw new SyceeError(
        'overloaded',
        `${this.#waitingRows} transfers wait for their batch, and ${this.#waitingMax} may`,
      );
    }
    const last = this.#waiting.at(-1);
    return last?.hasRoom(count) === true ? last : new Gathering();
  }

  #entered(gathering: Gathering, count: number): void {
    if (this.#waiting.at(-1) !== gathering) this.#waiting.push(gathering);
    this.#waitingRows += count;
    this.#wake();
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
      for (const caller of gathering.callers) caller.answer(results);
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

/** A batch is imported as a whole, so those of strangers do not mix. */
function refuseImported(transfer: TransferInput): void {
  if (!hasFlag(transfer, TransferFlags.imported)) return;
  throw refusal('flags', 'a batch is imported as a whole: use createTransfers');
}

/** What is no number, or no object, is refused when it is written. */
function hasFlag(transfer: TransferInput, flag: number): boolean {
  if (!isRecord(transfer)) return false;
  const { flags } = transfer;
  return typeof flags === 'number' && (flags & flag) !== 0;
}

function refusal(field: string, rule: string): SyceeError {
  return new SyceeError('malformed_request', `${field}: ${rule}`, { field, rule });
}

function badOption(name: string): SyceeError {
  const rule = 'a whole number from 1 on';
  return new SyceeError('malformed_request', `${name}: ${rule}`, { field: name, rule });
}
