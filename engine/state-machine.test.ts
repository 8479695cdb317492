import { describe, expect, test } from 'vitest';
import { batchOfObjects } from '../client/rows.ts';
import {
  accountOf,
  accountsFrame,
  failedWalk,
  idOn,
  OneShard,
  requestFrame,
  transferOf,
  transfersFrame,
} from '../test/support/one-shard.ts';
import { BatchKind, batchOfRows, ROW_WORDS } from './batch.ts';
import { TransferFlags } from './flags.ts';
import { Input, InputType } from './frame.ts';
import { Group } from './group.ts';
import { BATCH_EVENTS_MAX, EXPIRIES_MAX, GROUP_ROWS_MAX } from './limits.ts';
import { StateMachine } from './state-machine.ts';
import { AccountStatus, EventState, TransferStatus } from './status.ts';

const TIME = 1_000_000n;
const ALICE = 1n;
const BANK = 2n;
const LIMITED = 2;

/** Alice, who may not spend what she has not, and the bank. */
function newShard(): OneShard {
  const shard = new OneShard();
  shard.run([accountsFrame([accountOf(ALICE, LIMITED), accountOf(BANK)])], TIME);
  return shard;
}

describe('a state machine of one shard', () => {
  test('gives consecutive timestamps to the events of a batch, whatever became of them', () => {
    const shard = newShard();
    const [reply] = shard.run(
      [
        transfersFrame([
          transferOf(1n, BANK, ALICE, 5n),
          transferOf(2n, ALICE, BANK, 9n),
          transferOf(3n, ALICE, BANK, 5n),
        ]),
      ],
      TIME * 2n,
    );
    expect(reply!.statuses).toEqual([
      TransferStatus.created,
      TransferStatus.exceeds_credits,
      TransferStatus.created,
    ]);
    const first = TIME * 2n + 1n;
    expect(reply!.timestamps).toEqual([first, first + 1n, first + 2n]);
    expect(shard.clock).toBe(first + 2n);
  });

  test('exists has the timestamp of the original, in the same group and in a later one', () => {
    const shard = new OneShard();
    const account = accountOf(ALICE);
    const [made] = shard.run([accountsFrame([account, accountOf(BANK), account])], TIME);
    expect(made!.statuses[2]).toBe(AccountStatus.exists);
    expect(made!.timestamps[2]).toBe(made!.timestamps[0]);
    const transfer = transferOf(7n, ALICE, BANK, 5n);
    const [one, same] = shard.run(
      [transfersFrame([transfer], 1), transfersFrame([transfer, { ...transfer, amount: 6n }], 2)],
      TIME,
    );
    const [later] = shard.run([transfersFrame([transfer])], TIME * 9n);
    expect(same!.statuses).toEqual([
      TransferStatus.exists,
      TransferStatus.exists_with_different_amount,
    ]);
    expect(later!.statuses).toEqual([TransferStatus.exists]);
    expect([same!.timestamps[0], later!.timestamps[0]]).toEqual([
      one!.timestamps[0],
      one!.timestamps[0],
    ]);
    const [again] = shard.run([accountsFrame([account])], TIME);
    expect(again!.timestamps).toEqual([made!.timestamps[0]]);
  });

  test('an original whose lower timestamp word ran over within its batch is found with its timestamp', () => {
    const shard = new OneShard();
    const edge = (3n << 32n) - 3n;
    shard.run([accountsFrame([accountOf(ALICE), accountOf(BANK)])], TIME);
    const events = Array.from({ length: 6 }, (_, i) => transferOf(BigInt(i + 1), ALICE, BANK));
    const [made] = shard.run([transfersFrame(events)], edge);
    expect(made!.timestamps.at(-1)).toBe(edge + 6n);
    const [again] = shard.run([transfersFrame(events)], edge);
    expect(again!.statuses).toEqual(Array(6).fill(TransferStatus.exists));
    expect(again!.timestamps).toEqual(made!.timestamps);
  });

  test('a clock that jumps back does not bend timestamps', () => {
    const shard = newShard();
    const stamps: bigint[] = [];
    for (const [i, time] of [TIME * 5n, TIME, 0n, TIME * 5n + 1n, TIME * 7n].entries()) {
      const [reply] = shard.run([transfersFrame([transferOf(BigInt(i + 1), BANK, ALICE)])], time);
      stamps.push(...reply!.timestamps);
    }
    expect(stamps).toEqual(stamps.toSorted((a, b) => (a < b ? -1 : 1)));
    expect(new Set(stamps).size).toBe(5);
    expect(stamps.at(-1)).toBe(TIME * 7n + 1n);
  });

  test('shard k of n gives only timestamps congruent to k modulo n', () => {
    for (const [shard, shards] of [
      [0, 1],
      [0, 3],
      [2, 3],
      [63, 64],
      [4, 5],
    ] as const) {
      const one = new OneShard({ shard, shards });
      const ids = [1, 2, 3].map((n) => idOn(shard, shards, n));
      for (const time of [17n, TIME, (1n << 32n) - 5n, (1n << 60n) + 1n]) {
        const [reply] = one.run([accountsFrame(ids.map((id) => accountOf(id)))], time);
        const [moved] = one.run([transfersFrame([transferOf(time, ids[0]!, ids[1]!)])], time);
        for (const stamp of [...reply!.timestamps, ...moved!.timestamps, one.clock]) {
          expect(stamp % BigInt(shards)).toBe(BigInt(shard));
        }
      }
    }
  });

  test('a machine that replays the journal has the same digest, and the next group the same outcome', () => {
    const shard = newShard();
    for (let i = 1n; i <= 20n; i++) {
      shard.run(
        [
          transfersFrame([
            transferOf(i, BANK, ALICE, i),
            transferOf(100n + i, ALICE, BANK, 3n * i),
          ]),
        ],
        TIME,
      );
    }
    const again = shard.replayed();
    expect(again.digest).toBe(shard.digest);
    expect(again.clock).toBe(shard.clock);
    const next = transfersFrame([
      transferOf(5n, BANK, ALICE, 5n),
      transferOf(500n, ALICE, BANK, 1n),
    ]);
    const told = again.run([next], TIME);
    // Both write to one store: only one of them may go on.
    shard.store.rows.pop();
    expect(shard.run([next], TIME)).toEqual(told);
    expect(again.digest).toBe(shard.digest);
  });

  test('the digest tells any balance, any id, and any account apart', () => {
    const digests = new Set<string>();
    const variants: (readonly (readonly [bigint, bigint, bigint, bigint])[])[] = [
      [],
      [[1n, BANK, ALICE, 1n]],
      [[1n, BANK, ALICE, 2n]],
      [[1n, BANK, ALICE, 1n << 100n]],
      [[2n, BANK, ALICE, 1n]],
      [[1n, ALICE, BANK, 1n]],
      [
        [1n, BANK, ALICE, 1n],
        [2n, BANK, ALICE, 1n],
      ],
    ];
    for (const transfers of variants) {
      const shard = newShard();
      if (transfers.length > 0)
        shard.run([transfersFrame(transfers.map((one) => transferOf(...one)))], TIME);
      digests.add(shard.digest);
    }
    expect(digests.size).toBe(variants.length);
    const shard = newShard();
    const before = shard.digest;
    for (let word = 0; word < 20; word++) {
      const row = shard.machine.ledger.accounts.words;
      row[32 + word]! ^= 1;
      expect(shard.digest).not.toBe(before);
      row[32 + word]! ^= 1;
    }
    expect(shard.digest).toBe(before);
  });

  test('the clock alone does not change the digest', () => {
    const shard = newShard();
    const before = shard.digest;
    shard.run([], TIME * 100n);
    expect(shard.digest).toBe(before);
  });
});

describe('a full group', () => {
  const PENDINGS = 4 * BATCH_EVENTS_MAX;

  /** Pending transfers, or, `of` a number away, their voids: nothing but ids. */
  function batchFrame(first: number, flags: number, { timeout = 0, of = 0 } = {}): Uint32Array {
    const rows = new Uint32Array(BATCH_EVENTS_MAX * ROW_WORDS);
    for (let i = 0; i < BATCH_EVENTS_MAX; i++) {
      const at = i * ROW_WORDS;
      rows[at] = first + i;
      rows[at + 29] = flags << 16;
      if (of > 0) {
        rows[at + 16] = first + i - of;
        continue;
      }
      rows.set([Number(ALICE), 0, 0, 0, Number(BANK), 0, 0, 0, 1], at + 4);
      rows[at + 27] = timeout;
      rows[at + 28] = 1;
      rows[at + 29] = (flags << 16) | 1;
    }
    const batch = batchOfRows(BatchKind.transfers, rows, BATCH_EVENTS_MAX);
    return requestFrame(InputType.createTransfers, batch);
  }

  test('has a row number for all that its inputs may store, and for what expires meanwhile', () => {
    const group = new Group();
    const machine = new StateMachine({ shard: 0, shards: 1, seed: 7 }, group);
    let taken = 0;
    const run = (frames: readonly Uint32Array[], time: bigint): void => {
      group.reset(group.sequence + 1);
      group.addMessage(InputType.expire, 0, null);
      taken = 0;
      for (const frame of frames) {
        if (!group.takes(frame.byteLength, BATCH_EVENTS_MAX)) break;
        group.addRequest(frame, 0, frame.length);
        taken++;
      }
      machine.want();
      machine.execute(Number(time & 0xffffffffn), Number(time >> 32n));
    };
    run([accountsFrame([accountOf(ALICE), accountOf(BANK)])], TIME);
    const firsts = Array.from({ length: 4 }, (_, i) => 1 + i * BATCH_EVENTS_MAX);
    const { pending, voidPendingTransfer } = TransferFlags;
    for (const first of firsts) run([batchFrame(first, pending)], TIME);
    run([batchFrame(2 * PENDINGS, pending, { timeout: 1 })], TIME);
    const voids = firsts.map((first) =>
      batchFrame(PENDINGS + first, voidPendingTransfer, { of: PENDINGS }),
    );
    run(voids, TIME + 2_000_000_000n);
    expect(group.derivedRows).toBe(taken * BATCH_EVENTS_MAX + EXPIRIES_MAX);
    expect(group.inputRows + group.derivedRows).toBeLessThanOrEqual(GROUP_ROWS_MAX);
  });
});

describe('a state machine of two shards', () => {
  const low = idOn(0, 2);
  const high = idOn(1, 2);
  const second = idOn(0, 2, 2);

  /** Shard 0, where a walk has claimed its account and waits for shard 1. */
  function claimedShard(): OneShard {
    const shard = new OneShard({ shard: 0, shards: 2 });
    shard.run([accountsFrame([accountOf(low), accountOf(second)])], TIME);
    expect(shard.run([transfersFrame([transferOf(1n, low, high)], 7)], TIME)).toEqual([]);
    return shard;
  }

  test('a digest in the midst of a group knows what was claimed in it', () => {
    const group = new Group();
    const machine = new StateMachine({ shard: 0, shards: 2, seed: 7 }, group);
    const run = (...frames: readonly Uint32Array[]): void => {
      group.reset(group.sequence + 1);
      for (const frame of frames) group.addRequest(frame, 0, frame.length);
      const at = group.addMessage(InputType.digest, 0, null);
      machine.want();
      machine.execute(Number(TIME), 0);
      digests.push([...group.words.subarray(at + Input.digest, at + Input.digest + 2)].join());
    };
    const digests: string[] = [];
    run(accountsFrame([accountOf(low), accountOf(second)]));
    run(transfersFrame([transferOf(1n, low, high)], 7));
    expect(machine.claimedCount).toBe(2);
    expect(new Set(digests).size).toBe(2);
  });

  test('a transfer across shards claims its account and id, and is answered when its walk has come back', () => {
    const shard = claimedShard();
    expect([
      shard.machine.claimedCount,
      shard.machine.walksUnderWay,
      shard.machine.parkedCount,
    ]).toEqual([2, 1, 0]);
    expect(shard.run([transfersFrame([transferOf(2n, low, second)], 8)], TIME)).toEqual([]);
    const free = shard.run([transfersFrame([transferOf(3n, second, second)], 9)], TIME);
    // `second` is awaited by the transfer before, so even what would fail waits.
    expect(free).toEqual([]);
    expect(shard.machine.parkedCount).toBe(2);
    const told = shard.run([], TIME, [failedWalk(TransferStatus.code_must_not_be_zero, 77n)]);
    expect(told.map(({ request, statuses }) => [request, statuses])).toEqual([
      [7, [TransferStatus.code_must_not_be_zero]],
      [8, [TransferStatus.created]],
      [9, [TransferStatus.accounts_must_be_different]],
    ]);
    expect(told[0]!.timestamps).toEqual([77n]);
    expect([
      shard.machine.claimedCount,
      shard.machine.walksUnderWay,
      shard.machine.parkedCount,
    ]).toEqual([0, 0, 0]);
    expect(shard.replayed().digest).toBe(shard.digest);
  });

  test('a post that does not name its accounts leaves those alone that a walk has claimed', () => {
    const shard = new OneShard({ shard: 0, shards: 2 });
    shard.run([accountsFrame([accountOf(low), accountOf(second)])], TIME);
    const pending = { ...transferOf(2n, second, low), flags: TransferFlags.pending };
    shard.run([transfersFrame([pending])], TIME);
    expect(shard.run([transfersFrame([transferOf(1n, low, high)], 7)], TIME)).toEqual([]);
    const post = { pendingId: 2n, flags: TransferFlags.postPendingTransfer, ledger: 0, code: 0 };
    const unnamed = { ...transferOf(3n, second, 0n), ...post };
    const [told] = shard.run([transfersFrame([unnamed])], TIME);
    expect(told!.statuses).toEqual([TransferStatus.pending_transfer_not_found]);
    const named = { ...transferOf(4n, second, low), ...post };
    expect(shard.run([transfersFrame([named], 8)], TIME)).toEqual([]);
    const free = shard.run([], TIME, [failedWalk(TransferStatus.code_must_not_be_zero, 77n)]);
    expect(free.at(-1)!.statuses).toEqual([TransferStatus.created]);
  });

  test('the clock moves past that of whoever sends a message', () => {
    const shard = claimedShard();
    const clock = shard.clock + 1_000_001n;
    shard.run([], 0n, [failedWalk(TransferStatus.code_must_not_be_zero, clock)]);
    expect(shard.clock).toBeGreaterThanOrEqual(clock);
    expect(shard.clock % 2n).toBe(0n);
  });

  test('what waited beyond its deadline is not started', () => {
    const shard = claimedShard();
    const batch = batchOfObjects(BatchKind.transfers, [transferOf(2n, low, second)]);
    const frame = requestFrame(InputType.createTransfers, batch, {
      request: 8,
      deadline: TIME * 2n,
    });
    expect(shard.run([frame], TIME)).toEqual([]);
    const told = shard.run([], TIME * 3n, [
      failedWalk(TransferStatus.code_must_not_be_zero, TIME * 3n),
    ]);
    expect(told.map(({ statuses }) => statuses)).toEqual([
      [TransferStatus.code_must_not_be_zero],
      [EventState.notStarted],
    ]);
    const [again] = shard.run([transfersFrame([transferOf(2n, low, second)], 9)], TIME);
    expect(again!.statuses).toEqual([TransferStatus.created]);
  });

  test('a walk that is late before it began is given up when there are turns, also while its account is claimed', () => {
    const shard = claimedShard();
    expect(shard.run([transfersFrame([transferOf(2n, second, high)], 8)], TIME)).toEqual([]);
    const batch = batchOfObjects(BatchKind.transfers, [transferOf(3n, second, high)]);
    for (const [request, deadline] of [[9, TIME * 2n] as const, [10, TIME * 4n] as const]) {
      const frame = requestFrame(InputType.createTransfers, batch, { request, deadline });
      expect(shard.run([frame], TIME)).toEqual([]);
    }
    const told = shard.run([], TIME * 3n, [failedWalk(TransferStatus.code_must_not_be_zero, TIME)]);
    expect(told.map(({ request, statuses }) => [request, statuses])).toEqual([
      [7, [TransferStatus.code_must_not_be_zero]],
      [9, [EventState.notStarted]],
    ]);
    expect(shard.machine.parkedCount).toBe(1);
    expect(shard.replayed().digest).toBe(shard.digest);
  });

  test('many that wait for one account have their turns in the order in which they came', () => {
    const shard = claimedShard();
    const many = 3000;
    const transfers = Array.from({ length: many }, (_, i) =>
      transferOf(BigInt(10 + i), i % 2 === 0 ? low : second, i % 2 === 0 ? second : low),
    );
    expect(shard.run([transfersFrame(transfers, 8)], TIME)).toEqual([]);
    expect(shard.machine.parkedCount).toBe(many);
    const told = shard.run([], TIME, [failedWalk(TransferStatus.code_must_not_be_zero, 77n)]);
    const { statuses, timestamps } = told.at(-1)!;
    expect(new Set(statuses)).toEqual(new Set([TransferStatus.created]));
    expect(timestamps).toEqual(timestamps.toSorted((a, b) => (a < b ? -1 : 1)));
    expect(shard.machine.claimedCount).toBe(0);
  });

  test('a message that comes twice, or before its turn, is a bug', () => {
    const shard = claimedShard();
    const message = failedWalk(TransferStatus.code_must_not_be_zero, 77n);
    expect(() => shard.run([], TIME, [{ ...message, number: 2 }])).toThrow('once and in order');
    const other = claimedShard();
    expect(() => other.run([], TIME, [message, message])).toThrow('once and in order');
  });
});
