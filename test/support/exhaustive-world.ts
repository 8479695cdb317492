/**
 * Every order of steps of a small scenario, on the real state machines: a client asks, a shard takes one message, one request, or all that
 * are there as one group, a shard crashes and comes back. Equal states are visited once.
 *
 * A state machine is a function of the groups that it has executed, so each shard has a tree of `Life`s, one for each sequence of groups
 * that it ever saw, made once; a state of the world is a life of each shard, what lies in its ring, and what the clients were told. A life
 * whose machine has gone on is brought back by replaying its journal, which must give the same frames, messages, and digest: so every
 * moment of every run is also a recovery. What a crash does besides is to lose the ring and the answers that were due.
 *
 * Each end is judged: a serial order explains what was told and what is there, timestamps are one, limits held at every step, no money was made,
 * nothing is claimed or waits.
 */
import { batchOfObjects, objectsOfRows } from '../../client/rows.ts';
import { assert } from '../../engine/assert.ts';
import { BatchKind, Columns, ROW_WORDS, type Batch } from '../../engine/batch.ts';
import { Group, Input, INPUT_WORDS, InputType } from '../../engine/group.ts';
import { positionState, TransferState } from '../../engine/ledger.ts';
import { Reply, REPLY_HEAD_WORDS } from '../../engine/open-requests.ts';
import { StateMachine } from '../../engine/state-machine.ts';
import { ACCOUNT_STATUS_NAMES, TRANSFER_STATUS_NAMES } from '../../engine/status.ts';
import { MemoryJournal, type MemoryJournalRow } from '../../persistence/memory-journal.ts';
import { BatchOrder } from '../../sharding/batch-order.ts';
import { RecordReader } from '../../sharding/record-reader.ts';
import { replayJournal } from '../../sharding/replay.ts';
import { placementOf } from './cluster.ts';
import { ModelLedger } from './model-ledger.ts';
import type {
  AccountInput,
  Result,
  ShardOf,
  StoredAccount,
  TransferInput,
} from './model-ledger.ts';
import {
  explainedBySearch,
  explainedByTimestamps,
  History,
  type LedgerEvent,
  type Operation,
} from './serial-order.ts';

export type Ask =
  | { readonly type: 'accounts'; readonly events: readonly AccountInput[] }
  | { readonly type: 'transfers'; readonly events: readonly TransferInput[] }
  | { readonly type: 'look'; readonly id: bigint };

export interface Scenario {
  readonly shards: number;
  /** What is there before the clients begin, in this order. */
  readonly accounts: readonly AccountInput[];
  readonly funding: readonly TransferInput[];
  readonly clients: readonly (readonly Ask[])[];
  /** A shard may take all that is there as one group. */
  readonly hasGroups?: boolean;
}

export interface Explored {
  readonly states: number;
  readonly ends: number;
  /** Distinct sequences of groups, over all shards. */
  readonly lives: number;
}

const GROUP_BYTES = 2 << 20;
const LIVE_MACHINES_MAX = 24;
const TIME_NS = 1_000_000_000;
/** Lower shards are ahead, so that only the clocks in link messages keep causes before effects. */
const SKEW_NS = 50_000;

interface Message {
  /** Equal messages have equal keys. */
  readonly key: number;
  readonly number: number;
  readonly clockLow: number;
  readonly clockHigh: number;
  readonly body: Uint32Array;
}

interface Answer {
  readonly request: number;
  readonly outcomes: readonly { readonly number: number; readonly timestamp: bigint }[];
}

interface Machine {
  readonly machine: StateMachine;
  readonly group: Group;
  readonly journal: MemoryJournal;
  readonly store: { rows: (MemoryJournalRow | undefined)[] };
  readonly records: RecordReader;
}

/** One shard after one sequence of groups. */
interface Life {
  readonly key: number;
  readonly shard: number;
  readonly rows: readonly (MemoryJournalRow | undefined)[];
  /** Null while something is claimed: the digest would take longer than all the rest. */
  readonly digest: string | null;
  /** By peer: all that was ever sent there, and how many were taken from there. */
  readonly sent: readonly (readonly Message[])[];
  readonly received: readonly number[];
  readonly accounts: ReadonlyMap<bigint, StoredAccount>;
  readonly created: readonly string[];
  readonly burnt: readonly string[];
  readonly busy: string | null;
  readonly next: Map<string, { readonly life: Life; readonly answers: readonly Answer[] }>;
  machine: Machine | null;
}

interface Part {
  readonly request: number;
  readonly shard: number;
  /** Null for a look-up. */
  readonly frame: Uint32Array | null;
  readonly kind: BatchKind;
  readonly look: bigint;
  /** Which events of the ask it carries. */
  readonly places: readonly number[];
}

/** What an ask sends: at once, and when all of that is answered. */
interface Plan {
  readonly key: string;
  readonly events: readonly LedgerEvent[];
  readonly first: readonly Part[];
  readonly rest: Part | null;
}

interface Client {
  readonly at: number;
  readonly attempt: number;
  readonly waits: readonly number[];
  readonly isRestDue: boolean;
}

type Entry =
  | { readonly text: string; readonly type: 'ask'; readonly plan: Plan }
  | {
      readonly text: string;
      readonly type: 'told';
      readonly part: Part;
      readonly plan: Plan;
      readonly results: readonly Result[];
    };

interface State {
  readonly lives: readonly Life[];
  readonly rings: readonly (readonly Part[])[];
  readonly clients: readonly Client[];
  readonly log: readonly Entry[];
  readonly crashes: number;
}

export class ExhaustiveWorld {
  readonly #scenario: Scenario;
  readonly #shardOf: ShardOf;
  readonly #accountIds: readonly bigint[];
  readonly #transferIds: readonly bigint[];
  readonly #order: BatchOrder;
  readonly #columns = new Columns();
  readonly #plans = new Map<string, Plan>();
  readonly #messageKeys = new Map<string, number>();
  readonly #live: Life[] = [];
  readonly #judged = new Set<string>();
  #lives = 0;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#shardOf = placementOf(scenario.shards);
    this.#order = new BatchOrder(scenario.shards);
    const asks = scenario.clients.flat();
    const accounts = asks.flatMap((ask) => (ask.type === 'accounts' ? ask.events : []));
    const transfers = asks.flatMap((ask) => (ask.type === 'transfers' ? ask.events : []));
    this.#accountIds = [...new Set([...scenario.accounts, ...accounts].map(({ id }) => id))];
    this.#transferIds = [...new Set([...scenario.funding, ...transfers].map(({ id }) => id))];
  }

  /** Visits every state. Throws with the way there when one is wrong. */
  explore({ crashes = 0, statesMax = 100_000 } = {}): Explored {
    const seen = new Set<string>();
    const stack: State[] = [this.#begin(crashes)];
    let states = 0;
    let ends = 0;
    while (stack.length > 0) {
      const state = stack.pop()!;
      states++;
      assert(states <= statesMax, 'a scenario is small enough to be explored');
      const steps = this.#steps(state);
      if (steps.length === 0) {
        ends++;
        this.#judge(state);
      } else if (state.crashes > 0) {
        for (const { shard } of state.lives) steps.push(() => this.#crash(state, shard));
      }
      for (const step of steps) {
        const next = step();
        const key = keyOf(next);
        if (seen.has(key)) continue;
        seen.add(key);
        stack.push(next);
      }
    }
    return { states, ends, lives: this.#lives };
  }

  // ---- Steps.

  #begin(crashes: number): State {
    const { shards, accounts, funding, clients } = this.#scenario;
    const lives = Array.from({ length: shards }, (_, shard) => {
      let life = this.#lifeOf(shard, this.#fresh(shard, []), null);
      const own = accounts.filter(({ id }) => this.#shardOf(id) === shard);
      const funds = funding.filter((one) => this.#shardOf(one.debitAccountId) === shard);
      const parts: Part[] = [];
      const part = (type: InputType, kind: BatchKind, events: readonly object[]): void => {
        const batch = batchOfObjects(kind as 1 | 2, events);
        parts.push(partOf(type, batch, { request: 0x7fff0000 + parts.length, shard, places: [] }));
      };
      if (own.length > 0) part(InputType.createAccounts, BatchKind.accounts, own);
      if (funds.length > 0) part(InputType.createTransfers, BatchKind.transfers, funds);
      for (const one of parts) {
        const { life: after, answers } = this.#after(life, [], [one]);
        const isDone = answers.every(({ outcomes }) =>
          outcomes.every(({ number }) => number === 0),
        );
        assert(isDone, 'what was there before is there');
        life = after;
      }
      return life;
    });
    const idle: Client = { at: 0, attempt: 0, waits: [], isRestDue: false };
    const rings = lives.map(() => []);
    return { lives, rings, clients: clients.map(() => idle), log: [], crashes };
  }

  #steps(state: State): (() => State)[] {
    const steps: (() => State)[] = [];
    for (const [i, client] of state.clients.entries()) {
      const isIdle = client.waits.length === 0 && !client.isRestDue;
      if (isIdle && client.at < this.#scenario.clients[i]!.length) {
        steps.push(() => this.#ask(state, i));
      }
    }
    for (const life of state.lives) {
      const { shard } = life;
      const ring = state.rings[shard]!;
      let waiting = ring.length;
      if (ring.length > 0) steps.push(() => this.#take(state, shard, [], 1));
      const all: (readonly [number, Message])[] = [];
      for (const peer of state.lives) {
        const inbound = peer.sent[shard]!.slice(life.received[peer.shard]);
        if (inbound.length === 0) continue;
        steps.push(() => this.#take(state, shard, [[peer.shard, inbound[0]!]], 0));
        for (const message of inbound) all.push([peer.shard, message]);
      }
      waiting += all.length;
      if (this.#scenario.hasGroups === true && waiting > 1) {
        steps.push(() => this.#take(state, shard, all, ring.length));
      }
    }
    return steps;
  }

  #ask(state: State, i: number): State {
    const { at, attempt } = state.clients[i]!;
    const plan = this.#plan(i, at, attempt);
    const rings = state.rings.map((ring, shard) => [
      ...ring,
      ...plan.first.filter((part) => part.shard === shard),
    ]);
    const waits = plan.first.map(({ request }) => request);
    const client = { at, attempt, waits, isRestDue: plan.rest !== null };
    const log = noted(state.log, { type: 'ask', text: plan.key, plan });
    return { ...state, rings, clients: state.clients.with(i, client), log };
  }

  #take(
    state: State,
    shard: number,
    messages: readonly (readonly [number, Message])[],
    requests: number,
  ): State {
    const ring = state.rings[shard]!;
    const taken = ring.slice(0, requests);
    const writes = taken.filter(({ frame }) => frame !== null);
    const isRead = messages.length + writes.length === 0;
    const { life, answers } = isRead
      ? { life: state.lives[shard]!, answers: [] }
      : this.#after(state.lives[shard]!, messages, writes);
    let next: State = {
      ...state,
      lives: state.lives.with(shard, life),
      rings: state.rings.with(shard, ring.slice(requests)),
    };
    for (const { request, outcomes } of answers) next = this.#told(next, request, outcomes);
    for (const part of taken) {
      if (part.frame !== null) continue;
      const account = life.accounts.get(part.look);
      const seen = `${account?.debitsPosted ?? 0n}/${account?.creditsPosted ?? 0n}`;
      next = this.#told(next, part.request, seen);
    }
    return next;
  }

  #told(state: State, request: number, answer: string | Answer['outcomes']): State {
    const i = state.clients.findIndex(({ waits }) => waits.includes(request));
    if (i === -1) return state;
    const client = state.clients[i]!;
    const plan = this.#plan(i, client.at, client.attempt);
    const part = [...plan.first, plan.rest].find((one) => one?.request === request)!;
    const names = part.kind === BatchKind.accounts ? ACCOUNT_STATUS_NAMES : TRANSFER_STATUS_NAMES;
    const results: readonly Result[] =
      typeof answer === 'string'
        ? [{ status: answer, timestamp: 0n }]
        : answer.map(({ number, timestamp }) => ({
            status: names[number] ?? `${number}`,
            timestamp,
          }));
    const said = results.map(({ status, timestamp }) => `${status}@${timestamp}`).join();
    const log = noted(state.log, {
      type: 'told',
      text: `=${request}:${said}`,
      part,
      plan,
      results,
    });
    const waits = client.waits.filter((one) => one !== request);
    let after: Client = { ...client, waits };
    let { rings } = state;
    if (waits.length === 0 && client.isRestDue) {
      const rest = plan.rest!;
      after = { ...after, waits: [rest.request], isRestDue: false };
      rings = rings.with(rest.shard, [...rings[rest.shard]!, rest]);
    } else if (waits.length === 0) {
      after = { at: client.at + 1, attempt: 0, waits, isRestDue: false };
    }
    return { ...state, rings, clients: state.clients.with(i, after), log };
  }

  /** The ring is lost, and who waits for the shard asks again. Messages are numbered: none is lost, none comes twice. */
  #crash(state: State, shard: number): State {
    state.lives[shard]!.machine = null;
    let next: State = {
      ...state,
      rings: state.rings.with(shard, []),
      crashes: state.crashes - 1,
    };
    for (const [i, client] of state.clients.entries()) {
      const plan = client.waits.length > 0 ? this.#plan(i, client.at, client.attempt) : null;
      const parts = plan === null ? [] : [...plan.first, plan.rest];
      const isLost = parts.some(
        (part) => part?.shard === shard && client.waits.includes(part.request),
      );
      if (!isLost) continue;
      const again = { ...client, attempt: client.attempt + 1, waits: [], isRestDue: false };
      next = { ...next, clients: next.clients.with(i, again) };
    }
    return next;
  }

  // ---- The router's part.

  #plan(client: number, at: number, attempt: number): Plan {
    const key = `?${client}.${at}.${attempt}`;
    const known = this.#plans.get(key);
    if (known !== undefined) return known;
    const ask = this.#scenario.clients[client]![at]!;
    const number = (part: number): number => ((client * 16 + at) * 8 + attempt) * 16 + part + 1;
    const plan =
      ask.type === 'look'
        ? { key, events: [], first: [lookOf(ask.id, number(0), this.#shardOf(ask.id))], rest: null }
        : this.#split(key, ask, number);
    this.#plans.set(key, plan);
    return plan;
  }

  #split(key: string, ask: Exclude<Ask, { type: 'look' }>, number: (part: number) => number): Plan {
    const isAccounts = ask.type === 'accounts';
    const kind = isAccounts ? BatchKind.accounts : BatchKind.transfers;
    const events: LedgerEvent[] = isAccounts
      ? ask.events.map((account) => ({ type: 'account', account }))
      : ask.events.map((transfer) => ({ type: 'transfer', transfer }));
    const toShard = Array.from({ length: this.#scenario.shards }, (): number[] => []);
    const restRows: number[] = [];
    if (isAccounts) {
      for (const [i, { id }] of ask.events.entries()) toShard[this.#shardOf(id)]!.push(i);
    } else {
      const { words } = batchOfObjects(kind, ask.events);
      const place = new Uint32Array(4 + words.length);
      place.set(words, 4);
      this.#columns.openBatch(place, new Uint16Array(place.buffer), 16, 0);
      this.#order.plan(this.#columns);
      for (let i = 0; i < events.length; i++) {
        if (this.#order.isRest[i] === 1) restRows.push(i);
        else toShard[this.#order.shard[i]!]!.push(i);
      }
    }
    const part = (type: InputType, shard: number, places: readonly number[], n: number): Part => {
      const rows = places.map((i) => ask.events[i]!);
      const request = number(n);
      return partOf(type, batchOfObjects(kind, rows), { request, shard, places });
    };
    const type = isAccounts ? InputType.createAccounts : InputType.createTransfers;
    const first = toShard.flatMap((places, shard) =>
      places.length > 0 ? [part(type, shard, places, shard)] : [],
    );
    if (restRows.length === 0) return { key, events, first, rest: null };
    const mask = this.#order.restMaskLow;
    const shard = 31 - Math.clz32(mask & -mask);
    const restType =
      mask === 1 << shard ? InputType.createTransfers : InputType.createTransfersTogether;
    return { key, events, first, rest: part(restType, shard, restRows, 15) };
  }

  // ---- Lives.

  /** The life after one more group. */
  #after(
    life: Life,
    messages: readonly (readonly [number, Message])[],
    requests: readonly Part[],
  ): { readonly life: Life; readonly answers: readonly Answer[] } {
    const key = [
      ...messages.map(([peer, one]) => `${peer}<${one.key}`),
      ...requests.map(({ request }) => request),
    ].join();
    const known = life.next.get(key);
    if (known !== undefined) return known;
    const machine = life.machine ?? this.#replay(life);
    life.machine = null;
    const { group, journal, records } = machine;
    group.reset(journal.lastSequence + 1);
    for (const [peer, message] of messages) addMessage(group, peer, message);
    for (const { frame } of requests) group.addRequest(frame!, 0, frame!.length);
    machine.machine.want();
    const { shelf } = machine.machine;
    for (let i = 0; i < shelf.count; i++) {
      shelf.put(i, records.record(shelf.sequences[i]!, shelf.rowNumbers[i]!));
    }
    machine.machine.execute(TIME_NS + (this.#scenario.shards - life.shard) * SKEW_NS, 0);
    assert(!machine.machine.pumpAgain, 'a small group has room for all that it frees');
    const frame = group.frame();
    journal.append({ sequence: group.sequence, timestamp: BigInt(TIME_NS), frame });
    records.keep(group.sequence, frame);
    const after = { life: this.#lifeOf(life.shard, machine, life), answers: answersOf(machine) };
    life.next.set(key, after);
    return after;
  }

  #lifeOf(shard: number, machine: Machine, before: Life | null): Life {
    const { outgoing } = machine.machine;
    const { accounts, created, burnt } = this.#content(machine.machine, shard);
    const { parkedCount, claimedCount, walksUnderWay } = machine.machine;
    const busy = [parkedCount, claimedCount, walksUnderWay, machine.machine.requests.count];
    const life: Life = {
      key: this.#lives++,
      shard,
      rows: machine.store.rows.slice(),
      digest: claimedCount > 0 ? null : machine.machine.digest().join(),
      sent: Array.from({ length: this.#scenario.shards }, (_, peer) => [
        ...(before?.sent[peer] ?? []),
        ...this.#messages(machine.machine, peer),
      ]),
      received: [...machine.machine.received],
      accounts,
      created,
      burnt,
      busy: busy.some((count) => count > 0) ? busy.join() : null,
      next: new Map(),
      machine,
    };
    assert(
      outgoing.every(({ to }) => to !== shard),
      'nobody writes to itself',
    );
    this.#live.push(life);
    while (this.#live.length > LIVE_MACHINES_MAX) this.#live.shift()!.machine = null;
    return life;
  }

  #messages(machine: StateMachine, peer: number): readonly Message[] {
    const own = machine.outgoing.filter(({ to }) => to === peer);
    const { clockLow, clockHigh } = machine.ledger;
    return own.map(({ body }, i) => {
      const number = machine.sent[peer]! - own.length + i + 1;
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      const text = `${number}.${clockLow}.${clockHigh}.${bytes.toString('latin1')}`;
      const key = this.#messageKeys.get(text) ?? this.#messageKeys.size;
      this.#messageKeys.set(text, key);
      return { key, number, clockLow, clockHigh, body };
    });
  }

  #fresh(shard: number, rows: readonly (MemoryJournalRow | undefined)[]): Machine {
    const { shards } = this.#scenario;
    const group = new Group(GROUP_BYTES);
    const machine = new StateMachine({ shard, shards, seed: 7 }, group);
    const store = { rows: rows.slice() };
    const journal = new MemoryJournal({ clusterId: 'world', shard, shards }, store);
    return { machine, group, journal, store, records: new RecordReader(journal, shards) };
  }

  #replay(life: Life): Machine {
    const fresh = this.#fresh(life.shard, life.rows);
    const { machine, group, journal, records } = fresh;
    const sent: number[][] = life.sent.map(() => []);
    const onGroup = (): void => {
      for (const [peer, keys] of sent.entries()) {
        keys.push(...this.#messages(machine, peer).map(({ key }) => key));
      }
    };
    replayJournal({ journal, machine, group, records, onGroup });
    const { digest } = life;
    assert(
      digest === null || machine.digest().join() === digest,
      'the replay gives the same state',
    );
    for (const [peer, keys] of sent.entries()) {
      const before = life.sent[peer]!.map(({ key }) => key);
      assert(keys.join() === before.join(), 'the replay gives the same messages');
    }
    return fresh;
  }

  #content(machine: StateMachine, shard: number): Pick<Life, 'accounts' | 'created' | 'burnt'> {
    const { accountIndex, accounts: table, transferIndex } = machine.ledger;
    const accounts = new Map<bigint, StoredAccount>();
    for (const id of this.#accountIds) {
      const words = wordsOf(id);
      const row = accountIndex.find(words, 0, accountIndex.hash(words, 0));
      if (row === -1) continue;
      const copy = table.chunk(row).slice(table.offset(row), table.offset(row) + ROW_WORDS);
      const account = objectsOfRows(BatchKind.accounts, copy, 1)[0] as StoredAccount;
      const { flags, debitsPosted, creditsPosted } = account;
      assert((flags & 2) === 0 || debitsPosted <= creditsPosted, 'debits keep to their limit');
      assert((flags & 4) === 0 || creditsPosted <= debitsPosted, 'credits keep to their limit');
      accounts.set(id, account);
    }
    const created: string[] = [];
    const burnt: string[] = [];
    for (const id of this.#transferIds) {
      const words = wordsOf(id);
      const slot = transferIndex.find(words, 0, transferIndex.hash(words, 0));
      if (slot === -1) continue;
      const state = positionState(transferIndex.valueHigh(slot));
      (state === TransferState.created ? created : burnt).push(`${shard}/${id}`);
    }
    return { accounts, created, burnt };
  }

  // ---- The end.

  #judge(state: State): void {
    const wrong = this.#defect(state);
    if (wrong === null) return;
    const lines = state.log.map(({ text }) => `  ${text}`);
    throw new Error([wrong, ...lines].join('\n'));
  }

  #defect(state: State): string | null {
    for (const { shard, busy } of state.lives) {
      if (busy !== null) return `shard ${shard} is left with parked, claimed, walks, open: ${busy}`;
    }
    if (state.clients.some(({ waits }) => waits.length > 0)) return 'a client has no answer';
    const accounts = state.lives.flatMap((life) => [...life.accounts.values()]);
    const sum = accounts.reduce((all, one) => all + one.debitsPosted - one.creditsPosted, 0n);
    if (sum !== 0n) return `debits and credits differ by ${sum}`;
    const digest = digestOf(state.lives);
    const key = `${state.log.map(({ text }) => text).join(' ')} ${digest}`;
    if (this.#judged.has(key)) return null;
    this.#judged.add(key);
    const history = this.#history(state.log);
    const { operations } = history;
    const model = this.#model();
    const searched = explainedBySearch(model, operations, digest);
    if (!searched.isExplained) return searched.reason;
    const hasAll = operations.every(({ result }) => result !== null);
    if (hasAll) {
      const inTime = explainedByTimestamps(model, operations, { withFailed: true });
      if (!inTime.isExplained) return `by timestamps: ${inTime.reason}`;
    }
    if (hasAll && state.clients.length === 1) return aloneDefect(model, operations);
    return hasAll ? lookDefect(state.log, operations, this.#scenario) : null;
  }

  #model(): ModelLedger {
    const model = new ModelLedger(this.#shardOf);
    model.createAccounts(this.#scenario.accounts);
    model.createTransfers(this.#scenario.funding);
    return model;
  }

  #history(log: readonly Entry[]): History {
    const flags = new Map(this.#scenario.accounts.map((one) => [one.id, one.flags ?? 0]));
    const flagsOf = (id: bigint): number => flags.get(id) ?? 0;
    const history = new History({ shardOf: this.#shardOf, flagsOf });
    const firsts = new Map<string, number>();
    for (const entry of log) {
      if (entry.plan.events.length === 0) continue;
      if (entry.type === 'ask') firsts.set(entry.plan.key, history.ask(entry.plan.events));
      else {
        const first = firsts.get(entry.plan.key)!;
        for (const [i, place] of entry.part.places.entries()) {
          history.answer(first + place, entry.results[i]!);
        }
      }
    }
    return history;
  }
}

/** One client that was alone: its events happened one after the other. */
function aloneDefect(model: ModelLedger, operations: readonly Operation[]): string | null {
  for (const { event, result } of operations) {
    const { status } =
      event.type === 'account'
        ? model.createAccount(event.account)
        : model.createTransfer(event.transfer);
    if (status === result!.status) continue;
    const { id } = event.type === 'account' ? event.account : event.transfer;
    return `alone, ${id} is answered ${result!.status}, but ${status} was due`;
  }
  return null;
}

interface Touch {
  readonly asked: number;
  readonly told: number;
  /** What the look-up saw, or what the transfer added. */
  readonly seen: string | null;
  readonly debits: bigint;
  readonly credits: bigint;
}

/** The look-ups of each account have an order among the transfers that touched it. */
function lookDefect(
  log: readonly Entry[],
  operations: readonly Operation[],
  scenario: Scenario,
): string | null {
  const looks = log.flatMap((entry, i) =>
    entry.type === 'told' && entry.part.frame === null
      ? [{ entry, told: i, asked: log.findIndex((one) => one.text === entry.plan.key) }]
      : [],
  );
  if (looks.length === 0) return null;
  // The same count of time for both: places in the log.
  const placeOf = (operation: Operation, type: 'ask' | 'told'): number =>
    log.findIndex((entry) => entry.type === type && hasEvent(entry, operation));
  for (const id of new Set(looks.map(({ entry }) => entry.part.look))) {
    const touches: Touch[] = looks
      .filter(({ entry }) => entry.part.look === id)
      .map(({ entry, told, asked }) => {
        return { asked, told, seen: entry.results[0]!.status, debits: 0n, credits: 0n };
      });
    for (const operation of operations) {
      const { event, result } = operation;
      if (event.type !== 'transfer' || result!.status !== 'created') continue;
      const { debitAccountId, creditAccountId, amount } = event.transfer;
      if (debitAccountId !== id && creditAccountId !== id) continue;
      const debits = debitAccountId === id ? amount : 0n;
      const credits = creditAccountId === id ? amount : 0n;
      const asked = placeOf(operation, 'ask');
      touches.push({ asked, told: placeOf(operation, 'told'), seen: null, debits, credits });
    }
    const funded = scenario.funding.reduce(
      ([debits, credits], one) => [
        debits + (one.debitAccountId === id ? one.amount : 0n),
        credits + (one.creditAccountId === id ? one.amount : 0n),
      ],
      [0n, 0n],
    ) as [bigint, bigint];
    if (!hasOrder(touches, funded)) return `a look-up of account ${id} fits nowhere`;
  }
  return null;
}

function hasEvent(entry: Entry, { event }: Operation): boolean {
  return entry.type === 'ask'
    ? entry.plan.events.includes(event)
    : entry.part.places.some((place) => entry.plan.events[place] === event);
}

function hasOrder(
  touches: readonly Touch[],
  [debits, credits]: readonly [bigint, bigint],
): boolean {
  if (touches.length === 0) return true;
  const firstTold = Math.min(...touches.map(({ told }) => told));
  return touches.some((one, i) => {
    if (one.asked > firstTold) return false;
    if (one.seen !== null && one.seen !== `${debits}/${credits}`) return false;
    const rest = touches.toSpliced(i, 1);
    return hasOrder(rest, [debits + one.debits, credits + one.credits]);
  });
}

/** Requests side by side, and answers side by side, have no order: only what was told before something was asked counts. */
function noted(log: readonly Entry[], entry: Entry): readonly Entry[] {
  let at = log.length;
  while (at > 0 && log[at - 1]!.type === entry.type && log[at - 1]!.text > entry.text) at--;
  return log.toSpliced(at, 0, entry);
}

function keyOf({ lives, rings, clients, log, crashes }: State): string {
  return [
    lives.map(({ key }) => key).join(),
    rings.map((ring) => ring.map(({ request }) => request).join()).join('/'),
    clients.map(({ at, attempt, waits }) => `${at}.${attempt}.${waits.length}`).join(),
    log.map(({ text }) => text).join(' '),
    crashes,
  ].join(';');
}

/** The same text as the digest of a model with the same content. */
function digestOf(lives: readonly Life[]): string {
  const balances = lives.flatMap(({ accounts }) =>
    [...accounts.values()].map((one) => `${one.id} ${one.debitsPosted} ${one.creditsPosted}`),
  );
  const created = lives.flatMap((life) => life.created);
  const burnt = lives.flatMap((life) => life.burnt);
  return [balances, created, burnt].map((one) => one.toSorted().join()).join(';');
}

function partOf(
  type: InputType,
  batch: Batch,
  where: { readonly request: number; readonly shard: number; readonly places: readonly number[] },
): Part {
  const frame = new Uint32Array(INPUT_WORDS + batch.words.length);
  frame[Input.type] = type;
  frame[Input.bytes] = frame.length * 4;
  frame[Input.session] = 1;
  frame[Input.request] = where.request;
  frame.set(batch.words, INPUT_WORDS);
  return { ...where, frame, kind: batch.kind, look: 0n };
}

function lookOf(look: bigint, request: number, shard: number): Part {
  return { request, shard, frame: null, kind: BatchKind.ids, look, places: [] };
}

function addMessage(group: Group, peer: number, message: Message): void {
  const at = group.addMessage(InputType.link, peer, message.body);
  group.words[at + Input.number] = message.number;
  group.words[at + Input.stamp] = message.clockLow;
  group.words[at + Input.stamp + 1] = message.clockHigh;
}

function answersOf({ machine }: Machine): readonly Answer[] {
  const { replies, replyAt } = machine.requests;
  const { words } = replies;
  return replyAt.map((at) => {
    const n = words[at + Reply.n]!;
    const outcomes = Array.from({ length: n }, (_, i) => {
      const stamp = at + REPLY_HEAD_WORDS + 2 * i;
      const timestamp = (BigInt(words[stamp + 1]!) << 32n) | BigInt(words[stamp]!);
      const pair = words[at + REPLY_HEAD_WORDS + 2 * n + (i >> 1)]!;
      return { number: (i & 1) === 0 ? pair & 0xffff : pair >>> 16, timestamp };
    });
    return { request: words[at + Reply.request]!, outcomes };
  });
}

function wordsOf(id: bigint): Uint32Array {
  return Uint32Array.from({ length: 4 }, (_, w) => Number((id >> BigInt(32 * w)) & 0xffffffffn));
}
