/**
 * Makes a golden directory, of the format that the program writes now: `sh scripts/with-node.sh test/golden/make-golden.ts [TARGET]`. One that is there is
 * never made again, see docs/testing.md.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AccountFlags, TransferFlags } from '../../engine/flags.ts';
import { DIRECTORY_FORMAT, type DirectoryMeta } from '../../persistence/data-directory.ts';
import { copyDirectory } from '../support/damaged-directory.ts';
import { arrived, type GoldenFacts } from '../support/golden-facts.ts';
import { GOLDEN_NOW } from '../support/golden-name.ts';
import { GoldenWorld, type PlannedBatch } from '../support/golden-world.ts';
import type { TransferInput } from '../support/model-ledger.ts';
import { idOn } from '../support/one-shard.ts';

const SHARDS = 2;
const START = Date.UTC(2026, 0, 1);
const NS = 1_000_000n;
const U128_MAX = 2n ** 128n - 1n;
const MARGIN = 3_600_000_000_000n;

const {
  linked,
  pending,
  postPendingTransfer: post,
  voidPendingTransfer: voids,
  balancingDebit,
  balancingCredit,
  closingDebit,
  closingCredit,
  imported,
} = TransferFlags;
const is = AccountFlags;

/** Names that the plan has for accounts: a letter for what it is, and the shard on which it lies. */
const KINDS = ['bank', 'plain', 'frugal', 'owing', 'history', 'closing', 'old', 'chain', 'closed'];
const id = (kind: string, shard: number): bigint => idOn(shard, SHARDS, KINDS.indexOf(kind) + 1);

/** Whatever the plan uses. */
const TRANSFER_IDS = [...Array.from({ length: 130 }, (_, i) => BigInt(100 + i)), U128_MAX - 1n];

/** The clock of every program that writes times of its own into files. */
class StandingDate extends Date {
  constructor(time: number | string = START) {
    super(time);
  }
}

function accounts(): PlannedBatch {
  const of = (kind: string, flags: number, more: object = {}) =>
    [0, 1].map((shard) => ({ id: id(kind, shard), ledger: 7, code: 10, flags, ...more }));
  const words = {
    userData128: 2n ** 127n + 3n,
    userData64: 2n ** 63n + 5n,
    userData32: 0x80000007,
  };
  return {
    type: 'accounts',
    events: [
      ...of('bank', 0),
      ...of('plain', 0, words),
      ...of('frugal', is.debitsMustNotExceedCredits | is.history),
      ...of('owing', is.creditsMustNotExceedDebits),
      ...of('history', is.history),
      ...of('closing', 0),
      ...of('closed', is.closed),
      { id: id('bank', 0), ledger: 8, code: 10, status: 'exists_with_different_ledger' },
    ],
  };
}

function importedAccounts(at: bigint): PlannedBatch {
  return {
    type: 'accounts',
    events: [0, 1].map((shard) => ({
      id: id('old', shard),
      ledger: 7,
      code: 11,
      flags: is.imported,
      timestamp: at + BigInt(shard),
    })),
  };
}

function linkedAccounts(): PlannedBatch {
  const one = { ledger: 7, code: 12 };
  return {
    type: 'accounts',
    events: [
      { ...one, id: id('chain', 0), flags: is.linked },
      { ...one, id: id('chain', 1) },
      { ...one, id: 9001n, flags: is.linked, status: 'linked_event_failed' },
      { ...one, id: 9002n, ledger: 0, status: 'ledger_must_not_be_zero' },
    ],
  };
}

type Sides = readonly [kind: string, shard: number];

function transfer(
  number: number,
  [from, to]: readonly [Sides, Sides],
  amount: bigint,
  more: Partial<TransferInput> & { readonly status?: string } = {},
) {
  const sides = { debitAccountId: id(...from), creditAccountId: id(...to) };
  return { id: BigInt(number), ...sides, amount, ledger: 7, code: 20, ...more };
}

/** A post or a void that names its pending transfer alone. */
function ending(number: number, pendingId: number, flags: number, amount = 0n) {
  const none = { debitAccountId: 0n, creditAccountId: 0n, ledger: 0, code: 0 };
  return { id: BigInt(number), ...none, pendingId: BigInt(pendingId), amount, flags };
}

const transfers = (...events: (PlannedBatch & { type: 'transfers' })['events'][number][]) =>
  ({ type: 'transfers', events }) as const;

const bank = (shard: number): Sides => ['bank', shard];

function firstLife(world: GoldenWorld): void {
  // From before its time; so it comes first.
  world.run(importedAccounts(world.time - MARGIN));
  const stamp = world.time - MARGIN / 2n;
  world.run(
    transfers(
      transfer(
        181,
        [
          ['old', 0],
          ['old', 1],
        ],
        5n,
        { flags: imported, timestamp: stamp },
      ),
      transfer(
        182,
        [
          ['old', 1],
          ['old', 0],
        ],
        2n,
        { flags: imported, timestamp: stamp + 2n },
      ),
    ),
  );
  world.run(accounts());
  world.run(linkedAccounts());
  // Plain ones on one shard and between the two, with user data and the largest id.
  world.run(
    transfers(
      transfer(101, [bank(0), ['plain', 0]], 1000n, { userData64: 2n ** 64n - 1n, userData32: 9 }),
      transfer(102, [bank(0), ['frugal', 0]], 100n, { userData128: 2n ** 128n - 1n }),
      transfer(103, [bank(1), ['frugal', 1]], 100n),
      transfer(104, [['owing', 0], bank(0)], 50n),
      { ...transfer(105, [bank(1), ['history', 1]], 2n ** 100n), id: U128_MAX - 1n },
    ),
  );
  world.run(
    transfers(
      transfer(
        111,
        [
          ['plain', 0],
          ['plain', 1],
        ],
        400n,
      ),
    ),
  );
  world.run(
    transfers(
      transfer(
        112,
        [
          ['plain', 1],
          ['history', 0],
        ],
        30n,
      ),
    ),
  );
  // Refused, once for good and once so that the id is burnt.
  world.run(
    transfers(
      transfer(121, [['frugal', 0], bank(0)], 101n, { status: 'exceeds_credits' }),
      transfer(121, [['frugal', 0], bank(0)], 1n, { status: 'id_already_failed' }),
      transfer(101, [bank(0), ['plain', 0]], 999n, { status: 'exists_with_different_amount' }),
      transfer(122, [bank(0), ['closed', 0]], 1n, { status: 'credit_account_already_closed' }),
    ),
  );
  // Pending: to be posted in full and in part, voided, expired, and left open, on one shard and between the two.
  world.run(
    transfers(
      transfer(131, [bank(0), ['history', 0]], 11n, { flags: pending, userData32: 31 }),
      transfer(132, [bank(0), ['history', 0]], 12n, { flags: pending }),
      transfer(133, [bank(0), ['frugal', 0]], 13n, { flags: pending }),
      transfer(134, [bank(0), ['plain', 0]], 14n, { flags: pending, timeout: 60, userData64: 34n }),
      transfer(135, [bank(0), ['plain', 0]], 15n, { flags: pending, timeout: 86_400 }),
    ),
  );
  world.run(
    transfers(
      transfer(
        141,
        [
          ['plain', 0],
          ['history', 1],
        ],
        21n,
        { flags: pending },
      ),
    ),
  );
  world.run(
    transfers(
      transfer(
        142,
        [
          ['plain', 1],
          ['frugal', 0],
        ],
        22n,
        { flags: pending, timeout: 60 },
      ),
    ),
  );
  world.run(transfers(ending(151, 131, post, U128_MAX), ending(152, 132, post, 5n)));
  world.run(transfers(ending(153, 133, voids)));
  world.run(transfers(ending(154, 141, post, 20n)));
  world.advance(61);
  world.run(transfers({ ...ending(155, 134, post, U128_MAX), status: 'pending_transfer_expired' }));
  // Chains: one that holds, between the shards, and one that breaks.
  world.run(
    transfers(
      transfer(161, [bank(0), ['chain', 1]], 7n, { flags: linked }),
      transfer(
        162,
        [
          ['chain', 1],
          ['chain', 0],
        ],
        6n,
      ),
    ),
  );
  world.run(
    transfers(
      transfer(163, [bank(0), ['chain', 0]], 8n, { flags: linked, status: 'linked_event_failed' }),
      transfer(164, [['frugal', 0], bank(0)], 5000n, { status: 'exceeds_credits' }),
    ),
  );
  // Balancing takes what there is; closing closes, and a void of it opens again.
  world.run(transfers(transfer(171, [['frugal', 0], bank(0)], 70n, { flags: balancingDebit })));
  world.run(
    transfers(
      transfer(
        172,
        [
          ['frugal', 1],
          ['owing', 0],
        ],
        999n,
        { flags: balancingDebit | balancingCredit },
      ),
    ),
  );
  world.run(
    transfers(transfer(173, [['closing', 0], bank(0)], 0n, { flags: pending | closingDebit })),
  );
  world.run(
    transfers(transfer(174, [bank(0), ['closing', 1]], 0n, { flags: pending | closingCredit })),
  );
  world.run(transfers(ending(175, 174, voids)));
}

/** Ends in the middle: shard 0 has sent what shard 1 has not taken, and more waits behind it. */
function secondLife(world: GoldenWorld): void {
  world.run(transfers(transfer(201, [bank(0), ['plain', 0]], 3n)));
  // Taken at once: the second one goes with the walk of the first.
  world.ask(transfers(transfer(202, [bank(0), bank(1)], 6n)));
  world.ask(transfers(transfer(203, [['plain', 0], bank(0)], 2n)));
  world.advance(0);
  world.ask(
    transfers(
      transfer(
        211,
        [
          ['plain', 0],
          ['history', 1],
        ],
        17n,
        { flags: linked },
      ),
      transfer(
        212,
        [
          ['history', 0],
          ['plain', 0],
        ],
        2n,
      ),
    ),
  );
  world.step(0);
  world.ask(transfers(transfer(213, [['history', 0], bank(0)], 1n)));
  world.step(0);
}

async function make(target: string): Promise<void> {
  if (existsSync(target)) {
    throw new Error(
      `${target} is there: a golden directory is never changed. Add one for a new format.`,
    );
  }
  globalThis.Date = StandingDate as DateConstructor;
  const scratch = mkdtempSync(join(tmpdir(), 'sycee-golden-'));
  const directory = join(scratch, 'ledger');
  const meta: DirectoryMeta = {
    format: DIRECTORY_FORMAT,
    clusterId: '90'.repeat(16),
    shards: SHARDS,
    seed: 0x5eed0003,
    created: new Date().toISOString(),
  };
  using world = new GoldenWorld(directory, meta, BigInt(START) * NS);
  firstLife(world);
  const snapshots: number[][] = [[world.snapshot(0)], [world.snapshot(1)]];
  world.restart();
  secondLife(world);
  snapshots[0]!.push(world.snapshot(0));
  world.ask(transfers(transfer(221, [bank(0), ['plain', 0]], 4n)));
  world.step(0);
  mkdirSync(target, { recursive: true });
  world.copyTo(join(target, 'ledger'));
  const shards = world.heads().map((head, shard) => ({ ...head, snapshots: snapshots[shard]! }));
  const copy = `${directory}-arrived`;
  copyDirectory(directory, copy);
  const names = KINDS.flatMap((kind) =>
    [0, 1].map((shard) => [`${kind} of shard ${shard}`, id(kind, shard)] as const),
  );
  const ids = { accounts: new Map(names), transfers: TRANSFER_IDS };
  const found = await arrived(copy, world.time, ids);
  const facts: GoldenFacts = { time: String(world.time), shards, burnt: '121', ...found };
  writeFileSync(join(target, 'facts.json'), `${JSON.stringify(facts, undefined, 2)}\n`);
  rmSync(scratch, { recursive: true });
}

await make(process.argv[2] ?? join(import.meta.dirname, GOLDEN_NOW));
