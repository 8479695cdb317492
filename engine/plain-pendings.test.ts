import { expect, test } from 'vitest';
import { batchOfObjects } from '../client/rows.ts';
import { Prng } from '../lib/prng.ts';
import type { TransferInput } from '../test/support/model-ledger.ts';
import {
  accountOf,
  accountsFrame,
  idsWithOneHash,
  OneShard,
  requestFrame,
  transferOf,
} from '../test/support/one-shard.ts';
import { type Batch, BatchKind, Columns } from './batch.ts';
import { AccountFlags, TransferFlags } from './flags.ts';
import { Input, InputFlag, InputType, isRequest } from './frame.ts';
import type { Group } from './group.ts';
import { isPlainPendingBatch } from './plain-pendings.ts';
import { isPlainPostBatch } from './plain-posts.ts';
import { TransferStatus } from './status.ts';

const MAX = 2n ** 128n - 1n;
const ACCOUNTS = 14;
const { pending, postPendingTransfer, voidPendingTransfer } = TransferFlags;

/** Of the accounts 1 to 14: two with limits, two with a history of balances, one of another ledger; 5 and 6 are closed now and then. */
function makeAccounts(): ReturnType<typeof accountOf>[] {
  const flags = [
    AccountFlags.debitsMustNotExceedCredits,
    AccountFlags.creditsMustNotExceedDebits,
    AccountFlags.history,
    0,
    AccountFlags.history,
  ];
  return Array.from({ length: ACCOUNTS }, (_, i) => ({
    ...accountOf(BigInt(i + 1), flags[i] ?? 0),
    ledger: i === 3 ? 2 : 1,
  }));
}

/** Draws batches of transfers, most of which are all pending or all posts, and remembers what it has drawn. */
class Load {
  readonly #prng: Prng;
  readonly #pendings: TransferInput[] = [];
  /** Of those the ones that nothing was drawn for yet. */
  readonly #untouched: TransferInput[] = [];
  readonly #posts: TransferInput[] = [];
  #ids = 100n;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
  }

  batch(): TransferInput[] {
    const prng = this.#prng;
    const n = prng.chance(10) ? prng.between(257, 600) : prng.between(1, 40);
    const calm = prng.chance(60) ? 99 : 80;
    const kind = prng.below(20);
    if (kind < 8) return Array.from({ length: n }, () => this.#pendingOne(pending, calm));
    if (kind < 15) {
      return Array.from({ length: n }, () => this.#endOf(postPendingTransfer, calm));
    }
    if (kind < 16) return Array.from({ length: n }, () => this.#endOf(voidPendingTransfer, calm));
    if (kind < 17) {
      const more = [TransferFlags.closingDebit, TransferFlags.balancingDebit, TransferFlags.linked];
      return [this.#pendingOne(pending | more[prng.below(3)]!, calm)];
    }
    return Array.from({ length: n }, () => {
      const one = prng.below(8);
      if (one < 3) return this.#pendingOne(pending, calm);
      if (one > 5) return this.#pendingOne(0, calm);
      return this.#endOf(one < 5 ? postPendingTransfer : voidPendingTransfer, calm);
    });
  }

  /** Nearly always one that was never used. */
  #id(calm: number): bigint {
    const prng = this.#prng;
    if (prng.chance(calm)) return ++this.#ids;
    return prng.chance(90) ? this.#ids - BigInt(prng.below(60)) : prng.chance(50) ? 0n : MAX;
  }

  #user(): Partial<TransferInput> {
    const prng = this.#prng;
    const draw = (): number => (prng.chance(60) ? prng.below(1000) : 0);
    return {
      userData128: BigInt(draw()) << 70n,
      userData64: BigInt(draw()) << 40n,
      userData32: draw(),
    };
  }

  #pendingOne(flags: number, calm: number): TransferInput {
    const prng = this.#prng;
    if (flags === pending && this.#pendings.length > 0 && !prng.chance(calm))
      return this.#again(flags);
    const account = (): bigint =>
      BigInt(prng.chance(calm) ? prng.between(5, ACCOUNTS) : prng.between(0, ACCOUNTS + 2));
    const transfer: TransferInput = {
      id: this.#id(calm),
      debitAccountId: account(),
      creditAccountId: account(),
      amount: prng.chance(97) ? BigInt(prng.below(50)) : MAX >> BigInt(prng.below(4)),
      ledger: prng.chance(98) ? 1 : 2,
      code: prng.chance(calm) ? prng.between(1, 2) : 0,
      timeout: flags !== 0 && prng.chance(40) ? prng.between(1, 4) : 0,
      flags,
      ...(prng.chance(30) ? this.#user() : {}),
    };
    this.#pendings.push(transfer);
    if (flags === pending) this.#untouched.push(transfer);
    return transfer;
  }

  /** A post or void: of one of the newest ones, as a rule. */
  #endOf(flags: number, calm: number): TransferInput {
    const prng = this.#prng;
    const all = this.#pendings;
    if (flags === postPendingTransfer && this.#posts.length > 0 && !prng.chance(calm)) {
      return this.#again(flags);
    }
    const left = this.#untouched;
    const [one] =
      left.length > 0 && prng.chance(85)
        ? left.splice(-1 - prng.below(Math.min(left.length, 300)), 1)
        : all.slice(-1 - prng.below(Math.max(1, Math.min(all.length, 300))));
    const isRight = prng.chance(calm);
    const whole = flags === voidPendingTransfer ? 0n : MAX;
    const part = isRight ? (one?.amount ?? 1n) : BigInt(prng.below(60));
    const named = { debitAccountId: 7n, creditAccountId: 8n, ledger: 1, code: 1 };
    const { debitAccountId, creditAccountId, ledger, code } = isRight ? (one ?? named) : named;
    const end: TransferInput = {
      id: this.#id(calm),
      debitAccountId: prng.chance(30) ? debitAccountId : 0n,
      creditAccountId: prng.chance(30) ? creditAccountId : 0n,
      amount: prng.chance(60) ? whole : part,
      pendingId: isRight ? (one?.id ?? 1n) : [0n, MAX, this.#ids + 1n][prng.below(3)]!,
      ledger: prng.chance(30) ? ledger : 0,
      code: prng.chance(30) ? code : 0,
      timeout: prng.chance(1) ? 1 : 0,
      flags,
      ...(prng.chance(30) ? this.#user() : {}),
    };
    if (flags === postPendingTransfer) this.#posts.push(end);
    return end;
  }

  /** One of the newest, sent again. */
  #again(flags: number): TransferInput {
    const list = flags === pending ? this.#pendings : this.#posts;
    return list[list.length - 1 - this.#prng.below(Math.min(list.length, 100))]!;
  }
}

/** A request with room behind its batch for a note for each row, that say nothing: where they count, no row goes the short way. */
function frameOf(batch: Batch, isNoted: boolean): Uint32Array {
  const plain = requestFrame(InputType.createTransfers, batch);
  const frame = new Uint32Array(plain.length + Math.ceil(batch.n / 8) * 2);
  frame.set(plain);
  frame[Input.bytes] = frame.length * 4;
  frame[Input.flags] = isNoted ? InputFlag.marks : 0;
  return frame;
}

/** A journal frame as if no request had had notes. */
function frameWithoutFlags(group: Group): Buffer {
  const frame = Buffer.from(group.frame());
  for (const at of group.inputAt) {
    if (isRequest(group.words[at]!)) frame.writeUInt32LE(0, (at + Input.flags) * 4);
  }
  return frame;
}

function open(batch: Batch): Columns {
  const columns = new Columns();
  const words = new Uint32Array(batch.words.length + 4);
  words.set(batch.words);
  columns.openBatch(words, new Uint16Array(words.buffer), 0, batch.words.length);
  return columns;
}

/** What every run must have met: a way that nothing is left to would show nothing. */
const MET = [
  'id_already_failed',
  'exists',
  'accounts_must_be_different',
  'pending_transfer_not_found',
  'pending_transfer_has_different_debit_account_id',
  'exceeds_pending_transfer_amount',
  'pending_transfer_already_posted',
  'pending_transfer_already_voided',
  'pending_transfer_expired',
  'debit_account_already_closed',
  'overflows_debits_pending',
  'exceeds_credits',
  'exceeds_debits',
] as const;

test.each([1, 2, 3, 4])(
  'the short ways and the rules make the same of pending transfers and posts, seed %i',
  (seed) => {
    const load = new Load(seed);
    const prng = new Prng(1000 + seed);
    const [short, long] = [new OneShard(), new OneShard()];
    for (const shard of [short, long]) shard.run([accountsFrame(makeAccounts())], 1000n);
    const met = new Map<number, number>();
    const created = { pendings: 0, posts: 0 };
    let time = 1_000_000n;
    for (let round = 0; round < 250; round++) {
      time += BigInt(prng.below(600)) * 1_000_000n;
      const isNew = prng.chance(50);
      const batches = Array.from({ length: prng.between(1, 3) }, () =>
        batchOfObjects(BatchKind.transfers, load.batch()),
      );
      const run = (shard: OneShard, isNoted: boolean): ReturnType<OneShard['run']> =>
        shard.run(
          batches.map((batch) => frameOf(batch, isNoted)),
          time,
          [],
          isNew,
        );
      const told = run(short, false);
      expect(told).toEqual(run(long, true));
      expect(frameWithoutFlags(short.group).equals(frameWithoutFlags(long.group))).toBe(true);
      for (const [b, batch] of batches.entries()) {
        const { statuses } = told[b]!;
        for (const status of statuses) met.set(status, (met.get(status) ?? 0) + 1);
        const count = statuses.filter((status) => status === TransferStatus.created).length;
        if (isPlainPendingBatch(open(batch))) created.pendings += count;
        else if (isPlainPostBatch(open(batch))) created.posts += count;
      }
    }
    expect(short.digest).toBe(long.digest);
    expect(short.replayed().digest).toBe(short.digest);
    expect(created.pendings).toBeGreaterThan(1000);
    expect(created.posts).toBeGreaterThan(700);
    const names = MET.filter((name) => !met.has(TransferStatus[name]));
    expect(names).toEqual([]);
  },
);

test('an account is not taken for another one with the same hash', () => {
  const [short, long] = [new OneShard(), new OneShard()];
  const [a, b] = idsWithOneHash(short);
  const accounts = accountsFrame([1n, a, b].map((id) => accountOf(id)));
  const transfers = [a, b].flatMap((id, i) => [
    { ...transferOf(BigInt(10 + i), 1n, id, 5n), flags: pending },
    { ...transferOf(BigInt(20 + i), id, 1n, 6n), flags: pending },
  ]);
  const posts = transfers.map(({ id }) => ({
    ...transferOf(id + 100n, 0n, 0n, MAX),
    ledger: 0,
    code: 0,
    pendingId: id,
    flags: postPendingTransfer,
  }));
  for (const [shard, isNoted] of [
    [short, false],
    [long, true],
  ] as const) {
    shard.run([accounts], 1000n);
    for (const batch of [transfers, posts]) {
      const frame = frameOf(batchOfObjects(BatchKind.transfers, batch), isNoted);
      const [told] = shard.run([frame], 2000n);
      expect(told!.statuses).toEqual([0, 0, 0, 0]);
    }
  }
  expect(short.digest).toBe(long.digest);
});
