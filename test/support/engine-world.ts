/**
 * The real state machines of a few shards in one thread, with everything around them made of arrays: rings, links, journals, clients. Each
 * step is chosen by a seed: a client asks, a shard takes one message or all that are there as one group, pending transfers expire, the clock
 * jumps, a shard crashes and comes back from its journal. What takes the real system a lucky moment happens here in every run, and happens
 * again with the same seed.
 *
 * A crash loses memory and rings; the replay must give the same frames and the same digest; messages that were not acknowledged are sent again.
 * With snapshots, images are made meanwhile, and a shard may come back from one and the rest of its journal.
 * Clients of a shard that crashed get no answer. `history` is what they were told, for the checkers of serial-order.ts. Limits hold after
 * every step; at rest the journals are held against the tables (journal-facts.ts).
 */
import { assert } from '../../engine/assert.ts';
import { ROW_WORDS, type Batch } from '../../engine/batch.ts';
import { Input, InputType } from '../../engine/frame.ts';
import { Group } from '../../engine/group.ts';
import {
  TransferState,
  positionRow,
  positionSequence,
  positionState,
} from '../../engine/ledger.ts';
import { Reply } from '../../engine/open-requests.ts';
import { StateMachine } from '../../engine/state-machine.ts';
import type { Prng } from '../../lib/prng.ts';
import { MemoryJournal, type MemoryJournalStore } from '../../persistence/memory-journal.ts';
import { RecordReader } from '../../sharding/record-reader.ts';
import { replayJournal } from '../../sharding/replay.ts';
import { ImageMaking, loadMade, type MadeImage } from './image-making.ts';
import { JournalFacts } from './journal-facts.ts';
import type { ShardOf, StoredAccount } from './model-ledger.ts';
import { placementOf } from './placement.ts';
import type { History, LedgerEvent, Recorded } from './serial-order.ts';
import { above, addMessage, type Message } from './world-messages.ts';
import { WorldRouter, type RoutedPart, type WorldBatch } from './world-router.ts';
import { checkLimits, digestText, resultOf, storedAccounts } from './world-state.ts';

/** What the few small batches of a world need: machines are made by the thousand, and room is most of what each takes. */
const GROUP_BYTES = 1 << 20;
const GROUP_INPUT_ROWS = 2048;
/** Shards' clocks differ by up to so many nanoseconds. */
const SKEW_NS_MAX = 2000;
/** Now and then the clock jumps, so that pending transfers expire. */
const JUMP_PERCENT = 2;
const JUMP_NS_MAX = 1_500_000_000;
/** How often an image is begun, and finished, by step of a shard. */
const IMAGE_PERCENT = 25;

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
  /** The image that is being made, and the one that was finished last. */
  making: { readonly image: ImageMaking; readonly at: SnapshotAt } | null;
  snapshot: (SnapshotAt & { readonly made: MadeImage }) | null;
}

/** What a snapshot has besides the image. */
interface SnapshotAt {
  readonly sequence: number;
  readonly outbox: readonly (readonly Message[])[];
}

interface Client {
  readonly plan: WorldBatch[];
  /** Requests without an answer, by number. */
  readonly waits: Map<number, RoutedPart>;
  asked: WorldBatch | null;
  /** Place of its first event in the history. */
  first: number;
  statuses: string[];
  rest: RoutedPart | null;
}

export class EngineWorld {
  readonly shardOf: ShardOf;
  readonly #prng: Prng;
  readonly #shards: Shard[];
  readonly #router: WorldRouter;
  #facts: JournalFacts;
  #clients: Client[] = [];
  #history: History | null = null;
  #requests = 0;
  #time = 1_000_000_000_000n;
  #isSilent = false;
  readonly #withSnapshots: boolean;
  crashes = 0;
  expiries = 0;
  /** Snapshots that were finished, and loaded; and loads whose suffix ended with ids that were not looked for. */
  snapshots = 0;
  loads = 0;
  deferred = 0;

  constructor(shards: number, prng: Prng, options: { readonly snapshots?: boolean } = {}) {
    this.#prng = prng;
    this.#withSnapshots = options.snapshots === true;
    this.shardOf = placementOf(shards);
    this.#router = new WorldRouter(shards);
    this.#facts = new JournalFacts(shards, this.shardOf);
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
        making: null,
        snapshot: null,
      };
    });
  }

  #fresh(shard: number, shards: number, store: MemoryJournalStore) {
    const group = new Group(GROUP_BYTES, { inputRowsMax: GROUP_INPUT_ROWS });
    const machine = new StateMachine({ shard, shards, seed: 7 }, group);
    const journal = new MemoryJournal({ clusterId: 'world', shard, shards }, store);
    return { group, machine, journal, records: new RecordReader(journal, shards) };
  }

  get now(): bigint {
    return this.#time;
  }

  readonly recorded: Recorded = (kind, id) => this.#facts.recorded(kind, id);

  /** Lets the clients' plans happen, step by step, until nothing is left to do. */
  run(plans: readonly WorldBatch[][], history: History, crashPercent = 0): void {
    this.#history = history;
    this.#clients = plans.map((plan) => ({
      plan: [...plan],
      waits: new Map(),
      asked: null,
      first: 0,
      statuses: [],
      rest: null,
    }));
    for (let steps = 0; ; steps++) {
      assert(steps < 20_000, 'it never ends');
      if (this.#prng.chance(JUMP_PERCENT)) this.#time += BigInt(this.#prng.below(JUMP_NS_MAX));
      const choices = this.#choices();
      if (choices.length === 0) break;
      if (this.#prng.chance(crashPercent)) this.#fail(this.#prng.pick(this.#shards));
      else this.#prng.pick(choices)();
    }
    this.#rest();
  }

  #rest(): void {
    for (const { machine } of this.#shards) {
      assert(machine.parkedCount === 0, 'nothing is left waiting');
      assert(machine.claimedCount === 0, 'nothing is left claimed');
      assert(machine.walksUnderWay === 0, 'no walk is left under way');
      assert(machine.ledger.pendings.expiring === 0, 'no expiry is left under way');
      this.#facts.audit(machine.ledger);
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
      const isDue = this.#isDue(shard);
      if (ring.length > 0) choices.push(() => this.#step(shard, { requests: 1, messages: 0 }));
      for (const queue of sources) {
        choices.push(() => this.#step(shard, { requests: 0, messages: 1, only: queue }));
      }
      if (isDue) choices.push(() => this.#step(shard, { requests: 0, messages: 0, expires: true }));
      if (ring.length + sources.length > 0 || machine.pumpAgain) {
        const all = { requests: Infinity, messages: Infinity, expires: isDue };
        choices.push(() => this.#step(shard, all));
      }
    }
    return choices;
  }

  #isDue({ machine, skew }: Shard): boolean {
    const now = this.#time + skew;
    return machine.ledger.pendings.isDue(Number(now & 0xffffffffn), Number(now >> 32n));
  }

  // ---- Clients, and the router's part of their requests.

  #invoke(client: Client): void {
    const batch = client.plan.shift()!;
    const events: LedgerEvent[] =
      batch.type === 'accounts'
        ? batch.events.map((account) => ({ type: 'account', account }))
        : batch.events.map((transfer) => ({ type: 'transfer', transfer }));
    const { first, rest } = this.#router.route(batch, (ids) => this.#transfersOf(ids));
    client.asked = batch;
    client.first = this.#history!.ask(events);
    client.statuses = [];
    client.rest = rest;
    for (const part of first) this.#send(client, part);
  }

  /** What all shards answer to a look-up of transfers. */
  #transfersOf(ids: Batch): { readonly rows: Uint32Array; readonly n: number } {
    const found: Uint32Array[] = [];
    for (const { machine, records } of this.#shards) {
      const { transferIndex, pendings } = machine.ledger;
      for (let i = 0; i < ids.n; i++) {
        const at = 4 + i * 4;
        const slot = transferIndex.find(ids.words, at, transferIndex.hash(ids.words, at));
        if (slot === -1) continue;
        let low = transferIndex.valueLow(slot);
        let high = transferIndex.valueHigh(slot);
        const state = positionState(high);
        if (state === TransferState.failed) continue;
        if (state === TransferState.pending) {
          high = pendings.positionHigh(low);
          low = pendings.positionLow(low);
        }
        const record = records.record(positionSequence(low, high), positionRow(high));
        found.push(record.slice());
      }
    }
    const rows = new Uint32Array(found.length * ROW_WORDS);
    for (const [i, record] of found.entries()) rows.set(record, i * ROW_WORDS);
    return { rows, n: found.length };
  }

  #send(client: Client, part: RoutedPart): void {
    const request = ++this.#requests;
    const target = this.#shards[part.shard]!;
    const frame = part.frame.slice();
    frame[Input.session] = target.session;
    frame[Input.request] = request;
    target.ring.push(frame);
    client.waits.set(request, part);
  }

  #reply(shard: Shard): void {
    if (this.#isSilent) return;
    const { replies, replyAt } = shard.machine.requests;
    const { words } = replies;
    for (const at of replyAt) {
      const request = words[at + Reply.request]!;
      const client = this.#clients.find(({ waits }) => waits.has(request));
      if (client === undefined || words[at + Reply.session] !== shard.session) continue;
      const { kind, rows } = client.waits.get(request)!;
      const n = words[at + Reply.n]!;
      assert(n === rows.length, 'an outcome for each event');
      for (const [i, row] of rows.entries()) {
        const result = resultOf(words, at, { kind, i, n });
        this.#history!.answer(client.first + row, result);
        client.statuses[row] = result.status;
      }
      client.waits.delete(request);
      this.#answered(client);
    }
  }

  /** The rest of a batch goes when all of the first wave is answered. */
  #answered(client: Client): void {
    const { rest, asked, waits, statuses } = client;
    if (waits.size > 0) return;
    client.rest = null;
    if (rest !== null) this.#send(client, rest);
    else if (asked!.type === 'transfers') this.#router.remember(asked!.events, statuses);
  }

  // ---- Shards.

  #step(
    shard: Shard,
    take: {
      readonly requests: number;
      readonly messages: number;
      readonly only?: Message[];
      readonly expires?: boolean;
    },
  ): void {
    const { group, machine, journal } = shard;
    group.reset(journal.lastSequence + 1);
    if (take.expires === true) group.addMessage(InputType.expire, 0, null);
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
    for (const { home, id, timestamp } of this.#facts.read(shard.index, group.sequence, frame)) {
      this.#history!.expired(home, id, timestamp);
      this.expiries++;
    }
    checkLimits(machine);
    for (const { to, message } of this.#outgoing(shard))
      this.#shards[to]!.inbound[shard.index]!.push(message);
    this.#reply(shard);
    if (this.#withSnapshots) this.#makeImage(shard);
  }

  /** Goes on with the image that is being made, or begins one. */
  #makeImage(shard: Shard): void {
    const { machine, journal, outbox } = shard;
    const prng = this.#prng;
    if (shard.making === null) {
      if (!prng.chance(IMAGE_PERCENT)) return;
      const at = { sequence: journal.lastSequence, outbox: outbox.map((kept) => [...kept]) };
      shard.making = { image: new ImageMaking(machine, prng), at };
      return;
    }
    const { image, at } = shard.making;
    if (prng.chance(50)) image.advance();
    if (prng.chance(50)) image.tear();
    if (prng.chance(40)) image.pass();
    if (!prng.chance(IMAGE_PERCENT)) return;
    shard.snapshot = { ...at, made: image.finish() };
    shard.making = null;
    this.snapshots++;
    this.#replaySuffix(shard);
  }

  /** A state machine that is loaded from the snapshot, and goes on by the journal, is in the state of the one that never stopped. */
  #replaySuffix(shard: Shard): void {
    const fresh = this.#fresh(shard.index, this.#shards.length, shard.store);
    loadMade(fresh.machine, shard.snapshot!.made);
    fresh.machine.defersIds = 'always';
    replayJournal({ ...fresh, after: shard.snapshot!.sequence });
    const digest = fresh.machine.digest().join();
    assert(digest === shard.machine.digest().join(), 'snapshot and journal give the state');
    this.deferred += fresh.machine.ledger.transferIndex.isDeferring ? 1 : 0;
    const image = new ImageMaking(fresh.machine, this.#prng);
    assert(image.finish().digest === digest, 'and so does an image of it');
    const { waitingRows } = shard.machine.requests;
    assert(fresh.machine.requests.waitingRows === waitingRows, 'and as many rows wait');
    this.loads++;
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
      // The machine may use the words of a message again from now on.
      const message = { number: sent[to]! - behind, clockLow, clockHigh, body: body.slice() };
      shard.machine.messages.give(body);
      shard.outbox[to]!.push(message);
      return { to, message };
    });
  }

  /** Between two groups, or behind the commit of one before anybody is told. */
  #fail(shard: Shard): void {
    if (this.#prng.chance(50)) {
      this.#isSilent = true;
      this.#step(shard, { requests: Infinity, messages: Infinity, expires: this.#isDue(shard) });
      this.#isSilent = false;
    }
    this.#crash(shard);
  }

  #crash(shard: Shard): void {
    this.crashes++;
    const before = shard.machine.digest().join();
    const shards = this.#shards.length;
    Object.assign(shard, this.#fresh(shard.index, shards, shard.store));
    for (const queue of shard.outbox) queue.length = 0;
    const { journal, machine, group, records, snapshot } = shard;
    shard.making = null;
    if (snapshot !== null) {
      loadMade(machine, snapshot.made);
      for (const [to, kept] of snapshot.outbox.entries()) shard.outbox[to]!.push(...kept);
    }
    const onGroup = (): void => {
      this.#outgoing(shard);
    };
    const after = snapshot?.sequence;
    machine.defersIds = this.crashes % 2 === 0 ? 'always' : false;
    replayJournal({ journal, machine, group, records, onGroup, after });
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

  // ---- Going back to a backup.

  /** The frames of each shard's journal. */
  frames(): readonly (readonly Uint8Array[])[] {
    return this.#shards.map(({ store }) => store.rows.map((row) => row!.frame));
  }

  /** All shards begin anew with their first `rows[k]` rows, as after a restore, and say to each other what they have. */
  goBack(rows: readonly number[]): void {
    this.#facts = new JournalFacts(this.#shards.length, this.shardOf);
    this.#clients = [];
    for (const shard of this.#shards) {
      shard.store.rows.length = rows[shard.index]!;
      Object.assign(shard, this.#fresh(shard.index, this.#shards.length, shard.store));
      for (const queue of shard.outbox) queue.length = 0;
      const { journal, machine, group, records, index } = shard;
      replayJournal({ journal, machine, group, records, onGroup: () => this.#outgoing(shard) });
      for (const row of shard.store.rows) this.#facts.read(index, row!.sequence, row!.frame);
      shard.ring = [];
      shard.session++;
    }
    for (const sender of this.#shards) {
      for (const receiver of this.#shards) {
        if (sender === receiver) continue;
        const received = receiver.machine.received[sender.index]!;
        const { sent, acknowledged } = sender.machine;
        assert(received <= sent[receiver.index]!, 'what was received was sent');
        assert(received >= acknowledged[receiver.index]!, 'what was acknowledged was received');
        receiver.inbound[sender.index] = above(sender.outbox[receiver.index]!, received);
      }
    }
  }

  // ---- What is there in the end.

  accounts(ids: readonly bigint[]): readonly StoredAccount[] {
    return storedAccounts(this.#machines(), this.shardOf, ids);
  }

  /** The same text as `digestOf` a model with these accounts and transfer ids. */
  digest(accountIds: readonly bigint[], transferIds: readonly bigint[]): string {
    const accounts = this.accounts(accountIds);
    return digestText(this.#machines(), accounts, transferIds);
  }

  #machines(): readonly StateMachine[] {
    return this.#shards.map(({ machine }) => machine);
  }
}
