/** Every peer does the same work, and answers what Sycee answers. Skipped by name where there is no server. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { open } from '../../client/in-process-client.ts';
import { AccountFlags } from '../../engine/flags.ts';
import { TransferStatus } from '../../engine/status.ts';
import { parseBenchArguments } from '../options.ts';
import { type Call, ID_BYTES, type PeerLedger, type PeerStart } from './ledger.ts';
import { NO_POSTGRESQL, startPostgresql } from './postgresql.ts';
import { NO_REDIS, startRedis } from './redis.ts';
import { findPostgresql, findRedis } from './servers.ts';
import { findTigerbeetle, NO_TIGERBEETLE, startTigerbeetle } from './tigerbeetle.ts';
import { takePeerTurn } from './turn.ts';

interface Peer {
  readonly start: (start: PeerStart) => Promise<PeerLedger>;
  readonly isThere: boolean;
  readonly missing: string;
}

const PEERS: Readonly<Record<string, Peer>> = {
  postgresql: {
    start: startPostgresql,
    isThere: findPostgresql() !== undefined,
    missing: NO_POSTGRESQL,
  },
  redis: { start: startRedis, isThere: findRedis() !== undefined, missing: NO_REDIS },
  tigerbeetle: {
    start: (start) => startTigerbeetle(start, findTigerbeetle()!),
    isThere: findTigerbeetle() !== undefined,
    missing: NO_TIGERBEETLE,
  },
};

/** More than what a server is given to start, which then says why. */
const START_TIMEOUT_MS = 70_000;

const [PLAIN, OTHER, DEBIT_LIMIT, CREDIT_LIMIT, FOREIGN, ABSENT] = [1, 2, 3, 4, 5, 6] as const;

interface Sent {
  readonly id: number;
  readonly debit?: number;
  readonly credit?: number;
  readonly amount?: number;
  readonly ledger?: number;
  readonly code?: number;
}

/** In this order, on one ledger. Accounts 3 and 4 have a limit each, 5 is of ledger 2, and 6 is not there. */
const SENT: readonly [Sent, keyof typeof TransferStatus][] = [
  [{ id: 1 }, 'created'],
  [{ id: 1 }, 'exists'],
  [{ id: 1, amount: 11 }, 'exists_with_different_amount'],
  [{ id: 1, debit: OTHER, credit: PLAIN }, 'exists_with_different_debit_account_id'],
  [{ id: 1, credit: CREDIT_LIMIT }, 'exists_with_different_credit_account_id'],
  [{ id: 1, code: 2 }, 'exists_with_different_code'],
  [{ id: 2, credit: PLAIN }, 'accounts_must_be_different'],
  [{ id: 2, debit: ABSENT }, 'debit_account_not_found'],
  [{ id: 3, credit: ABSENT }, 'credit_account_not_found'],
  [{ id: 4, credit: FOREIGN }, 'accounts_must_have_the_same_ledger'],
  [{ id: 5, ledger: 2 }, 'transfer_must_have_the_same_ledger_as_accounts'],
  [{ id: 6, debit: DEBIT_LIMIT }, 'exceeds_credits'],
  [{ id: 7, credit: DEBIT_LIMIT }, 'created'],
  [{ id: 8, debit: DEBIT_LIMIT, amount: 11 }, 'exceeds_credits'],
  [{ id: 9, debit: DEBIT_LIMIT }, 'created'],
  [{ id: 9, debit: DEBIT_LIMIT }, 'exists'],
  [{ id: 10, credit: CREDIT_LIMIT }, 'exceeds_debits'],
  [{ id: 11, debit: CREDIT_LIMIT, amount: 5 }, 'created'],
  [{ id: 12, credit: CREDIT_LIMIT, amount: 6 }, 'exceeds_debits'],
  [{ id: 13, credit: CREDIT_LIMIT, amount: 5 }, 'created'],
];
const CREATED = SENT.filter(([, status]) => status === 'created').length;
const EXPECTED = SENT.map(([, status]) => status);

const FULL = { debit: PLAIN, credit: OTHER, amount: 10, ledger: 1, code: 1 };

function ids(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * ID_BYTES);
  for (const [row, number] of numbers.entries()) {
    // The highest and the lowest bit of an id count as well.
    bytes.writeUInt8(number % 2 === 0 ? 0x81 : 1, row * ID_BYTES);
    bytes.writeUInt32BE(number, row * ID_BYTES + 12);
  }
  return bytes;
}

const numberOf = (id: Buffer): bigint => BigInt(`0x${id.toString('hex')}`);
const nameOf = (status: number): string =>
  Object.entries(TransferStatus).find(([, number]) => number === status)![0];

async function createAccounts(ledger: PeerLedger, offset: number): Promise<void> {
  const accounts = { ledger: 1, code: 1, flags: 0 };
  const own = (...numbers: readonly number[]): Buffer =>
    ids(...numbers.map((number) => number + offset));
  const { debitsMustNotExceedCredits, creditsMustNotExceedDebits } = AccountFlags;
  await ledger.createAccounts({ ...accounts, ids: own(PLAIN, OTHER) });
  const limited = [
    [DEBIT_LIMIT, debitsMustNotExceedCredits],
    [CREDIT_LIMIT, creditsMustNotExceedDebits],
  ] as const;
  for (const [account, flags] of limited) {
    await ledger.createAccounts({ ...accounts, ids: own(account), flags });
  }
  await ledger.createAccounts({ ...accounts, ids: own(FOREIGN), ledger: 2 });
}

/** Accounts and transfers of one test, which have the server to themselves. */
class Own {
  readonly #ledger: PeerLedger;
  readonly #offset: number;
  readonly #before: number;

  constructor(ledger: PeerLedger, offset: number, before: number) {
    this.#ledger = ledger;
    this.#offset = offset;
    this.#before = before;
  }

  static async make(ledger: PeerLedger, offset: number): Promise<Own> {
    await createAccounts(ledger, offset);
    return new Own(ledger, offset, await ledger.countTransfers());
  }

  ids(...numbers: readonly number[]): Buffer {
    return ids(...numbers.map((number) => number + this.#offset));
  }

  prepare(all: readonly Sent[]): Call {
    const full = all.map((sent) => ({ ...FULL, ...sent }));
    return this.#ledger.prepare({
      debits: this.ids(...full.map(({ debit }) => debit)),
      credits: this.ids(...full.map(({ credit }) => credit)),
      amounts: full.map(({ amount }) => amount),
      ledger: full[0]!.ledger,
      code: full[0]!.code,
      flags: 0,
    });
  }

  async count(): Promise<number> {
    return (await this.#ledger.countTransfers()) - this.#before;
  }

  /** Transfers, debits, and credits. */
  async end(): Promise<readonly unknown[]> {
    const four = this.ids(PLAIN, OTHER, DEBIT_LIMIT, CREDIT_LIMIT);
    const { debits, credits, pending } = await this.#ledger.balances(four);
    return [await this.count(), [...debits], [...credits], pending];
  }
}

const END = [CREATED, [25, 0, 10, 5], [0, 25, 10, 5], 0];

test('Sycee answers the list as the list says', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'sycee-peer-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  await using client = await open({ directory: path.join(directory, 'ledger'), shards: 1 });
  const flags = [0, 0, 2, 4, 0];
  await client.createAccounts(
    flags.map((one, i) => ({
      id: numberOf(ids(i + 1)),
      ledger: i === 4 ? 2 : 1,
      code: 1,
      flags: one,
    })),
  );
  const answered: string[] = [];
  for (const [sent] of SENT) {
    const { id, debit, credit, amount, ledger, code } = { ...FULL, ...sent };
    const { results } = await client.createTransfers([
      {
        id: numberOf(ids(id)),
        debitAccountId: numberOf(ids(debit)),
        creditAccountId: numberOf(ids(credit)),
        amount: BigInt(amount),
        ledger,
        code,
      },
    ]);
    answered.push(results[0]!.status);
  }
  expect(answered.map((status) => status.replace('id_already_failed', 'exceeds'))).toEqual(
    EXPECTED,
  );
});

describe.for(Object.keys(PEERS))('%s', (name) => {
  const { start, isThere, missing } = PEERS[name]!;
  let ledger: PeerLedger;
  let above: string;

  beforeAll(async () => {
    if (!isThere) return;
    above = await mkdtemp(path.join(tmpdir(), 'sycee-peer-'));
    const directory = path.join(above, 'turn');
    await mkdir(directory);
    ledger = await start({ directory, clients: 2, batch: 20 });
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    if (!isThere) return;
    await ledger.stop();
    await rm(above, { recursive: true });
  });

  test.for([1, 20])('a turn with requests of %d verifies', async (batch, context) => {
    if (!isThere) context.skip(missing);
    const before = await ledger.countTransfers();
    // The server stays for the other tests, and the accounts of the two turns differ by the seed.
    const shared: PeerLedger = {
      createAccounts: (accounts) => ledger.createAccounts(accounts),
      prepare: (transfers) => ledger.prepare(transfers),
      balances: (all) => ledger.balances(all),
      countTransfers: async () => (await ledger.countTransfers()) - before,
      stop: () => Promise.resolve(),
    };
    const line = `peers --accounts 50 --seconds 0.5 --warm-up 0 --seed ${batch}`;
    const asked = parseBenchArguments(line.split(' '));
    if (asked.type !== 'run') throw new Error('not a run');
    const options = asked.all[0]!;
    const { signal } = new AbortController();
    const turn = await takePeerTurn(
      { options, directory: above, signal, say: () => undefined },
      { shape: 'uniform', system: 'redis', form: '', clients: 2, batch },
      () => Promise.resolve(shared),
    );
    expect(turn.complaints).toEqual([]);
    expect(turn.transfers).toBeGreaterThan(0);
  });

  test('answers one call after the other as Sycee does', async (context) => {
    if (!isThere) context.skip(missing);
    const own = await Own.make(ledger, 1_000);
    const answered: string[] = [];
    for (const [sent] of SENT) {
      const statuses = await own.prepare([sent])(0, own.ids(sent.id));
      answered.push(nameOf(statuses === null ? 0 : statuses[0]!));
    }
    expect(answered).toEqual(EXPECTED);
    expect(await own.end()).toEqual(END);
  });

  test('answers many in a request as it answers them alone', async (context) => {
    if (!isThere) context.skip(missing);
    const own = await Own.make(ledger, 2_000);
    // A request has one ledger and one code.
    const some = SENT.filter(([sent]) => sent.ledger === undefined && sent.code === undefined);
    const call = own.prepare(some.map(([sent]) => sent));
    const statuses = await call(0, own.ids(...some.map(([{ id }]) => id)));
    expect(statuses?.map(nameOf)).toEqual(some.map(([, status]) => status));
    expect(await own.end()).toEqual(END);
  });

  test('a batch that meets no limit goes at once, and again is all there', async (context) => {
    if (!isThere) context.skip(missing);
    const own = await Own.make(ledger, 3_000);
    const call = own.prepare([
      { id: 1 },
      { id: 2, debit: OTHER, credit: PLAIN },
      { id: 3, credit: DEBIT_LIMIT },
    ]);
    expect(await call(1, own.ids(1, 2, 3))).toBeNull();
    const again = await Promise.all([call(0, own.ids(1, 2, 3)), call(1, own.ids(1, 2, 3))]);
    expect(again.flatMap((statuses) => statuses!.map(nameOf))).toEqual(Array(6).fill('exists'));
    expect(await own.count()).toBe(3);
  });
});
