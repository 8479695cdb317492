import { describe, expect, test } from 'vitest';
import { batchOfObjects } from '../client/rows.ts';
import { BatchKind } from '../engine/batch.ts';
import { Input, INPUT_WORDS, InputType } from '../engine/group.ts';
import { Reply, REPLY_HEAD_WORDS, ReplyKind, replyWords } from '../engine/open-requests.ts';
import { TransferStatus } from '../engine/status.ts';
import { idOn, transferOf } from '../test/support/one-shard.ts';
import { Doorbell, DOORBELL_BYTES } from './doorbell.ts';
import type { RecordThread } from './record-thread.ts';
import { ringBuffer, RingReader, RingWriter } from './ring.ts';
import { Router } from './router.ts';
import { ShardClient } from './shard-client.ts';

const RING_BYTES = 1 << 16;

interface Asked {
  readonly shard: number;
  readonly type: number;
  readonly request: number;
  readonly n: number;
}

/** A router whose shards are the test: it sees what was asked, and answers when it likes. */
class Bench {
  readonly router: Router;
  readonly #shards: {
    readonly client: ShardClient;
    readonly asked: RingReader;
    readonly replies: RingWriter;
  }[];

  constructor(shards: number) {
    this.#shards = Array.from({ length: shards }, (_, shard) => {
      const requests = ringBuffer(RING_BYTES);
      const replies = ringBuffer(RING_BYTES);
      const doorbell = new Doorbell(new SharedArrayBuffer(DOORBELL_BYTES));
      const client = new ShardClient(shard, doorbell, { session: 1, requests, replies });
      client.isUp = true;
      return { client, asked: new RingReader(requests), replies: new RingWriter(replies) };
    });
    const clients = this.#shards.map(({ client }) => client);
    this.router = new Router(clients, {} as RecordThread, () => ({ shards: [] }));
  }

  /** What was asked since the last time. */
  asked(): Asked[] {
    const asked: Asked[] = [];
    for (const [shard, { asked: ring }] of this.#shards.entries()) {
      while (ring.peek()) {
        const at = ring.at / 4;
        const n = ring.words[at + INPUT_WORDS]! & 0xffffff;
        asked.push({ shard, type: ring.words[at]!, request: ring.words[at + Input.request]!, n });
        ring.release();
      }
    }
    return asked;
  }

  answer({ shard, request, n }: Asked, statuses: readonly number[]): void {
    const { replies, client } = this.#shards[shard]!;
    replies.reserve(replyWords(n) * 4);
    const at = replies.at / 4;
    replies.words.fill(0, at, at + replyWords(n));
    replies.words[at + Reply.kind] = ReplyKind.created;
    replies.words[at + Reply.request] = request;
    replies.words[at + Reply.n] = n;
    replies.halves.set(statuses, (at + REPLY_HEAD_WORDS + 2 * n) * 2);
    replies.commit();
    client.drain();
  }
}

describe('a router', () => {
  const low = idOn(0, 2);
  const high = idOn(1, 2);
  const second = idOn(1, 2, 2);

  test('sends the rest of a batch, as one walk, when the last part of the first round is answered', async () => {
    const bench = new Bench(2);
    const events = [
      transferOf(1n, low, high),
      // Its debit account was credited by a walk that shard 0 begins.
      transferOf(2n, high, second),
      transferOf(3n, second, low),
      // Of shard 1 alone, with nobody else's keys.
      transferOf(4n, idOn(1, 2, 3), idOn(1, 2, 4)),
    ];
    const reply = bench.router.createTransfers(batchOfObjects(BatchKind.transfers, events), 0);
    const first = bench.asked();
    expect(first.map(({ shard, type, n }) => [shard, type, n])).toEqual([
      [0, InputType.createTransfers, 1],
      [1, InputType.createTransfers, 1],
    ]);
    bench.answer(first[1]!, [TransferStatus.created]);
    expect(bench.asked()).toEqual([]);
    bench.answer(first[0]!, [TransferStatus.exceeds_credits]);
    const rest = bench.asked();
    expect(rest.map(({ shard, type, n }) => [shard, type, n])).toEqual([
      [0, InputType.createTransfersTogether, 2],
    ]);
    bench.answer(rest[0]!, [TransferStatus.created, TransferStatus.exceeds_debits]);
    const { statuses } = await reply;
    expect([...statuses]).toEqual([
      TransferStatus.exceeds_credits,
      TransferStatus.created,
      TransferStatus.exceeds_debits,
      TransferStatus.created,
    ]);
    expect(bench.router.eventsInFlight).toBe(0);
  });
});
