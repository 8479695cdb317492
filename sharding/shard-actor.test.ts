import { describe, expect, test } from 'vitest';
import { batchOfIds, batchOfObjects } from '../client/rows.ts';
import { assert } from '../engine/assert.ts';
import { BatchKind, ROW_WORDS } from '../engine/batch.ts';
import { TransferFlags } from '../engine/flags.ts';
import { InputType } from '../engine/frame.ts';
import { LINK_HEAD_WORDS, LinkHead, LinkKind } from '../engine/link-message.ts';
import { Reply, REPLY_HEAD_WORDS, ReplyKind } from '../engine/open-requests.ts';
import { TransferStatus } from '../engine/status.ts';
import { MemoryJournal, type MemoryJournalStore } from '../persistence/memory-journal.ts';
import { StorageRoom } from '../persistence/storage-room.ts';
import {
  accountOf,
  accountsFrame,
  idOn,
  replyAt,
  requestFrame,
  transferOf,
  transfersFrame,
  type Told,
} from '../test/support/one-shard.ts';
import { Link } from './link.ts';
import { ringBuffer, RingReader, RingWriter } from './ring.ts';
import { ShardActor } from './shard-actor.ts';
import { countersBuffer, ShardCounters } from './shard-counters.ts';
import { Counter, RequestType } from './shard-protocol.ts';

const RING_BYTES = 1 << 16;
const TIME = 1_000_000n;
const RESERVE = 1 << 20;
const BANK = 1n;
const ALICE = 2n;

interface Heard extends Told {
  readonly kind: number;
  readonly sequence: number;
}

/** An actor over a store, with both ends of its rings; the peer of its link is the test. */
class Bench {
  readonly journal: MemoryJournal;
  readonly actor: ShardActor;
  readonly counters = new ShardCounters(countersBuffer());
  readonly peer: Link | undefined;
  readonly #requests: RingWriter;
  readonly #replies: RingReader;
  /** Whom the actor has woken in the midst of its steps. */
  readonly rung: number[][] = [];
  ring = (written: Uint8Array): void => {
    this.rung.push([...written]);
  };
  time = TIME;
  /** Bytes on the disk. */
  free = 2 * RESERVE;
  ms = 0;

  constructor(
    store: MemoryJournalStore,
    { shards = 1, session = 1, replyBytes = RING_BYTES } = {},
  ) {
    this.journal = new MemoryJournal({ clusterId: 'bench', shard: 0, shards }, store);
    const [requests, replies, there, back] = [RING_BYTES, replyBytes, RING_BYTES, RING_BYTES].map(
      ringBuffer,
    ) as [SharedArrayBuffer, SharedArrayBuffer, SharedArrayBuffer, SharedArrayBuffer];
    this.#requests = new RingWriter(requests);
    this.#replies = new RingReader(replies);
    const link =
      shards === 1 ? undefined : new Link(0, { peer: 1, incoming: back, outgoing: there });
    this.peer =
      shards === 1 ? undefined : new Link(1, { peer: 0, incoming: there, outgoing: back });
    this.actor = new ShardActor({
      shard: 0,
      shards,
      seed: 7,
      session,
      journal: this.journal,
      requests: new RingReader(requests),
      replies: new RingWriter(replies),
      links: shards === 1 ? [undefined] : [undefined, link],
      counters: this.counters,
      room: new StorageRoom({
        reserveBytes: RESERVE,
        free: () => this.free,
        now: () => this.ms++ * 1e3,
      }),
      ring: (written) => this.ring(written),
      now: () => this.time,
      wall: () => this.time,
    });
    this.actor.recover();
  }

  ask(frame: Uint32Array): void {
    assert(this.#requests.reserve(frame.byteLength), 'the ring has room');
    this.#requests.words.set(frame, this.#requests.at / 4);
    this.#requests.commit();
  }

  look(type: number, ids: readonly bigint[], request = 1): void {
    this.ask(requestFrame(type, batchOfIds(ids), { request }));
  }

  /** What has left the actor. */
  told(): Heard[] {
    const told: Heard[] = [];
    while (this.#replies.peek()) {
      const { words } = this.#replies;
      const at = this.#replies.at / 4;
      const kind = words[at + Reply.kind]!;
      const head = { kind, sequence: words[at + Reply.sequence]! };
      const rows = words.slice(at + REPLY_HEAD_WORDS, at + this.#replies.length / 4);
      const one =
        kind === ReplyKind.created
          ? replyAt(words, at)
          : { request: words[at + Reply.request]!, statuses: [...rows], timestamps: [] };
      told.push({ ...head, ...one });
      this.#replies.release();
    }
    return told;
  }
}

function fundedStore(): MemoryJournalStore {
  const store: MemoryJournalStore = { rows: [] };
  const bench = new Bench(store);
  bench.ask(accountsFrame([accountOf(BANK), accountOf(ALICE, 2)]));
  bench.ask(transfersFrame([transferOf(1n, BANK, ALICE, 10n)]));
  bench.actor.step();
  return store;
}

describe('a shard actor', () => {
  test('refuses creates when the disk is full, answers look-ups, and goes on when there is room', () => {
    const store = fundedStore();
    const { rows } = store;
    const bench = new Bench(store);
    bench.free = RESERVE - 1;
    bench.ask(transfersFrame([transferOf(2n, BANK, ALICE, 1n)], 5));
    bench.look(RequestType.lookupAccounts, [ALICE], 6);
    bench.actor.step();
    expect(bench.told().map(({ kind, request }) => [kind, request])).toEqual([
      [ReplyKind.storageFull, 5],
      [ReplyKind.accounts, 6],
    ]);
    expect(rows).toHaveLength(1);
    expect(bench.counters.values[Counter.storageFull]).toBe(1);
    expect(bench.counters.values[Counter.storageRefused]).toBe(1);
    bench.free = 2 * RESERVE;
    bench.ask(transfersFrame([transferOf(2n, BANK, ALICE, 1n)], 7));
    bench.actor.step();
    expect(bench.told()).toMatchObject([{ kind: ReplyKind.created, request: 7 }]);
    expect(bench.counters.values[Counter.storageFull]).toBe(0);
  });

  test('lets pending transfers expire while the reserve lasts, and journals nothing when it is used up', () => {
    const store = fundedStore();
    const bench = new Bench(store);
    const pending = {
      ...transferOf(2n, BANK, ALICE, 1n),
      flags: TransferFlags.pending,
      timeout: 1,
    };
    bench.ask(transfersFrame([pending]));
    bench.actor.step();
    const { length } = store.rows;
    bench.time += 2_000_000_000n;
    bench.free = RESERVE / 8 - 1;
    expect(bench.actor.step()).toBe(false);
    expect(bench.actor.idleMs(100)).toBe(100);
    bench.actor.writeDigest();
    expect(store.rows).toHaveLength(length);
    bench.free = RESERVE / 8;
    expect(bench.actor.step()).toBe(true);
    expect(store.rows).toHaveLength(length + 1);
    bench.actor.writeDigest();
    expect(store.rows).toHaveLength(length + 2);
  });

  test('answers requests in order, all that were there as one group', () => {
    const store: MemoryJournalStore = { rows: [] };
    const bench = new Bench(store);
    expect(bench.actor.step()).toBe(false);
    bench.ask(accountsFrame([accountOf(BANK), accountOf(ALICE, 2)], 1));
    bench.ask(
      transfersFrame([transferOf(1n, BANK, ALICE, 10n), transferOf(2n, ALICE, BANK, 11n)], 2),
    );
    expect(bench.actor.step()).toBe(true);
    expect(
      bench.told().map(({ request, statuses, sequence }) => [request, statuses, sequence]),
    ).toEqual([
      [1, [0, 0], 1],
      [2, [0, TransferStatus.exceeds_credits], 1],
    ]);
    expect(store.rows).toHaveLength(1);
    expect(bench.counters.values[Counter.sequence]).toBe(1);
    expect(bench.actor.step()).toBe(false);
  });

  test('releases nothing before the commit has returned: no reply, no look-up, no message', () => {
    const store: MemoryJournalStore = { rows: [] };
    const bench = new Bench(store, { shards: 2 });
    const mine = idOn(0, 2);
    const yours = idOn(1, 2);
    bench.ask(accountsFrame([accountOf(mine)]));
    bench.actor.step();
    bench.peer!.flush();
    bench.actor.step();
    bench.told();
    bench.journal.looksUntilDurable = 2;
    bench.ask(transfersFrame([transferOf(1n, mine, yours)], 5));
    bench.ask(transfersFrame([transferOf(2n, mine, mine)], 6));
    bench.ask(accountsFrame([accountOf(idOn(0, 2, 2))], 7));
    bench.actor.step();
    expect(store.rows).toHaveLength(1);
    expect([bench.told(), bench.peer!.peek(0)]).toEqual([[], null]);
    bench.actor.step();
    expect([bench.told(), bench.peer!.peek(0)]).toEqual([[], null]);
    bench.actor.step();
    expect(store.rows).toHaveLength(2);
    expect(bench.told().map(({ request }) => request)).toEqual([7]);
    expect(bench.peer!.peek(0)).toMatchObject({ number: 1 });
  });

  test('executes the next group while one is made durable, and waits for it then', () => {
    const store: MemoryJournalStore = { rows: [] };
    const bench = new Bench(store);
    bench.journal.looksUntilDurable = 10;
    bench.ask(accountsFrame([accountOf(BANK), accountOf(ALICE, 2)], 1));
    bench.actor.step();
    expect([store.rows.length, bench.told()]).toEqual([0, []]);
    bench.ask(transfersFrame([transferOf(1n, BANK, ALICE, 10n)], 2));
    bench.actor.step();
    expect([store.rows.length, bench.told().map(({ request }) => request)]).toEqual([1, [1]]);
    bench.actor.settle();
    expect([store.rows.length, bench.told().map(({ request }) => request)]).toEqual([2, [2]]);
    expect(bench.counters.values[Counter.sequence]).toBe(2);
    // Both have taken some time, and the slower one has taken less than a minute.
    const slowest = bench.counters.values[Counter.slowestGroup]!;
    expect(slowest).toBeGreaterThan(1000);
    expect(slowest).toBeLessThan(60e9);
  });

  test('answers a look-up when all that it has seen is durable, and executes on meanwhile', () => {
    const store: MemoryJournalStore = { rows: [] };
    const bench = new Bench(store);
    bench.ask(accountsFrame([accountOf(BANK), accountOf(ALICE, 2)], 1));
    bench.actor.step();
    bench.journal.looksUntilDurable = 10;
    bench.ask(transfersFrame([transferOf(1n, BANK, ALICE, 10n)], 2));
    bench.actor.step();
    bench.told();
    bench.look(RequestType.lookupAccounts, [ALICE], 3);
    bench.look(RequestType.lookupTransfers, [1n], 4);
    bench.look(RequestType.accountHeads, [ALICE], 5);
    bench.actor.step();
    expect([store.rows.length, bench.told()]).toEqual([1, []]);
    bench.ask(transfersFrame([transferOf(2n, BANK, ALICE, 5n)], 6));
    bench.actor.step();
    const told = bench.told();
    expect([store.rows.length, told.map(({ request }) => request)]).toEqual([2, [2, 3, 4, 5]]);
    expect(told.map(({ sequence }) => sequence)).toEqual([2, 2, 2, 2]);
    // What was posted to Alice is what the first transfer has posted; it is in the second row of the journal.
    expect(told[1]!.statuses[2 + 16]).toBe(10);
    expect(told[2]!.statuses.slice(1, 2)).toEqual([2]);
    expect(told[3]!.statuses.slice(1, 2)).toEqual([2]);
    bench.actor.settle();
    expect(bench.told().map(({ request, sequence }) => [request, sequence])).toEqual([[6, 3]]);
  });

  test('a look-up that has seen a group that turns out not to be durable is not answered', () => {
    for (const failure of ['before-keeping', 'after-keeping'] as const) {
      const bench = new Bench(fundedStore());
      bench.journal.looksUntilDurable = 10;
      bench.ask(transfersFrame([transferOf(2n, ALICE, BANK, 4n)], 1));
      bench.actor.step();
      bench.look(RequestType.lookupAccounts, [ALICE], 2);
      bench.actor.step();
      bench.journal.failNextAppend(failure);
      expect(() => bench.actor.settle()).toThrow('Injected');
      expect(bench.told()).toEqual([]);
    }
  });

  test('lets a group go as soon as it is durable, in the midst of the next one, and nothing of that one', () => {
    const store: MemoryJournalStore = { rows: [] };
    const bench = new Bench(store, { shards: 2 });
    const [mine, yours] = [idOn(0, 2), idOn(1, 2)];
    bench.ask(accountsFrame([accountOf(mine)], 1));
    bench.ask(transfersFrame([transferOf(1n, mine, yours)], 2));
    bench.peer!.flush();
    bench.journal.looksUntilDurable = 4;
    bench.actor.step();
    bench.journal.looksUntilDurable = 0;
    const { ring } = bench;
    const heard: number[] = [];
    bench.ring = (written) => {
      ring(written);
      heard.push(store.rows.length, ...bench.told().map(({ request }) => request));
      expect(bench.peer!.peek(0)).toMatchObject({ number: 1 });
    };
    for (const request of [3, 4, 5]) {
      bench.ask(accountsFrame([accountOf(idOn(0, 2, request))], request));
    }
    bench.actor.step();
    expect(heard).toEqual([1, 1]);
    expect(bench.rung).toEqual([[0, 1, 1]]);
    expect(bench.told().map(({ request }) => request)).toEqual([3, 4, 5]);
  });

  test('an id of a group that is not durable yet is compared with its record all the same', () => {
    const store = fundedStore();
    const bench = new Bench(store);
    bench.journal.looksUntilDurable = 10;
    bench.ask(transfersFrame([transferOf(2n, ALICE, BANK, 4n)], 1));
    bench.actor.step();
    bench.ask(
      transfersFrame([transferOf(2n, ALICE, BANK, 4n), transferOf(2n, ALICE, BANK, 5n)], 2),
    );
    bench.actor.step();
    bench.actor.settle();
    expect(bench.told().map(({ request, statuses }) => [request, statuses])).toEqual([
      [1, [TransferStatus.created]],
      [2, [TransferStatus.exists, TransferStatus.exists_with_different_amount]],
    ]);
    expect(new Bench(store).actor.machine.digest()).toEqual(bench.actor.machine.digest());
  });

  test('a group that turns out not to be durable takes the one behind it along: neither is answered', () => {
    for (const failure of ['before-keeping', 'after-keeping'] as const) {
      const store = fundedStore();
      const { length } = store.rows;
      const bench = new Bench(store);
      bench.journal.looksUntilDurable = 10;
      bench.ask(transfersFrame([transferOf(2n, ALICE, BANK, 4n)], 1));
      bench.actor.step();
      bench.journal.failNextAppend(failure);
      bench.ask(transfersFrame([transferOf(3n, ALICE, BANK, 1n)], 2));
      expect(() => bench.actor.step()).toThrow('Injected');
      expect(bench.told()).toEqual([]);
      expect(store.rows.length - length).toBe(failure === 'after-keeping' ? 1 : 0);
    }
  });

  test('a look-up sees what was asked before it, and only what is durable', () => {
    const bench = new Bench(fundedStore());
    bench.ask(transfersFrame([transferOf(2n, ALICE, BANK, 4n)], 1));
    bench.look(RequestType.lookupAccounts, [ALICE, 99n], 2);
    bench.look(RequestType.lookupTransfers, [2n, 99n, 1n], 3);
    bench.actor.step();
    const [, accounts, transfers] = bench.told();
    expect(accounts).toMatchObject({ kind: ReplyKind.accounts, request: 2, sequence: 2 });
    expect(accounts!.statuses).toHaveLength(2 + ROW_WORDS);
    expect([accounts!.statuses[2], accounts!.statuses[2 + 8], accounts!.statuses[2 + 16]]).toEqual([
      2, 4, 10,
    ]);
    expect(transfers).toMatchObject({ kind: ReplyKind.positions, request: 3 });
    // {row of the request, sequence, row and state, 0}
    expect(transfers!.statuses).toEqual([0, 2, 1, 0, 2, 1, (2 << 8) | 1, 0]);
  });

  for (const failure of ['before-keeping', 'after-keeping'] as const) {
    test(`a commit that fails ${failure} the row ends the actor, and the next one answers from the journal`, () => {
      const store = fundedStore();
      const bench = new Bench(store, { session: 2 });
      const spend = transferOf(2n, ALICE, BANK, 10n);
      bench.journal.failNextAppend(failure);
      bench.ask(
        requestFrame(InputType.createTransfers, batchOfObjects(BatchKind.transfers, [spend]), {
          session: 2,
        }),
      );
      bench.look(RequestType.lookupAccounts, [ALICE], 3);
      expect(() => bench.actor.step()).toThrow(
        expect.objectContaining({ code: 'JOURNAL_WRITE_FAILED' }),
      );
      expect(bench.told()).toEqual([]);
      // Nor does it go on from memory.
      bench.ask(transfersFrame([transferOf(3n, BANK, ALICE)]));
      expect(() => bench.actor.step()).toThrow('earlier append failed');
      expect(bench.told()).toEqual([]);

      const next = new Bench(store, { session: 3 });
      const isKept = failure === 'after-keeping';
      const batch = batchOfObjects(BatchKind.transfers, [spend, transferOf(4n, ALICE, BANK, 1n)]);
      next.ask(requestFrame(InputType.createTransfers, batch, { session: 3, request: 9 }));
      next.actor.step();
      expect(next.told().map(({ request, statuses }) => [request, statuses])).toEqual([
        [
          9,
          [isKept ? TransferStatus.exists : TransferStatus.created, TransferStatus.exceeds_credits],
        ],
      ]);
    });
  }

  test('replies that a replay makes again go to nobody, and the digest is as before', () => {
    const store = fundedStore();
    const first = new Bench(store);
    const digest = first.actor.machine.digest();
    const second = new Bench(store, { session: 2 });
    expect(second.actor.step()).toBe(false);
    expect(second.told()).toEqual([]);
    expect(second.actor.machine.digest()).toEqual(digest);
  });

  test('replies that find their ring full wait, in order, and none is lost', () => {
    const bench = new Bench(fundedStore(), { replyBytes: 256 });
    for (let i = 1; i <= 40; i++) {
      bench.ask(transfersFrame([transferOf(100n + BigInt(i), BANK, ALICE)], i));
    }
    bench.actor.step();
    expect(bench.actor.hasBacklog).toBe(true);
    const requests: number[] = [];
    while (bench.actor.hasBacklog || requests.length < 40) {
      requests.push(...bench.told().map(({ request }) => request));
      bench.actor.step();
    }
    expect(requests).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  test('what comes after its deadline is refused, and leaves no trace', () => {
    const store = fundedStore();
    const bench = new Bench(store);
    const batch = batchOfObjects(BatchKind.transfers, [transferOf(2n, BANK, ALICE)]);
    bench.ask(requestFrame(InputType.createTransfers, batch, { request: 4, deadline: TIME }));
    bench.ask(requestFrame(InputType.createTransfers, batch, { request: 5, deadline: TIME - 1n }));
    bench.actor.step();
    expect(new Map(bench.told().map(({ request, kind }) => [request, kind]))).toEqual(
      new Map([
        [4, ReplyKind.created],
        [5, ReplyKind.late],
      ]),
    );
    bench.time = TIME * 2n;
    bench.ask(requestFrame(InputType.createTransfers, batch, { request: 6, deadline: TIME }));
    bench.actor.step();
    expect(bench.told().map(({ kind }) => kind)).toEqual([ReplyKind.late]);
    expect(store.rows).toHaveLength(2);
  });

  test('after a crash in the middle of a walk its message is sent again, and its decision is taken once', () => {
    const store: MemoryJournalStore = { rows: [] };
    const bench = new Bench(store, { shards: 2 });
    const [mine, other, yours] = [idOn(0, 2), idOn(0, 2, 2), idOn(1, 2)];
    bench.ask(accountsFrame([accountOf(mine), accountOf(other)]));
    bench.ask(transfersFrame([transferOf(1n, mine, yours)], 2));
    bench.actor.step();
    bench.peer!.flush();
    bench.actor.step();
    const sent = bench.peer!.peek(0)!;
    expect(sent).toMatchObject({ number: 1 });

    const next = new Bench(store, { shards: 2, session: 2 });
    next.peer!.flush();
    next.actor.step();
    const again = next.peer!.peek(0)!;
    expect(again).toEqual(sent);
    next.peer!.take();
    next.peer!.submitted();
    next.peer!.send({ number: 1, clockLow: 77, clockHigh: 0, body: failedBody() });
    next.peer!.committed();
    next.peer!.flush();
    next.actor.step();
    expect(next.actor.machine.claimedCount).toBe(0);
    expect(next.actor.machine.acknowledged[1]).toBe(1);
    // Its client asked an earlier life of the shard.
    expect(next.told()).toEqual([]);
    next.ask(
      requestFrame(
        InputType.createTransfers,
        batchOfObjects(BatchKind.transfers, [transferOf(1n, mine, other)]),
        { session: 2, request: 3 },
      ),
    );
    next.actor.step();
    expect(next.told()[0]!.statuses).toEqual([TransferStatus.id_already_failed]);
  });
});

/** The decision of the last shard: transfer 1 found no credit account. */
function failedBody(): Uint32Array {
  const body = new Uint32Array(LINK_HEAD_WORDS + 8);
  body[LinkHead.kind] = LinkKind.apply;
  body[LinkHead.walk] = 1;
  body[5] = 1;
  body[6] = 1;
  body[LINK_HEAD_WORDS] = 1;
  body[LINK_HEAD_WORDS + 4] = TransferStatus.credit_account_not_found;
  body[LINK_HEAD_WORDS + 5] = 77;
  return body;
}
