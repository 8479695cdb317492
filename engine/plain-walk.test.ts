import { afterEach, expect, test, vi } from 'vitest';
import { Prng } from '../lib/prng.ts';
import type { TransferInput } from '../test/support/model-ledger.ts';
import {
  accountOf,
  accountsFrame,
  idOn,
  OneShard,
  transfersFrame,
  type Arriving,
  wordsOf,
  type Told,
} from '../test/support/one-shard.ts';
import { ROW_WORDS } from './batch.ts';
import { AccountFlags, TransferFlags } from './flags.ts';
import { Input, InputFlag } from './frame.ts';
import { LINK_HEAD_WORDS } from './link-message.ts';
import { shardOf } from './placement.ts';
import { PlainWalk } from './plain-walk.ts';
import { TransferStatus } from './status.ts';
import { CODE_FLAGS } from './transfer-accounts.ts';

const SHARDS = 3;
const ACCOUNTS_PER_SHARD = 40;
const MAX = 2n ** 128n - 1n;
const NO_SUCH_ACCOUNT = 10n ** 6n;
/** Of the first accounts of each shard: two with limits, one with a history of balances, one of another ledger. */
const SPECIAL = [
  AccountFlags.debitsMustNotExceedCredits,
  AccountFlags.creditsMustNotExceedDebits,
  AccountFlags.history,
];

const IDS = Array.from({ length: SHARDS }, (_shard, shard) =>
  Array.from({ length: ACCOUNTS_PER_SHARD }, (_id, n) => idOn(shard, SHARDS, n + 1)),
);

/** Three shards that take turns; every message arrives before the next request. */
class World {
  readonly shards = Array.from(
    { length: SHARDS },
    (_, shard) => new OneShard({ shard, shards: SHARDS }),
  );
  readonly #sent = this.shards.map(() => this.shards.map(() => 0));
  #time = 1000n;

  /** Gives what everybody was told, and the frames that it took. */
  run(shard: number, frame: Uint32Array): { readonly told: Told[]; readonly frames: string[] } {
    const told: Told[] = [];
    const frames: string[] = [];
    const waiting = [{ to: shard, requests: [frame], messages: [] as Arriving[] }];
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      const { to: at, requests, messages } = step;
      const one = this.shards[at]!;
      this.#time += 1_000_000n;
      told.push(...one.run(requests, this.#time, messages));
      frames.push(Buffer.from(one.group.frame()).toString('base64'));
      for (const { to, body } of one.machine.outgoing) {
        const number = ++this.#sent[at]![to]!;
        const { clockLow, clockHigh } = one.machine.ledger;
        const clock = (BigInt(clockHigh) << 32n) | BigInt(clockLow);
        waiting.push({
          to,
          requests: [],
          messages: [{ from: at, number, clock, body: body.slice() }],
        });
      }
    }
    return { told, frames };
  }
}

function drawAccount(prng: Prng, isCalm: boolean): bigint {
  if (!isCalm && prng.chance(3)) return prng.chance(50) ? 0n : NO_SUCH_ACCOUNT;
  const n = prng.between(isCalm ? 4 : 0, ACCOUNTS_PER_SHARD - 1);
  return IDS[prng.below(SHARDS)]![n]!;
}

function drawTransfer(prng: Prng, used: bigint, isCalm: boolean): TransferInput {
  const transfer: TransferInput = {
    id: prng.chance(isCalm ? 98 : 85)
      ? used + BigInt(prng.between(1, 400))
      : BigInt(prng.between(0, 900)),
    debitAccountId: drawAccount(prng, isCalm),
    creditAccountId: drawAccount(prng, isCalm),
    amount:
      isCalm || prng.chance(90)
        ? BigInt(prng.below(20))
        : MAX - BigInt(prng.below(16)) * 2n ** 124n,
    ledger: isCalm || prng.chance(95) ? 1 : 2,
    code: isCalm || prng.chance(97) ? 1 : 0,
  };
  if (isCalm) return transfer;
  if (prng.chance(5)) return { ...transfer, flags: TransferFlags.pending, timeout: prng.below(2) };
  if (prng.chance(3)) return { ...transfer, flags: TransferFlags.linked };
  if (prng.chance(2)) return { ...transfer, timeout: 1 };
  return prng.chance(2) ? { ...transfer, id: MAX } : transfer;
}

/**
 * A chain of a few transfers, or a single one. Legs of a chain may have an account or, wrongly, an id in common, or amounts of which one fits into a
 * balance and not all of them.
 */
function drawUnit(prng: Prng, used: bigint, isCalm: boolean, isChain: boolean): TransferInput[] {
  if (!isChain) return [drawTransfer(prng, used, isCalm)];
  const legs = prng.between(2, prng.chance(80) ? 4 : 10);
  const isLarge = prng.chance(5);
  const drawn: TransferInput[] = [];
  for (let leg = 0; leg < legs; leg++) {
    const transfer = drawTransfer(prng, used, isCalm);
    const first = drawn[0] ?? transfer;
    const isLinked = leg < legs - 1;
    drawn.push({
      ...transfer,
      id: prng.chance(4) ? first.id : transfer.id,
      debitAccountId: isLarge || prng.chance(30) ? first.debitAccountId : transfer.debitAccountId,
      amount: isLarge ? 2n ** 125n : transfer.amount,
      flags: (transfer.flags ?? 0) | (isLinked ? TransferFlags.linked : 0),
    });
  }
  return drawn;
}

/** The lowest shard of the accounts of a unit, to which it is sent. */
function firstShard(unit: readonly TransferInput[]): number {
  const ids = unit.flatMap(({ debitAccountId, creditAccountId }) => [
    debitAccountId,
    creditAccountId,
  ]);
  return Math.min(...ids.map((id) => shardOf(wordsOf(id), 0, SHARDS)));
}

afterEach(() => {
  vi.restoreAllMocks();
});

test.each([1, 2, 3, 4, 5, 6])(
  'the short way and the rules decide every walk alike, byte for byte, seed %i',
  (seed) => {
    const prng = new Prng(seed);
    const [short, long] = [new World(), new World()];
    let events = 0;
    let linked = 0;
    // oxlint-disable-next-line unbound-method -- It is given its `this`.
    const { run } = PlainWalk.prototype;
    function counted(this: PlainWalk, ...args: Parameters<typeof run>): number {
      const [body, , , from] = args;
      const to = run.apply(this, args);
      events += to - from;
      for (let i = from; i < to; i++) {
        const codeFlags = body[LINK_HEAD_WORDS + i * ROW_WORDS + CODE_FLAGS]!;
        if (((codeFlags >>> 16) & TransferFlags.linked) !== 0) linked++;
      }
      return to;
    }
    const both = (shard: number, frame: Uint32Array): Told[] => {
      const through = vi.spyOn(PlainWalk.prototype, 'run').mockImplementation(counted);
      const one = short.run(shard, frame);
      through.mockRestore();
      const off = vi.spyOn(PlainWalk.prototype, 'run').mockImplementation((...args) => args[3]);
      expect(long.run(shard, frame)).toEqual(one);
      off.mockRestore();
      for (let k = 0; k < SHARDS; k++) {
        expect(short.shards[k]!.digest).toBe(long.shards[k]!.digest);
      }
      return one.told;
    };
    for (const [shard, ids] of IDS.entries()) {
      const accounts = ids.map((id, n) => ({
        ...accountOf(id, SPECIAL[n] ?? 0),
        ledger: n === 3 ? 2 : 1,
      }));
      both(shard, accountsFrame(accounts));
    }
    let created = 0;
    for (let round = 1; round <= 40; round++) {
      const isCalm = prng.chance(50);
      const n = prng.between(1, prng.chance(10) ? 600 : 40);
      const chains = prng.pick([0, 30, 60]);
      const drawn = Array.from({ length: n }, () =>
        drawUnit(prng, BigInt(round * 1000), isCalm, prng.chance(chains)),
      );
      for (let shard = 0; shard < SHARDS; shard++) {
        const own = drawn.filter((unit) => firstShard(unit) === shard).flat();
        if (own.length === 0) continue;
        const frame = transfersFrame(own, round);
        if (prng.chance(5)) frame[Input.flags] = InputFlag.imported;
        const [told] = both(shard, frame).filter((one) => one.request === round);
        created += told!.statuses.filter((status) => status === TransferStatus.created).length;
      }
    }
    expect(created).toBeGreaterThan(300);
    expect(events).toBeGreaterThan(150);
    expect(linked).toBeGreaterThan(20);
    for (const shard of short.shards) expect(shard.replayed().digest).toBe(shard.digest);
  },
);
