/** A router whose shards are the test: it sees what was asked, and answers when it likes. */
import { BatchKind, batchOfRows, Columns, ROW_WORDS, Transfer } from '../../engine/batch.ts';
import { Input, INPUT_WORDS, InputFlag } from '../../engine/frame.ts';
import { Reply, REPLY_HEAD_WORDS, ReplyKind, replyWords } from '../../engine/open-requests.ts';
import { bigintOfUint128, writeUint128 } from '../../engine/uint128.ts';
import { Doorbell, DOORBELL_BYTES } from '../../lib/doorbell.ts';
import type { JournalQueries } from '../../sharding/journal-queries.ts';
import { type RecordThread, WANTED_WORDS } from '../../sharding/record-thread.ts';
import { ringBuffer, RingReader, RingWriter } from '../../sharding/ring.ts';
import { Router } from '../../sharding/router.ts';
import { ShardClient } from '../../sharding/shard-client.ts';

const RING_BYTES = 1 << 16;
const HEAD_BYTES = REPLY_HEAD_WORDS * 4;

export interface Asked {
  readonly shard: number;
  readonly type: number;
  readonly request: number;
  readonly flags: number;
  readonly n: number;
  readonly ids: readonly bigint[];
  /** [id, debit account, credit account] of each row. */
  readonly rows: readonly (readonly [bigint, bigint, bigint])[];
  readonly marks: readonly number[];
}

/** A transfer that the reader of records has, wherever it is asked for. */
export interface Stored {
  readonly id: bigint;
  readonly dr: bigint;
  readonly cr: bigint;
  readonly flags?: number;
}

/** Rows of 32 words. */
export function transferRows(stored: readonly Stored[]): Uint32Array {
  const rows = new Uint32Array(stored.length * ROW_WORDS);
  for (const [i, { id, dr, cr, flags = 0 }] of stored.entries()) {
    writeUint128(id, rows, i * ROW_WORDS);
    writeUint128(dr, rows, i * ROW_WORDS + 4);
    writeUint128(cr, rows, i * ROW_WORDS + 8);
    rows[i * ROW_WORDS + 29] = flags << 16;
  }
  return rows;
}

interface FakeShard {
  readonly client: ShardClient;
  readonly asked: RingReader;
  readonly replies: RingWriter;
}

export class FakeShards {
  readonly router: Router;
  /** Positions answered to look-ups are numbers of these, counted from 1. */
  readonly stored: Stored[] = [];
  readonly #shards: readonly FakeShard[];

  constructor(shards: number, queries: JournalQueries | null = null) {
    this.#shards = Array.from({ length: shards }, (_, shard) => {
      const requests = ringBuffer(RING_BYTES);
      const replies = ringBuffer(RING_BYTES);
      const doorbell = new Doorbell(new SharedArrayBuffer(DOORBELL_BYTES));
      const client = new ShardClient(shard, doorbell, { session: 1, requests, replies });
      client.isUp = true;
      return { client, asked: new RingReader(requests), replies: new RingWriter(replies) };
    });
    const clients = this.#shards.map(({ client }) => client);
    const records: Pick<RecordThread, 'read'> = {
      read: (wanted) => Promise.resolve(this.#records(wanted)),
    };
    this.router = new Router(clients, records as RecordThread, () => ({ shards: [] }), queries);
  }

  client(shard: number): ShardClient {
    return this.#shards[shard]!.client;
  }

  /** What was asked since the last time. */
  asked(): Asked[] {
    const asked: Asked[] = [];
    for (const [shard, { asked: ring }] of this.#shards.entries()) {
      while (ring.peek()) {
        asked.push(askedAt(shard, ring));
        ring.release();
      }
    }
    return asked;
  }

  /** Outcomes of a create request. */
  created({ shard, request, n }: Asked, statuses: readonly number[]): void {
    this.#reply({ shard, request, n, kind: ReplyKind.created }, replyWords(n), (replies, at) => {
      replies.halves.set(statuses, (at + 2 * n) * 2);
    });
  }

  /** Which of the ids there are, as numbers of `stored`, with what became of them. */
  positions(
    { shard, request }: Asked,
    found: readonly { readonly row: number; readonly number: number; readonly status?: number }[],
  ): void {
    const head = { shard, request, n: found.length, kind: ReplyKind.positions };
    this.#reply(head, REPLY_HEAD_WORDS + found.length * 4, ({ words }, at) => {
      for (const [i, { row, number, status = 0 }] of found.entries()) {
        words.set([row, number, 0, status], at + i * 4);
      }
    });
  }

  /** The words behind the header, for n things. */
  answer({ shard, request }: Asked, n: number, answer: readonly number[]): void {
    const head = { shard, request, n, kind: ReplyKind.positions };
    this.#reply(head, REPLY_HEAD_WORDS + answer.length, ({ words }, at) => words.set(answer, at));
  }

  #reply(
    { shard, request, n, kind }: { shard: number; request: number; n: number; kind: number },
    length: number,
    write: (replies: RingWriter, at: number) => void,
  ): void {
    const { replies, client } = this.#shards[shard]!;
    replies.reserve(Math.max(length * 4, HEAD_BYTES));
    const at = replies.at / 4;
    replies.words.fill(0, at, at + length);
    replies.words[at + Reply.kind] = kind;
    replies.words[at + Reply.request] = request;
    replies.words[at + Reply.n] = n;
    write(replies, at + REPLY_HEAD_WORDS);
    replies.commit();
    client.drain();
  }

  #records(wanted: Uint32Array): Uint32Array {
    const found: Stored[] = [];
    for (let at = 0; at < wanted.length; at += WANTED_WORDS) {
      found.push(this.stored[wanted[at + 1]! - 1]!);
    }
    return transferRows(found);
  }
}

function askedAt(shard: number, ring: RingReader): Asked {
  const at = ring.at / 4;
  const { words } = ring;
  const from = at + INPUT_WORDS;
  const columns = new Columns();
  const n = words[from]! & 0xffffff;
  // A copy with zero words in front, for absent columns.
  const bytes = words[from + 2]!;
  const copy = new Uint32Array(4 + bytes / 4);
  copy.set(words.subarray(from, from + bytes / 4), 4);
  columns.openBatch(copy, new Uint16Array(copy.buffer), 16, 0);
  const idOf = (column: number, row: number): bigint =>
    bigintOfUint128(copy, columns.at[column]! + row * columns.step[column]!);
  const flags = words[at + Input.flags]!;
  const hasMarks = (flags & InputFlag.marks) !== 0;
  const behind = new Uint8Array(
    words.buffer,
    words.byteOffset + from * 4 + bytes,
    hasMarks ? n : 0,
  );
  const numbers = Array.from({ length: n }, (_, i) => i);
  return {
    shard,
    type: words[at]!,
    request: words[at + Input.request]!,
    flags,
    n,
    ids: numbers.map((row) => idOf(Transfer.id, row)),
    rows: numbers.map((row) => [
      idOf(Transfer.id, row),
      idOf(Transfer.debitAccountId, row),
      idOf(Transfer.creditAccountId, row),
    ]),
    marks: [...behind],
  };
}

/** A batch of transfers with nothing but ids, accounts, and flags; `pendingId` too. */
export function transfersBatch(
  events: readonly (Stored & { readonly pendingId?: bigint })[],
): ReturnType<typeof batchOfRows> {
  const rows = transferRows(events);
  for (const [i, { pendingId = 0n }] of events.entries()) {
    writeUint128(pendingId, rows, i * ROW_WORDS + 16);
  }
  return batchOfRows(BatchKind.transfers, rows, events.length);
}
