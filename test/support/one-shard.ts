/** One state machine with its journal, driven by hand: request frames in, outcomes and messages out. */
import { batchOfObjects } from '../../client/rows.ts';
import { BatchKind, type Batch } from '../../engine/batch.ts';
import { Input, INPUT_WORDS, InputType } from '../../engine/frame.ts';
import { Group } from '../../engine/group.ts';
import { ApplyHead, LINK_HEAD_WORDS, LinkHead, LinkKind } from '../../engine/link-message.ts';
import { Reply, REPLY_HEAD_WORDS } from '../../engine/open-requests.ts';
import { shardOf } from '../../engine/placement.ts';
import { StateMachine } from '../../engine/state-machine.ts';
import { Prng } from '../../lib/prng.ts';
import { MemoryJournal, type MemoryJournalStore } from '../../persistence/memory-journal.ts';
import { RecordReader } from '../../sharding/record-reader.ts';
import { replayJournal } from '../../sharding/replay.ts';
import type { AccountInput, TransferInput } from './model-ledger.ts';

const GROUP_BYTES = 4 << 20;

export function wordsOf(id: bigint): Uint32Array {
  return new Uint32Array(BigUint64Array.of(id, id >> 64n).buffer);
}

/** The n-th id, counted from 1, of an account on that shard. */
export function idOn(shard: number, shards: number, n = 1): bigint {
  let left = n;
  for (let id = 1n; ; id++) {
    if (shardOf(wordsOf(id), 0, shards) === shard && --left === 0) return id;
  }
}

export function accountOf(id: bigint, flags = 0): AccountInput {
  return { id, ledger: 1, code: 1, flags };
}

export function transferOf(id: bigint, dr: bigint, cr: bigint, amount = 1n): TransferInput {
  return { id, debitAccountId: dr, creditAccountId: cr, amount, ledger: 1, code: 1 };
}

/** A request as it lies in a ring. */
export function requestFrame(
  type: number,
  batch: Batch,
  { request = 1, session = 1, deadline = 0n } = {},
): Uint32Array {
  const frame = new Uint32Array(INPUT_WORDS + batch.words.length);
  frame[Input.type] = type;
  frame[Input.bytes] = frame.length * 4;
  frame[Input.session] = session;
  frame[Input.request] = request;
  frame[Input.deadline] = Number(deadline & 0xffffffffn);
  frame[Input.deadline + 1] = Number(deadline >> 32n);
  frame.set(batch.words, INPUT_WORDS);
  return frame;
}

export function accountsFrame(accounts: readonly AccountInput[], request = 1): Uint32Array {
  const batch = batchOfObjects(BatchKind.accounts, accounts);
  return requestFrame(InputType.createAccounts, batch, { request });
}

export function transfersFrame(transfers: readonly TransferInput[], request = 1): Uint32Array {
  const batch = batchOfObjects(BatchKind.transfers, transfers);
  return requestFrame(InputType.createTransfers, batch, { request });
}

export interface Told {
  readonly request: number;
  readonly statuses: readonly number[];
  readonly timestamps: readonly bigint[];
}

/** The reply that begins at a word. */
export function replyAt(words: Uint32Array, at: number): Told {
  const n = words[at + Reply.n]!;
  const halves = at + REPLY_HEAD_WORDS + 2 * n;
  const rows = Array.from({ length: n }, (_, i) => i);
  return {
    request: words[at + Reply.request]!,
    statuses: rows.map((i) => (words[halves + (i >> 1)]! >>> (16 * (i & 1))) & 0xffff),
    timestamps: rows.map((i) => {
      const stamp = at + REPLY_HEAD_WORDS + 2 * i;
      return (BigInt(words[stamp + 1]!) << 32n) | BigInt(words[stamp]!);
    }),
  };
}

export interface Arriving {
  readonly from: number;
  readonly number: number;
  readonly clock: bigint;
  readonly body: Uint32Array;
}

/** The decision of shard 1 of two that the only transfer of a walk of shard 0 failed, as link message `number`. */
export function failedWalk(status: number, clock: bigint, { walk = 1, number = 1 } = {}): Arriving {
  const body = new Uint32Array(LINK_HEAD_WORDS + 4);
  body[LinkHead.kind] = LinkKind.apply;
  body[LinkHead.walk] = walk;
  body[ApplyHead.outcomes] = 1;
  body.set([status, Number(clock), 0, 0], LINK_HEAD_WORDS);
  return { from: 1, number, clock, body };
}

export interface OneShardOptions {
  readonly shard?: number;
  readonly shards?: number;
  readonly store?: MemoryJournalStore;
}

export class OneShard {
  readonly shard: number;
  readonly shards: number;
  readonly store: MemoryJournalStore;
  readonly group = new Group(GROUP_BYTES);
  readonly machine: StateMachine;
  readonly journal: MemoryJournal;
  readonly #records: RecordReader;

  constructor({ shard = 0, shards = 1, store = { rows: [] } }: OneShardOptions = {}) {
    this.shard = shard;
    this.shards = shards;
    this.store = store;
    this.machine = new StateMachine({ shard, shards, seed: 7 }, this.group);
    this.journal = new MemoryJournal({ clusterId: 'one', shard, shards }, store);
    this.#records = new RecordReader(this.journal, shards);
  }

  /** One group at a time in ns: expiries, messages, then requests. Gives what the group was told. */
  run(
    requests: readonly Uint32Array[],
    time: bigint,
    messages: readonly Arriving[] = [],
    expires = false,
  ): Told[] {
    const { group, machine, journal } = this;
    group.reset(journal.lastSequence + 1);
    if (expires) group.addMessage(InputType.expire, 0, null);
    for (const { from, number, clock, body } of messages) {
      const at = group.addMessage(InputType.link, from, body);
      group.words[at + Input.number] = number;
      group.words[at + Input.stamp] = Number(clock & 0xffffffffn);
      group.words[at + Input.stamp + 1] = Number(clock >> 32n);
    }
    for (const frame of requests) group.addRequest(frame, 0, frame.length);
    machine.want();
    const { shelf } = machine;
    for (let i = 0; i < shelf.count; i++) {
      shelf.put(i, this.#records.record(shelf.sequences[i]!, shelf.rowNumbers[i]!));
    }
    machine.execute(Number(time & 0xffffffffn), Number(time >> 32n));
    journal.append({ sequence: group.sequence, timestamp: time, frame: group.frame() });
    this.#records.keep(group.sequence, group.frame());
    const { replies, replyAt: places } = machine.requests;
    return places.map((at) => replyAt(replies.words, at));
  }

  /** Another machine that has executed the same journal. */
  replayed(): OneShard {
    const { shard, shards, store } = this;
    const again = new OneShard({ shard, shards, store });
    const { journal, machine, group } = again;
    replayJournal({ journal, machine, group, records: again.#records, onGroup: () => undefined });
    return again;
  }

  /** Executes the journal again behind a sequence. */
  follow(after: number): void {
    const { journal, machine, group } = this;
    replayJournal({ journal, machine, group, records: this.#records, after });
  }

  get clock(): bigint {
    const { clockLow, clockHigh } = this.machine.ledger;
    return (BigInt(clockHigh) << 32n) | BigInt(clockLow);
  }

  get digest(): string {
    return this.machine.digest().join();
  }
}

/** Two account ids of the shard that its index of accounts has the same hash for: one is found where the other is looked for. */
export function idsWithOneHash({ machine, shard, shards }: OneShard): readonly [bigint, bigint] {
  const { accountIndex } = machine.ledger;
  const prng = new Prng(1);
  const ids = new Map<number, bigint>();
  const words = new Uint32Array(4);
  for (;;) {
    // Of two words: one alone gives every id a hash of its own.
    words[0] = prng.uint32();
    words[1] = prng.uint32();
    if (shardOf(words, 0, shards) !== shard) continue;
    const id = (BigInt(words[1]) << 32n) | BigInt(words[0]);
    const hash = accountIndex.hash(words, 0);
    const other = ids.get(hash);
    if (other !== undefined && other !== id) return [other, id];
    ids.set(hash, id);
  }
}
