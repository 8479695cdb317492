/**
 * What a shard can become: a tree of lives, one for each sequence of groups that a shard ever executed, each made once. A life whose machine has
 * gone on is brought back by replaying its journal, which must give the same frames, messages, and digest.
 */
import { objectsOfRows } from '../../client/rows.ts';
import { assert } from '../../engine/assert.ts';
import { BatchKind, ROW_WORDS } from '../../engine/batch.ts';
import { AccountFlags } from '../../engine/flags.ts';
import { Input, InputType } from '../../engine/frame.ts';
import { Group } from '../../engine/group.ts';
import { positionState, TransferState, type Ledger } from '../../engine/ledger.ts';
import { Reply, REPLY_HEAD_WORDS } from '../../engine/open-requests.ts';
import { StateMachine } from '../../engine/state-machine.ts';
import { MemoryJournal, type MemoryJournalRow } from '../../persistence/memory-journal.ts';
import { RecordReader } from '../../sharding/record-reader.ts';
import { replayJournal } from '../../sharding/replay.ts';
import { JournalFacts, type Expired } from './journal-facts.ts';
import type { StoredAccount } from './model-ledger.ts';
import { wordsOf } from './one-shard.ts';
import { placementOf } from './placement.ts';
import type { Part } from './scenario-plans.ts';
import { transferText } from './world-state.ts';

/** Lives are made by the thousand: what a group and its machine have room for is most of what each takes. */
const GROUP_BYTES = 1 << 16;
const GROUP_INPUT_ROWS = 256;
const LIVE_MACHINES_MAX = 24;
const TIME_NS = 1_000_000_000n;
/** Lower shards are ahead, so that only the clocks in link messages keep causes before effects. */
const SKEW_NS = 50_000n;

export interface Message {
  /** Equal messages have equal keys. */
  readonly key: number;
  readonly number: number;
  readonly clockLow: number;
  readonly clockHigh: number;
  readonly body: Uint32Array;
}

export interface Answer {
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
export interface Life {
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
  /** Those that expired in its last group. */
  readonly expired: readonly Expired[];
  /** When the next pending transfer expires, ns; 0 when none does. */
  readonly nextExpiry: bigint;
  readonly busy: string | null;
  readonly next: Map<string, { readonly life: Life; readonly answers: readonly Answer[] }>;
  machine: Machine | null;
}

/** The ids whose state is looked at after each group. */
export interface WatchedIds {
  readonly accounts: readonly bigint[];
  readonly transfers: readonly bigint[];
}

/** What a shard finds there besides messages and requests. */
export interface Moment {
  /** How far the clocks have moved since the beginning, ns. */
  readonly time: bigint;
  /** It lets pending transfers expire. */
  readonly expires: boolean;
}

export class ShardLives {
  readonly #shards: number;
  readonly #ids: WatchedIds;
  readonly #messageKeys = new Map<string, number>();
  readonly #live: Life[] = [];
  /** Of machines that nobody needs any more. Their memory is more than all else of a step, and would have to be collected. */
  readonly #groups: Group[] = [];
  #count = 0;

  constructor(shards: number, ids: WatchedIds) {
    this.#shards = shards;
    this.#ids = ids;
  }

  get count(): number {
    return this.#count;
  }

  /** What the clock of a shard shows. */
  clock(shard: number, time: bigint): bigint {
    return TIME_NS + BigInt(this.#shards - shard) * SKEW_NS + time;
  }

  ledgerOf(life: Life): Ledger {
    life.machine ??= this.#replay(life);
    return life.machine.machine.ledger;
  }

  first(shard: number): Life {
    return this.#lifeOf(shard, this.#fresh(shard, []), null);
  }

  /** The life after one more group. */
  after(
    life: Life,
    messages: readonly (readonly [number, Message])[],
    requests: readonly Part[],
    { time, expires }: Moment,
  ): { readonly life: Life; readonly answers: readonly Answer[] } {
    const key = [
      ...messages.map(([peer, one]) => `${peer}<${one.key}`),
      ...requests.map(({ request }) => request),
      `${time}${expires ? 'x' : ''}`,
    ].join();
    const known = life.next.get(key);
    if (known !== undefined) return known;
    const machine = life.machine ?? this.#replay(life);
    life.machine = null;
    const { group, journal, records } = machine;
    group.reset(journal.lastSequence + 1);
    if (expires) group.addMessage(InputType.expire, 0, null);
    for (const [peer, message] of messages) addMessage(group, peer, message);
    for (const { frame } of requests) group.addRequest(frame!, 0, frame!.length);
    machine.machine.want();
    const { shelf } = machine.machine;
    for (let i = 0; i < shelf.count; i++) {
      shelf.put(i, records.record(shelf.sequences[i]!, shelf.rowNumbers[i]!));
    }
    const now = this.clock(life.shard, time);
    machine.machine.execute(Number(now & 0xffffffffn), Number(now >> 32n));
    assert(!machine.machine.pumpAgain, 'a small group has room for all that it frees');
    const frame = group.frame();
    journal.append({ sequence: group.sequence, timestamp: TIME_NS, frame });
    records.keep(group.sequence, frame);
    const after = { life: this.#lifeOf(life.shard, machine, life), answers: answersOf(machine) };
    life.next.set(key, after);
    return after;
  }

  #lifeOf(shard: number, machine: Machine, before: Life | null): Life {
    const { outgoing } = machine.machine;
    const { accounts, created, burnt } = this.#content(machine.machine, shard);
    const { parkedCount, claimedCount, walksUnderWay } = machine.machine;
    const { pendings } = machine.machine.ledger;
    const { requests } = machine.machine;
    const busy = [parkedCount, claimedCount, walksUnderWay, requests.count, pendings.expiring];
    const life: Life = {
      key: this.#count++,
      shard,
      rows: machine.store.rows.slice(),
      digest: claimedCount > 0 ? null : machine.machine.digest().join(),
      sent: Array.from({ length: this.#shards }, (_, peer) => [
        ...(before?.sent[peer] ?? []),
        ...this.#messages(machine.machine, peer),
      ]),
      received: [...machine.machine.received],
      accounts,
      created,
      burnt,
      expired: this.#expiredIn(machine, shard),
      nextExpiry: pendings.nextExpiry(),
      busy: busy.some((count) => count > 0) ? busy.join() : null,
      next: new Map(),
      machine,
    };
    assert(
      outgoing.every(({ to }) => to !== shard),
      'nobody writes to itself',
    );
    this.#live.push(life);
    while (this.#live.length > LIVE_MACHINES_MAX) this.#forget(this.#live.shift()!);
    return life;
  }

  #forget(life: Life): void {
    if (life.machine !== null) this.#groups.push(life.machine.group);
    life.machine = null;
  }

  #expiredIn({ store }: Machine, shard: number): readonly Expired[] {
    const last = store.rows.at(-1);
    if (last === undefined) return [];
    const facts = new JournalFacts(this.#shards, placementOf(this.#shards));
    return facts.read(shard, store.rows.length, last.frame);
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
    const shards = this.#shards;
    const group = this.#groups.pop() ?? new Group(GROUP_BYTES, { inputRowsMax: GROUP_INPUT_ROWS });
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
    for (const id of this.#ids.accounts) {
      const words = wordsOf(id);
      const row = accountIndex.find(words, 0, accountIndex.hash(words, 0));
      if (row === -1) continue;
      const copy = new Uint32Array(ROW_WORDS);
      table.copyRow(row, copy, 0);
      const account = objectsOfRows(BatchKind.accounts, copy, 1)[0] as StoredAccount;
      const debits = account.debitsPending + account.debitsPosted;
      const credits = account.creditsPending + account.creditsPosted;
      const mayNotOwe = (account.flags & AccountFlags.debitsMustNotExceedCredits) !== 0;
      const mayOnlyOwe = (account.flags & AccountFlags.creditsMustNotExceedDebits) !== 0;
      assert(!mayNotOwe || debits <= account.creditsPosted, 'debits keep to their limit');
      assert(!mayOnlyOwe || credits <= account.debitsPosted, 'credits keep to their limit');
      accounts.set(id, account);
    }
    const created: string[] = [];
    const burnt: string[] = [];
    for (const id of this.#ids.transfers) {
      const words = wordsOf(id);
      const slot = transferIndex.find(words, 0, transferIndex.hash(words, 0));
      if (slot === -1) continue;
      const state = positionState(transferIndex.valueHigh(slot));
      if (state === TransferState.failed) burnt.push(`${id}`);
      else created.push(transferText(`${shard}/${id}`, state));
    }
    return { accounts, created, burnt };
  }
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
