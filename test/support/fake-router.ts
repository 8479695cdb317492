/** A router for tests of the edges: keeps rows in a map, and answers as it is told. */
import { type Batch, Columns, ROW_WORDS } from '../../engine/batch.ts';
import type { CreateReply, RowsReply } from '../../engine/reply.ts';
import type { RequestRouter, RouterStatus } from '../../gateway/request-router.ts';

export class FakeRouter implements RequestRouter {
  /** Status of every event that is created from now on. */
  outcome = 0;
  /** What every request is rejected with, when set. */
  rejection: unknown;
  /** What every request waits for. */
  gate: Promise<void> = Promise.resolve();
  readonly deadlines: number[] = [];
  readonly batches: Batch[] = [];
  state = 'running';
  readonly #accounts = new Map<string, Uint32Array>();
  readonly #transfers = new Map<string, Uint32Array>();
  #sequence = 0;

  createAccounts(batch: Batch, deadlineMs: number): Promise<CreateReply> {
    return this.#create(this.#accounts, batch, deadlineMs);
  }

  createTransfers(batch: Batch, deadlineMs: number): Promise<CreateReply> {
    return this.#create(this.#transfers, batch, deadlineMs);
  }

  lookupAccounts(ids: Batch, deadlineMs: number): Promise<RowsReply> {
    return this.#find(this.#accounts, ids, deadlineMs);
  }

  lookupTransfers(ids: Batch, deadlineMs: number): Promise<RowsReply> {
    return this.#find(this.#transfers, ids, deadlineMs);
  }

  status(): RouterStatus {
    const { state } = this;
    const sequence = this.#sequence;
    return {
      shards: [{ shard: 0, state, sequence, timestamp: 7n, queueDepth: 0, inFlight: 0 }],
    };
  }

  async #take(batch: Batch, deadlineMs: number): Promise<void> {
    this.deadlines.push(deadlineMs);
    this.batches.push(batch);
    await this.gate;
    if (this.rejection !== undefined) throw this.rejection;
  }

  async #create(
    rows: Map<string, Uint32Array>,
    batch: Batch,
    deadlineMs: number,
  ): Promise<CreateReply> {
    await this.#take(batch, deadlineMs);
    this.#sequence++;
    const stamp = 1_700_000_000_000_000_000n + BigInt(this.#sequence);
    for (const row of rowsOf(batch)) rows.set(keyOf(row), row);
    return {
      n: batch.n,
      statuses: new Uint16Array(batch.n).fill(this.outcome),
      timestamps: new BigUint64Array(batch.n).fill(stamp),
      positions: [{ shard: 0, sequence: this.#sequence, timestamp: stamp }],
    };
  }

  async #find(rows: Map<string, Uint32Array>, ids: Batch, deadlineMs: number): Promise<RowsReply> {
    await this.#take(ids, deadlineMs);
    const found = rowsOf(ids).flatMap((row) => rows.get(keyOf(row)) ?? []);
    const all = new Uint32Array(found.length * ROW_WORDS);
    for (const [i, row] of found.entries()) all.set(row, i * ROW_WORDS);
    return { n: found.length, rows: all, positions: [] };
  }
}

const keyOf = (row: Uint32Array): string => row.slice(0, 4).join('.');

function rowsOf(batch: Batch): Uint32Array[] {
  const words = new Uint32Array(batch.words.length + 4);
  words.set(batch.words);
  const columns = new Columns();
  columns.openBatch(words, new Uint16Array(words.buffer), 0, batch.words.length);
  return Array.from({ length: batch.n }, (_, i) => {
    const row = new Uint32Array(ROW_WORDS);
    columns.copyRow(i, row, 0);
    return row;
  });
}
