/**
 * The real state machines of a few shards in one thread, with everything around them made of arrays: rings, links, journals, clients. Each
 * step is chosen by a seed: a client asks, a shard takes one message or all that are there as one group, a shard crashes and comes back
 * from its journal. What takes the real system a lucky moment happens here in every run, and happens again with the same seed.
 *
 * A crash loses memory and rings; the replay must give the same frames and the same digest; messages that were not acknowledged are sent again.
 * Clients of a shard that crashed get no answer. `history` is what they were told, for the checkers of serial-order.ts.
 */
import { batchOfObjects, objectsOfRows } from '../../client/rows.ts';
import { assert } from '../../engine/assert.ts';
import { BatchKind, Columns, ROW_WORDS, type Batch } from '../../engine/batch.ts';
import { Group, Input, INPUT_WORDS, InputType } from '../../engine/group.ts';
import { TransferState, positionState } from '../../engine/ledger.ts';
import { Reply, REPLY_HEAD_WORDS } from '../../engine/open-requests.ts';
import { StateMachine } from '../../engine/state-machine.ts';
import { ACCOUNT_STATUS_NAMES, TRANSFER_STATUS_NAMES } from '../../engine/status.ts';
import type { Prng } from '../../lib/prng.ts';
import { MemoryJournal, type MemoryJournalStore } from '../../persistence/memory-journal.ts';
import { BatchOrder } from '../../sharding/batch-order.ts';
import { RecordReader } from '../../sharding/record-reader.ts';
import { replayJournal } from '../../sharding/replay.ts';
import { placementOf } from './cluster.ts';
import type { Result, ShardOf, StoredAccount } from './model-ledger.ts';
import type { RandomBatch } from './random-batches.ts';
import type { History, LedgerEvent } from './serial-order.ts';

const GROUP_BYTES = 4 << 20;
/** Shards' clocks differ by up to so many nanoseconds. */
const SKEW_NS_MAX = 2000;

interface Message {
  readonly number: number;
  readonly clockLow: number;
  readonly clockHigh: number;
  readonly body: Uint32Array;
}

interface Shard {
  readonly index: number;
  readonly store: MemoryJournalStore;
  readonly skew: bigint;
  journal: MemoryJournal;
  machine: StateMachine;
  group: Group;
  records: RecordReader;
  session: number;
  /** Request frames that were sent and not taken. */
  ring: Uint32Array[];
  /** By peer: sent and not yet taken; kept until they are acknowledged. */
  readonly inbound: Message[][];
  readonly outbox: Message[][];
}

/** A request to one shard, and which events of the history it carries. */
interface Waiting {
  readonly shard: number;
  readonly kind: BatchKind;
  readonly places: readonly number[];
}

/** What goes to one shard, and which events of the history it carries. */
interface Part {
  readonly shard: number;
  readonly batch: Batch;
  readonly places: readonly number[];
}

interface Client {
  readonly plan: RandomBatch[];
  readonly waits: Map<number, Waiting>;
  rest: (Part & { readonly type: InputType }) | null;
}

export class EngineWorld {
  readonly shardOf: ShardOf;
  readonly #prng: Prng;
  readonly #shards: Shard[];
  readonly #order: BatchOrder;
  readonly #columns = new Columns();
  #clients: Client[] = [];
  #history: History | null = null;
  #requests = 0;
  #time = 1_000_000_000n;
  crashes = 0;

  constructor(shards: number, prng: Prng) {
    this.#prng = prng;
    this.shardOf = placementOf(shards);
    this.#order = new BatchOrder(shards);
    this.#shards = Array.from({ length: shards }, (_, index) => {
      const store: MemoryJournalStore = { rows: [] };
      const skew = BigInt(prng.below(SKEW_NS_MAX));
      const queues = (): Message[][] => Array.from({ length: shards }, () => []);
      const fresh = this.#fresh(index, shards, store);
      return {
        index,
        store,
        skew,
        ...fresh,
        session: 1,
        ring: [],
        inbound: queues(),
        outbox: queues(),
      };
    });
  }

  #fresh(shard: number, shards: number, store: MemoryJournalStore) {
    const group = new Group(GROUP_BYTES);
    const machine = new StateMachine({ shard, shards, seed: 7 }, group);
    const journal = new MemoryJournal({ clusterId: 'world', shard, shards }, store);
    return { group, machine, journal, records: new RecordReader(journal, shards) };
  }

  /** Lets the clients' plans happen, step by step, until nothing is left to do. */
  run(plans: readonly RandomBatch[][], history: History, crashPercent = 0): void {
    this.#history = history;
    this.#clients = plans.map((plan) => ({ plan: [...plan], waits: new Map(), rest: null }));
    for (let steps = 0; ; steps++) {
      assert(steps < 20_000, 'it never ends');
      const choices = this.#choices();
      if (choices.length === 0) break;
      if (this.#prng.chance(crashPercent)) this.#crash(this.#prng.pick(this.#shards));
      else this.#prng.pick(choices)();
    }
    for (const { machine } of this.#shards) {
      assert(machine.parkedCount === 0, 'nothing is left waiting');
      assert(machine.claimedCount === 0, 'nothing is left claimed');
      assert(machine.walksUnderWay === 0, 'no walk is left under way');
    }
    assert(
      this.#clients.every(({ waits }) => waits.size === 0),
      'every client has its answers',
    );
  }

  #choices(): (() => void)[] {
    const choices: (() => void)[] = [];
    for (const client of this.#clients) {
      const isIdle = client.waits.size === 0 && client.rest === null;
      if (isIdle && client.plan.length > 0) choices.push(() => this.#invoke(client));
    }
    for (const shard of this.#shards) {
      const { ring, inbound, machine } = shard;
      const sources = inbound.filter((queue) => queue.length > 0);
      if (ring.length > 0) choices.push(() => this.#step(shard, { requests: 1, messages: 0 }));
      for (const queue of sources) {
        choices.push(() => this.#step(shard, { requests: 0, messages: 1, only: queue }));
      }
      if (ring.length + sources.length > 0 || machine.pumpAgain) {
        choices.push(() => this.#step(shard, { requests: Infinity, messages: Infinity }));
      }
    }
    return choices;
  }

  // ---- Clients, and the router's part of their requests.

  #invoke(client: Client): void {
    const batch = client.plan.shift()!;
    const isAccounts = batch.type === 'accounts';
    const events: LedgerEvent[] = isAccounts
      ? batch.events.map((account) => ({ type: 'account', account }))
      : batch.events.map((transfer) => ({ type: 'transfer', transfer }));
    const first = this.#history!.ask(events);
    const kind = isAccounts ? BatchKind.accounts : BatchKind.transfers;
    const shards = this.#shards.length;
    const toShard = Array.from({ length: shards }, (): number[] => []);
    const rest: number[] = [];
    if (isAccounts) {
      for (const [i, { id }] of batch.events.entries()) toShard[this.shardOf(id)]!.push(i);
    } else {
      this.#openBatch(batchOfObjects(kind, batch.events));
      this.#order.plan(this.#columns);
      for (let i = 0; i < events.length; i++) {
        if (this.#order.isRest[i] === 1) rest.push(i);
        else toShard[this.#order.shard[i]!]!.push(i);
      }
    }
    const part = (rows: readonly number[]): Batch =>
      batchOfObjects(
        kind,
        rows.map((i) => batch.events[i]!),
      );
    const places = (rows: readonly number[]): readonly number[] => rows.map((i) => first + i);
    if (rest.length > 0) {
      const mask = this.#order.restMaskLow;
      const shard = 31 - Math.clz32(mask & -mask);
      const isOneShard = mask === 1 << shard;
      const type = isOneShard ? InputType.createTransfers : InputType.createTransfersTogether;
      client.rest = { type, shard, batch: part(rest), places: places(rest) };
    }
    const type = isAccounts ? InputType.createAccounts : InputType.createTransfers;
    for (const [shard, rows] of toShard.entries()) {
      if (rows.length > 0)
        this.#send(client, type, { shard, batch: part(rows), places: places(rows) });
    }
  }

  #openBatch(batch: Batch): void {
    const words = new Uint32Array(4 + batch.words.length);
    words.set(batch.words, 4);
    this.#columns.openBatch(words, new Uint16Array(words.buffer), 16, 0);
  }

  #send(client: Client, type: InputType, { shard, batch, places }: Part): void {
    const request = ++this.#requests;
    const target = this.#shards[shard]!;
    const frame = new Uint32Array(INPUT_WORDS + batch.words.length);
    frame[Input.type] = type;
    frame[Input.bytes] = frame.length * 4;
    frame[Input.session] = target.session;
    frame[Input.request] = request;
    frame.set(batch.words, INPUT_WORDS);
    target.ring.push(frame);
    client.waits.set(request, { shard, kind: batch.kind, places });
  }

  #reply(shard: Shard): void {
    const { replies, replyAt } = shard.machine.requests;
    const { words } = replies;
    for (const at of replyAt) {
      const request = words[at + Reply.request]!;
      const client = this.#clients.find(({ waits }) => waits.has(request));
      if (client === undefined || words[at + Reply.session] !== shard.session) continue;
      const { kind, places } = client.waits.get(request)!;
      const n = words[at + Reply.n]!;
      assert(n === places.length, 'an outcome for each event');
      for (let i = 0; i < n; i++) {
        this.#history!.answer(places[i]!, resultOf(words, at, { kind, i, n }));
      }
      client.waits.delete(request);
      this.#sendRest(client);
    }
  }

  /** The rest of a batch goes when all of the first wave is answered. */
  #sendRest(client: Client): void {
    const { rest } = client;
    if (rest === null || client.waits.size > 0) return;
    client.rest = null;
    this.#send(client, rest.type, rest);
  }

  // ---- Shards.

  #step(
    shard: Shard,
    take: { readonly requests: number; readonly messages: number; readonly only?: Message[] },
  ): void {
    const { group, machine, journal } = shard;
    group.reset(journal.lastSequence + 1);
    for (const [peer, queue] of shard.inbound.entries()) {
      if (take.only !== undefined && take.only !== queue) continue;
      for (let count = take.messages; count > 0 && queue.length > 0; count--) {
        addMessage(group, peer, queue.shift()!);
      }
    }
    for (let count = take.requests; count > 0 && shard.ring.length > 0; count--) {
      const frame = shard.ring.shift()!;
      group.addRequest(frame, 0, frame.length);
    }
    this.#acknowledge(shard);
    machine.want();
    const { shelf } = machine;
    for (let i = 0; i < shelf.count; i++) {
      shelf.put(i, shard.records.record(shelf.sequences[i]!, shelf.rowNumbers[i]!));
    }
    this.#time += BigInt(this.#prng.below(300));
    const now = this.#time + shard.skew;
    machine.execute(Number(now & 0xffffffffn), Number(now >> 32n));
    const frame = group.frame();
    journal.append({ sequence: group.sequence, timestamp: now, frame });
    shard.records.keep(group.sequence, frame);
    for (const { to, message } of this.#outgoing(shard))
      this.#shards[to]!.inbound[shard.index]!.push(message);
    this.#reply(shard);
  }

  /** Sometimes the journals of the others are known to have what was sent to them. */
  #acknowledge(shard: Shard): void {
    for (const peer of this.#shards) {
      const number = peer.machine.received[shard.index]!;
      if (number <= shard.machine.acknowledged[peer.index]! || this.#prng.chance(50)) continue;
      const at = shard.group.addMessage(InputType.acknowledged, peer.index, null);
      shard.group.words[at + Input.number] = number;
      shard.outbox[peer.index] = shard.outbox[peer.index]!.filter((one) => one.number > number);
    }
  }

  /** Numbers the messages of the group, and keeps them. */
  #outgoing(shard: Shard): readonly { readonly to: number; readonly message: Message }[] {
    const { outgoing, sent, ledger } = shard.machine;
    const { clockLow, clockHigh } = ledger;
    return outgoing.map(({ to, body }, i) => {
      const behind = outgoing.slice(i + 1).filter((other) => other.to === to).length;
      const message = { number: sent[to]! - behind, clockLow, clockHigh, body };
      shard.outbox[to]!.push(message);
      return { to, message };
    });
  }

  #crash(shard: Shard): void {
    this.crashes++;
    const before = shard.machine.digest().join();
    const shards = this.#shards.length;
    Object.assign(shard, this.#fresh(shard.index, shards, shard.store));
    for (const queue of shard.outbox) queue.length = 0;
    const { journal, machine, group, records } = shard;
    const onGroup = (): void => {
      this.#outgoing(shard);
    };
    replayJournal({ journal, machine, group, records, onGroup });
    assert(machine.digest().join() === before, 'the replay gives the state before the crash');
    for (const peer of this.#shards) {
      if (peer === shard) continue;
      // Each says what it has; the other sends again what is above that.
      const { index } = peer;
      peer.inbound[shard.index] = above(shard.outbox[index]!, peer.machine.received[shard.index]!);
      shard.inbound[index] = above(peer.outbox[shard.index]!, machine.received[index]!);
    }
    shard.ring = [];
    shard.session++;
    for (const client of this.#clients) {
      if (![...client.waits.values()].some((one) => one.shard === shard.index)) continue;
      client.waits.clear();
      client.rest = null;
    }
  }

  // ---- What is there in the end.

  accounts(ids: readonly bigint[]): readonly StoredAccount[] {
    return ids.flatMap((id) => {
      const { accountIndex, accounts } = this.#shards[this.shardOf(id)]!.machine.ledger;
      const words = wordsOf(id);
      const row = accountIndex.find(words, 0, accountIndex.hash(words, 0));
      if (row === -1) return [];
      const copy = new Uint32Array(ROW_WORDS);
      accounts.copyRow(row, copy, 0);
      return objectsOfRows(BatchKind.accounts, copy, 1) as readonly StoredAccount[];
    });
  }

  /** The same text as the digest of a model with these accounts and transfer ids. */
  digest(accountIds: readonly bigint[], transferIds: readonly bigint[]): string {
    const balances = this.accounts(accountIds).map(
      (one) => `${one.id} ${one.debitsPosted} ${one.creditsPosted}`,
    );
    const created: string[] = [];
    const burnt: string[] = [];
    for (const { index, machine } of this.#shards) {
      const { transferIndex } = machine.ledger;
      for (const id of new Set(transferIds)) {
        const words = wordsOf(id);
        const slot = transferIndex.find(words, 0, transferIndex.hash(words, 0));
        if (slot === -1) continue;
        const state = positionState(transferIndex.valueHigh(slot));
        (state === TransferState.created ? created : burnt).push(`${index}/${id}`);
      }
    }
    return [balances.toSorted(), created.toSorted(), burnt.toSorted()]
      .map((one) => one.join())
      .join(';');
  }
}

function wordsOf(id: bigint): Uint32Array {
  return Uint32Array.from({ length: 4 }, (_, w) => Number((id >> BigInt(32 * w)) & 0xffffffffn));
}

function addMessage(group: Group, peer: number, message: Message): void {
  const at = group.addMessage(InputType.link, peer, message.body);
  group.words[at + Input.number] = message.number;
  group.words[at + Input.stamp] = message.clockLow;
  group.words[at + Input.stamp + 1] = message.clockHigh;
}

const above = (messages: readonly Message[], number: number): Message[] =>
  messages.filter((one) => one.number > number);

function resultOf(
  words: Uint32Array,
  at: number,
  { kind, i, n }: { readonly kind: BatchKind; readonly i: number; readonly n: number },
): Result {
  const stamp = at + REPLY_HEAD_WORDS + 2 * i;
  const timestamp = (BigInt(words[stamp + 1]!) << 32n) | BigInt(words[stamp]!);
  const pair = words[at + REPLY_HEAD_WORDS + 2 * n + (i >> 1)]!;
  const number = (i & 1) === 0 ? pair & 0xffff : pair >>> 16;
  const names = kind === BatchKind.accounts ? ACCOUNT_STATUS_NAMES : TRANSFER_STATUS_NAMES;
  return { status: names[number] ?? `status ${number}`, timestamp };
}
