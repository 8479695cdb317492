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
import { batchOfObjects } from '../../client/rows.ts';
import { assert } from '../../engine/assert.ts';
import { BatchKind } from '../../engine/batch.ts';
import { InputType } from '../../engine/group.ts';
import { ACCOUNT_STATUS_NAMES, TRANSFER_STATUS_NAMES } from '../../engine/status.ts';
import { placementOf } from './cluster.ts';
import { ModelLedger, type Result, type ShardOf } from './model-ledger.ts';
import { partOf, ScenarioPlans, type Part, type Plan, type Scenario } from './scenario-plans.ts';
import {
  explainedBySearch,
  explainedByTimestamps,
  History,
  type Operation,
} from './serial-order.ts';
import { ShardLives, type Answer, type Life, type Message } from './shard-lives.ts';

export interface Explored {
  readonly states: number;
  readonly ends: number;
  /** Distinct sequences of groups, over all shards. */
  readonly lives: number;
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
  readonly #plans: ScenarioPlans;
  readonly #lives: ShardLives;
  readonly #judged = new Set<string>();

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#shardOf = placementOf(scenario.shards);
    this.#plans = new ScenarioPlans(scenario);
    const asks = scenario.clients.flat();
    const accounts = asks.flatMap((ask) => (ask.type === 'accounts' ? ask.events : []));
    const transfers = asks.flatMap((ask) => (ask.type === 'transfers' ? ask.events : []));
    this.#lives = new ShardLives(scenario.shards, {
      accounts: [...new Set([...scenario.accounts, ...accounts].map(({ id }) => id))],
      transfers: [...new Set([...scenario.funding, ...transfers].map(({ id }) => id))],
    });
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
    return { states, ends, lives: this.#lives.count };
  }

  // ---- Steps.

  #begin(crashes: number): State {
    const { shards, accounts, funding, clients } = this.#scenario;
    const lives = Array.from({ length: shards }, (_, shard) => {
      let life = this.#lives.first(shard);
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
        const { life: after, answers } = this.#lives.after(life, [], [one]);
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
    const plan = this.#plans.plan(i, at, attempt);
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
      : this.#lives.after(state.lives[shard]!, messages, writes);
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
    const plan = this.#plans.plan(i, client.at, client.attempt);
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
      const plan = client.waits.length > 0 ? this.#plans.plan(i, client.at, client.attempt) : null;
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
