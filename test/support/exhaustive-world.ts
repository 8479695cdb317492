/**
 * Every order of steps of a small scenario, on the real state machines: a client asks, a shard takes one message, one request, or all that
 * are there as one group, the clocks move, pending transfers expire, a shard crashes and comes back. Equal states are visited once.
 *
 * A state machine is a function of the groups that it has executed, so each shard has a tree of `Life`s, one for each sequence of groups
 * that it ever saw, made once; a state of the world is a life of each shard, what lies in its ring, and what the clients were told. A life
 * whose machine has gone on is brought back by replaying its journal, which must give the same frames, messages, and digest: so every
 * moment of every run is also a recovery. What a crash does besides is to lose the ring and the answers that were due.
 *
 * Each end is judged: a serial order explains what was told and what is there, timestamps are one, limits held at every step, no money was made,
 * nothing is claimed or waits, and the journals are held against the tables (journal-facts.ts).
 */
import { assert } from '../../engine/assert.ts';
import { BatchKind } from '../../engine/batch.ts';
import { ACCOUNT_STATUS_NAMES, TRANSFER_STATUS_NAMES } from '../../engine/status.ts';
import { JournalFacts } from './journal-facts.ts';
import { lookDefect, type Entry } from './look-order.ts';
import { ModelLedger, type Result, type ShardOf } from './model-ledger.ts';
import { placementOf } from './placement.ts';
import { ScenarioPlans, type Part, type Scenario } from './scenario-plans.ts';
import {
  defectOfOrder,
  explainedBySearch,
  explainedByTimestamps,
  History,
  type Operation,
  type Recorded,
} from './serial-order.ts';
import { ShardLives, type Answer, type Life, type Message } from './shard-lives.ts';
import type { WorldBatch } from './world-router.ts';
import { accountText } from './world-state.ts';

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

interface State {
  readonly lives: readonly Life[];
  readonly rings: readonly (readonly Part[])[];
  readonly clients: readonly Client[];
  readonly log: readonly Entry[];
  readonly crashes: number;
  /** How many of the scenario's times have come. */
  readonly times: number;
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
    let lives = Array.from({ length: shards }, (_, shard) => this.#lives.first(shard));
    if (accounts.length > 0)
      lives = this.#settled(lives, { type: 'accounts', events: accounts }, 0);
    for (const [i, one] of funding.entries()) {
      lives = this.#settled(lives, { type: 'transfers', events: [one] }, 1 + i);
    }
    const idle: Client = { at: 0, attempt: 0, waits: [], isRestDue: false };
    const rings = lives.map(() => []);
    return { lives, rings, clients: clients.map(() => idle), log: [], crashes, times: 0 };
  }

  /** What was there before: asked, and done, before anything else happens. */
  #settled(lives: readonly Life[], batch: WorldBatch, n: number): Life[] {
    const after = [...lives];
    const request = (part: number): number => 0x7f000000 + n * 16 + part;
    const { first, rest } = this.#plans.split('', batch, request);
    assert(rest === null, 'what was there before needs no rest');
    let done = 0;
    const step = (
      shard: number,
      messages: readonly (readonly [number, Message])[],
      parts: readonly Part[],
    ): void => {
      const moment = { time: 0n, expires: false };
      const { life, answers } = this.#lives.after(after[shard]!, messages, parts, moment);
      after[shard] = life;
      for (const { outcomes } of answers) {
        done += outcomes.filter(({ number }) => number === 0).length;
      }
    };
    for (const part of first) step(part.shard, [], [part]);
    for (let isQuiet = false; !isQuiet;) {
      isQuiet = true;
      for (const [shard, life] of after.entries()) {
        const waiting = this.#inbound(after, life);
        if (waiting.length === 0) continue;
        isQuiet = false;
        step(shard, waiting, []);
      }
    }
    assert(done === batch.events.length, 'what was there before is there');
    return after;
  }

  /** What was sent to a shard and not taken. */
  #inbound(lives: readonly Life[], life: Life): (readonly [number, Message])[] {
    return lives.flatMap((peer) =>
      peer.sent[life.shard]!.slice(life.received[peer.shard]).map(
        (one) => [peer.shard, one] as const,
      ),
    );
  }

  #steps(state: State): (() => State)[] {
    const steps: (() => State)[] = [];
    for (const [i, client] of state.clients.entries()) {
      const isIdle = client.waits.length === 0 && !client.isRestDue;
      if (isIdle && client.at < this.#scenario.clients[i]!.length) {
        steps.push(() => this.#ask(state, i));
      }
    }
    if (state.times < (this.#scenario.times ?? []).length) {
      steps.push(() => ({ ...state, times: state.times + 1 }));
    }
    for (const life of state.lives) {
      const { shard, nextExpiry } = life;
      const ring = state.rings[shard]!;
      const isDue = nextExpiry !== 0n && nextExpiry <= this.#lives.clock(shard, this.#time(state));
      const none = { messages: [], requests: 0, expires: false };
      const take = (what: Take): void => {
        steps.push(() => this.#take(state, shard, what));
        if (state.crashes === 0) return;
        // It crashes behind the commit, before anybody is told.
        steps.push(() => this.#crash(this.#take(state, shard, { ...what, isSilent: true }), shard));
      };
      if (isDue) take({ ...none, expires: true });
      if (ring.length > 0) take({ ...none, requests: 1 });
      const all = this.#inbound(state.lives, life);
      for (const peer of new Set(all.map(([one]) => one))) {
        const messages = [all.find(([one]) => one === peer)!];
        take({ ...none, messages });
      }
      const waiting = ring.length + all.length + (isDue ? 1 : 0);
      if (this.#scenario.hasGroups === true && waiting > 1) {
        take({ messages: all, requests: ring.length, expires: isDue });
      }
    }
    return steps;
  }

  #time({ times }: State): bigint {
    return times === 0 ? 0n : this.#scenario.times![times - 1]!;
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
    { messages, requests, expires, isSilent = false }: Take,
  ): State {
    const ring = state.rings[shard]!;
    const taken = ring.slice(0, requests);
    const writes = taken.filter(({ frame }) => frame !== null);
    const isRead = messages.length + writes.length === 0 && !expires;
    const moment = { time: this.#time(state), expires };
    const { life, answers } = isRead
      ? { life: state.lives[shard]!, answers: [] }
      : this.#lives.after(state.lives[shard]!, messages, writes, moment);
    let next: State = {
      ...state,
      lives: state.lives.with(shard, life),
      rings: state.rings.with(shard, ring.slice(requests)),
    };
    for (const { home, id, timestamp } of isRead ? [] : life.expired) {
      const text = `x${home}/${id}@${timestamp}`;
      const log = noted(next.log, { type: 'expired', text, home, id, timestamp });
      next = { ...next, log };
    }
    if (isSilent) return next;
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
    const posted = accounts.reduce((all, one) => all + one.debitsPosted - one.creditsPosted, 0n);
    const held = accounts.reduce((all, one) => all + one.debitsPending - one.creditsPending, 0n);
    if (posted !== 0n || held !== 0n) return `debits and credits differ by ${posted} and ${held}`;
    const digest = digestOf(state.lives);
    const key = `${state.log.map(({ text }) => text).join(' ')} ${digest}`;
    if (this.#judged.has(key)) return null;
    this.#judged.add(key);
    const facts = this.#facts(state.lives);
    const recorded: Recorded = (kind, id) => facts.recorded(kind, id);
    const { operations } = this.#history(state.log);
    const model = this.#model(recorded);
    const searched = explainedBySearch(model, operations, { digest, recorded });
    if (!searched.isExplained) return searched.reason;
    const hasAll = operations.every(({ results }) => results !== null);
    if (hasAll && !operations.some(hasImports)) {
      const inTime = explainedByTimestamps(model, operations, { withFailed: true, recorded });
      if (!inTime.isExplained) return `by timestamps: ${inTime.reason}`;
    }
    const isAlone = state.clients.length === 1 && (this.#scenario.times ?? []).length === 0;
    if (hasAll && isAlone) return defectOfOrder(model, operations, recorded);
    return hasAll ? lookDefect(state.log, operations, this.#scenario) : null;
  }

  /** What the journals say, held against the tables. */
  #facts(lives: readonly Life[]): JournalFacts {
    const facts = new JournalFacts(lives.length, this.#shardOf);
    for (const { shard, rows } of lives) {
      for (const [i, row] of rows.entries()) facts.read(shard, i + 1, row!.frame);
    }
    for (const life of lives) facts.audit(this.#lives.ledgerOf(life));
    return facts;
  }

  #model(recorded: Recorded): ModelLedger {
    const model = new ModelLedger(this.#shardOf);
    model.createAccounts(this.#scenario.accounts);
    for (const one of this.#scenario.funding) {
      const expected = model.createTransfer(one);
      const { timestamp } = recorded('transfer', one.id)!;
      model.learn([expected], [{ status: expected.status, timestamp }]);
    }
    return model;
  }

  #history(log: readonly Entry[]): History {
    const history = new History({ shardOf: this.#shardOf });
    const firsts = new Map<string, number>();
    for (const entry of log) {
      if (entry.type === 'expired') history.expired(entry.home, entry.id, entry.timestamp);
      else if (entry.plan.events.length === 0) continue;
      else if (entry.type === 'ask') firsts.set(entry.plan.key, history.ask(entry.plan.events));
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

/** What a shard takes as one group. */
interface Take {
  readonly messages: readonly (readonly [number, Message])[];
  readonly requests: number;
  readonly expires: boolean;
  /** Nobody gets its answer. */
  readonly isSilent?: boolean;
}

function hasImports({ unit }: Operation): boolean {
  return unit.type !== 'expiry' && unit.events.some(({ timestamp = 0n }) => timestamp !== 0n);
}

/** Requests side by side, and answers side by side, have no order: only what was told before something was asked counts. */
function noted(log: readonly Entry[], entry: Entry): readonly Entry[] {
  let at = log.length;
  while (at > 0 && log[at - 1]!.type === entry.type && log[at - 1]!.text > entry.text) at--;
  return log.toSpliced(at, 0, entry);
}

function keyOf({ lives, rings, clients, log, crashes, times }: State): string {
  return [
    lives.map(({ key }) => key).join(),
    rings.map((ring) => ring.map(({ request }) => request).join()).join('/'),
    clients.map(({ at, attempt, waits }) => `${at}.${attempt}.${waits.length}`).join(),
    log.map(({ text }) => text).join(' '),
    crashes,
    times,
  ].join(';');
}

/** The same text as `digestOf` a model with the same content. */
function digestOf(lives: readonly Life[]): string {
  const balances = lives.flatMap(({ accounts }) => [...accounts.values()].map(accountText));
  const created = lives.flatMap((life) => life.created);
  const burnt = [...new Set(lives.flatMap((life) => life.burnt))];
  return [balances, created, burnt].map((one) => one.toSorted().join()).join(';');
}
