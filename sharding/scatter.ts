/**
 * Writes the rows of a batch into the rings of the shards that they are for. It owns the place where a batch is opened: what was opened holds
 * until the next one is. Who sends makes sure of the room for every part before the first goes out.
 */
import { assert } from '../engine/assert.ts';
import { type Batch, BatchKind, Columns, HEADER_BYTES } from '../engine/batch.ts';
import { InputFlag } from '../engine/frame.ts';
import { BATCH_BYTES_MAX } from '../engine/limits.ts';
import { shardOf } from '../engine/placement.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { type CreateCall, overloaded } from './create-call.ts';
import type { InFlight, ShardClient } from './shard-client.ts';
import { splitBatch, splitBytes, type EncodedBatch } from './split-batch.ts';

/** Word of the scratch where a batch is put; the words before it are zero, for absent columns. */
const SCRATCH_AT = 4;

/** By shard: the rows that are for it, the first `counts[k]` of `rows[k]`, in order. */
export interface Split {
  readonly rows: readonly Uint16Array[];
  readonly counts: readonly number[];
}

export interface Part {
  readonly k: number;
  readonly type: number;
  /** Of `InputFlag`: that the batch is imported. */
  readonly flags: number;
  /** The row of the call with which the batch begins. */
  readonly offset: number;
}

export class Scatter {
  readonly shards: readonly ShardClient[];
  /** Of the batch opened last. */
  readonly columns = new Columns();
  readonly #scratch = new Uint32Array(SCRATCH_AT + BATCH_BYTES_MAX / 4);
  readonly #scratchHalves = new Uint16Array(this.#scratch.buffer);

  constructor(shards: readonly ShardClient[]) {
    this.shards = shards;
  }

  /** Puts the batch where its columns can be read, and opens it. */
  open(batch: Batch, marks: Uint8Array | null = null): EncodedBatch {
    assert(batch.words.length <= this.#scratch.length - SCRATCH_AT, 'a batch is within its bound');
    this.#scratch.set(batch.words, SCRATCH_AT);
    this.columns.openBatch(this.#scratch, this.#scratchHalves, SCRATCH_AT * 4, 0);
    return { words: this.#scratch, halves: this.#scratchHalves, at: SCRATCH_AT, marks };
  }

  shardOfColumn(column: number, i: number): number {
    const { at, step, words } = this.columns;
    return shardOf(words, at[column]! + i * step[column]!, this.shards.length);
  }

  /** Every row to the shard of its id or account in that column. */
  byColumn(column: number): Split {
    const { n } = this.columns;
    const rows = this.shards.map(() => new Uint16Array(n));
    const counts = this.shards.map(() => 0);
    for (let i = 0; i < n; i++) {
      const k = this.shardOfColumn(column, i);
      rows[k]![counts[k]!++] = i;
    }
    return { rows, counts };
  }

  /** Every row to every shard. */
  toAll(): Split {
    const { n } = this.columns;
    const all = Uint16Array.from({ length: n }, (_, i) => i);
    return { rows: this.shards.map(() => all), counts: this.shards.map(() => n) };
  }

  /** Makes sure that every part has room before the first is sent: why not, or null. */
  reserveAll(source: EncodedBatch, counts: readonly number[]): SyceeError | null {
    for (let k = 0; k < counts.length; k++) {
      if (counts[k] === 0) continue;
      if (!this.shards[k]!.isUp) return unavailable(k);
      if (this.shards[k]!.reserve(splitBytes(source, counts[k]!)) === null) return overloaded();
    }
    return null;
  }

  sendPart(call: CreateCall, part: Part, source: EncodedBatch, rows: Uint16Array): void {
    const { k, type } = part;
    const bytes = splitBytes(source, rows.length);
    const target = this.shards[k]!.reserve(bytes);
    assert(target !== null, 'the room was there a moment ago');
    splitBatch(source, rows, rows.length, target);
    const hasMarks = source.marks !== undefined && source.marks !== null;
    const flags = part.flags | (hasMarks ? InputFlag.marks : 0);
    const { offset } = part;
    const ofCall = offset === 0 ? rows : rows.map((row) => row + offset);
    this.shards[k]!.send(type, bytes, call.deadlineMs, call.part(ofCall), flags);
  }

  /** For a question to every shard that names no ids. */
  openNothing(): { readonly source: EncodedBatch; readonly split: Split } {
    const words = new Uint32Array(HEADER_BYTES / 4);
    words[0] = (BatchKind.ids << 24) | 1;
    words[2] = HEADER_BYTES;
    const source = { words, halves: new Uint16Array(words.buffer), at: 0 };
    const row = Uint16Array.of(0);
    return {
      source,
      split: { rows: this.shards.map(() => row), counts: this.shards.map(() => 1) },
    };
  }

  /** Sends the parts of a read: null, or why nothing was sent. */
  ask(
    type: number,
    call: { part(rows: Uint16Array): InFlight },
    source: EncodedBatch,
    { rows, counts }: Split,
  ): SyceeError | null {
    const refusal = this.reserveAll(source, counts);
    if (refusal !== null) return refusal;
    for (let k = 0; k < counts.length; k++) {
      if (counts[k] === 0) continue;
      const part = rows[k]!.slice(0, counts[k]);
      const bytes = splitBytes(source, part.length);
      const target = this.shards[k]!.reserve(bytes);
      assert(target !== null, 'the room was there a moment ago');
      splitBatch(source, part, part.length, target);
      this.shards[k]!.send(type, bytes, 0, call.part(part));
    }
    return null;
  }
}

export function unavailable(shard: number): SyceeError {
  return new SyceeError(
    'shard_unavailable',
    `shard ${shard} is not there just now; nothing was done, ask again with the same ids`,
  );
}
