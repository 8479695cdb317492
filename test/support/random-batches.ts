/**
 * Seeded batches that look for trouble: a few accounts, some of them limited, some never created, on two ledgers; ids that come again, the same
 * or with one field changed; fields that no rule lets through. Defined flags of later parts do not occur, as the edge refuses them.
 *
 * `eachSeed` runs a test for each seed and names the failing one with the command that runs it again.
 */
import { Prng } from '../../lib/prng.ts';
import { U128_MAX, type AccountInput, type ShardOf, type TransferInput } from './model-ledger.ts';

export interface RandomBatchesOptions {
  readonly seed: number;
  /** Amounts near 2^128. Only for one shard: commuting events of a batch may change places over several. */
  readonly hasOverflows?: boolean;
  readonly accountCount?: number;
  /** Accounts lie on one shard after the other, so that few of them use all shards. */
  readonly placement?: { readonly shards: number; readonly shardOf: ShardOf };
  /** What the batches are mostly about: the rules of single events, or clients that want the same money. */
  readonly mix?: keyof typeof MIXES;
}

/** Percentages but for the two maxima. */
const MIXES = {
  rules: {
    firstAccounts: 85,
    firstLedger: 85,
    accountBatches: 12,
    newAccounts: 30,
    accountChanges: 50,
    again: 20,
    transferChanges: 8,
    firstLedgerTransfers: 90,
    largeAmounts: 5,
    amountMax: 100,
    recentMax: 200,
  },
  contention: {
    firstAccounts: 80,
    firstLedger: 100,
    accountBatches: 7,
    newAccounts: 0,
    accountChanges: 20,
    again: 12,
    transferChanges: 2,
    firstLedgerTransfers: 99,
    largeAmounts: 0,
    amountMax: 5,
    recentMax: 10,
  },
} as const;

export type RandomBatch =
  | { readonly type: 'accounts'; readonly events: readonly AccountInput[] }
  | { readonly type: 'transfers'; readonly events: readonly TransferInput[] };

const SMALL_BATCH_MAX = 60;
const LARGE_BATCH_MIN = 2000;
const LARGE_BATCH_MAX = 2600;
const FLAGS = [0, 0, 0, 2, 2, 4];

export class RandomBatches {
  readonly accountIds: readonly bigint[];
  readonly #prng: Prng;
  readonly #hasOverflows: boolean;
  readonly #accounts: readonly AccountInput[];
  /** Events that were sent, the newest ones: an id that comes again is taken from here. */
  readonly #recent: TransferInput[] = [];
  readonly #placement: NonNullable<RandomBatchesOptions['placement']>;
  readonly #mix: (typeof MIXES)[keyof typeof MIXES];
  #nextTransferId = 1n;
  #isFirst = true;

  constructor(options: RandomBatchesOptions) {
    const { seed, hasOverflows = false, accountCount, mix = 'rules', placement } = options;
    this.#prng = new Prng(seed);
    this.#hasOverflows = hasOverflows;
    this.#mix = MIXES[mix];
    this.#placement = placement ?? { shards: 1, shardOf: () => 0 };
    const count = accountCount ?? this.#prng.between(4, 16);
    this.#accounts = Array.from({ length: count }, (_, i) => this.#newAccount(i));
    this.accountIds = this.#accounts.map(({ id }) => id);
  }

  /** The first batch creates most of the accounts; then mostly transfers. */
  next(size: number = this.#batchSize()): RandomBatch {
    if (this.#isFirst) {
      this.#isFirst = false;
      const some = this.#accounts.filter(() => this.#prng.chance(this.#mix.firstAccounts));
      return { type: 'accounts', events: some.length > 0 ? some : this.#accounts };
    }
    if (this.#prng.chance(this.#mix.accountBatches)) {
      const count = Math.min(size, SMALL_BATCH_MAX);
      return {
        type: 'accounts',
        events: Array.from({ length: count }, () => this.#accountEvent()),
      };
    }
    return { type: 'transfers', events: Array.from({ length: size }, () => this.#transfer()) };
  }

  #transfer(): TransferInput {
    const old = this.#recent.length > 0 && this.#prng.chance(this.#mix.again);
    const event = old ? this.#again(this.#prng.pick(this.#recent)) : this.#newTransfer();
    const { recentMax } = this.#mix;
    if (this.#recent.length < recentMax) this.#recent.push(event);
    else this.#recent[this.#prng.below(recentMax)] = event;
    return event;
  }

  #batchSize(): number {
    if (this.#prng.chance(2)) return this.#prng.between(LARGE_BATCH_MIN, LARGE_BATCH_MAX);
    return this.#prng.chance(30) ? 1 : this.#prng.between(2, SMALL_BATCH_MAX);
  }

  #newAccount(i: number): AccountInput {
    const prng = this.#prng;
    // Small ids, and ids whose words are all in use.
    let id = prng.chance(50) ? BigInt(i + 1) : (prng.bits(96) << 32n) + BigInt(i + 1);
    const { shards, shardOf } = this.#placement;
    while (shardOf(id) !== i % shards) id += 100n;
    return {
      id,
      ledger: prng.chance(this.#mix.firstLedger) ? 1 : 2,
      code: prng.between(1, 3),
      flags: prng.pick(FLAGS),
      userData128: prng.chance(20) ? prng.bits(128) : 0n,
      userData64: prng.chance(20) ? prng.bits(64) : 0n,
      userData32: prng.chance(20) ? prng.uint32() : 0,
    };
  }

  #accountEvent(): AccountInput {
    const prng = this.#prng;
    const known = prng.pick(this.#accounts);
    // Accounts that no transfer names: new ones, so that the rules for new ones apply.
    const isNew = prng.chance(this.#mix.newAccounts);
    const account = isNew ? { ...known, id: BigInt(prng.between(5000, 5200)) } : known;
    if (!prng.chance(this.#mix.accountChanges)) return account;
    const change = this.#accountChange();
    return prng.chance(20)
      ? { ...account, ...change, ...this.#accountChange() }
      : { ...account, ...change };
  }

  #accountChange(): Partial<AccountInput> {
    const prng = this.#prng;
    switch (prng.below(14)) {
      case 0:
        return { id: prng.pick([0n, U128_MAX]) };
      case 1:
        return { flags: prng.pick([0, 2, 4, 6, 64, 66, 32768]) };
      case 2:
        return { userData128: prng.bits(128) };
      case 3:
        return { userData64: prng.bits(64) };
      case 4:
        return { userData32: prng.uint32() };
      case 5:
        return { ledger: prng.below(4) };
      case 6:
        return { code: prng.below(4) };
      case 7:
        return { reserved: 1 };
      case 8:
        return { timestamp: 1n };
      case 9:
        return { debitsPending: 1n };
      case 10:
        return { debitsPosted: prng.bits(128) };
      case 11:
        return { creditsPending: U128_MAX };
      case 12:
        return { creditsPosted: 1n << 64n };
      default:
        return { code: 0, ledger: 0 };
    }
  }

  #newTransfer(): TransferInput {
    const prng = this.#prng;
    const debitAccountId = prng.pick(this.accountIds);
    // Mostly two different accounts, sometimes the same one twice.
    const others = this.accountIds.filter((id) => id !== debitAccountId || prng.chance(5));
    const event = {
      id: this.#nextTransferId++,
      debitAccountId,
      creditAccountId: prng.pick(others),
      amount: this.#amount(),
      ledger: prng.chance(this.#mix.firstLedgerTransfers) ? 1 : 2,
      code: prng.between(1, 3),
      userData128: prng.chance(10) ? prng.bits(128) : 0n,
      userData64: prng.chance(10) ? prng.bits(64) : 0n,
      userData32: prng.chance(10) ? prng.uint32() : 0,
    };
    return prng.chance(this.#mix.transferChanges) ? { ...event, ...this.#transferChange() } : event;
  }

  /** A known id: as it was, or with one field changed. */
  #again(event: TransferInput): TransferInput {
    if (this.#prng.chance(50)) return event;
    const changed = { ...event, ...this.#transferChange() };
    return this.#prng.chance(20) ? { ...changed, ...this.#transferChange() } : changed;
  }

  #transferChange(): Partial<TransferInput> {
    const prng = this.#prng;
    switch (prng.below(13)) {
      case 0:
        return { id: prng.pick([0n, U128_MAX]) };
      case 1:
        return { flags: prng.pick([512, 32768]) };
      case 2:
        return { debitAccountId: prng.pick([0n, U128_MAX, 999_999n, ...this.accountIds]) };
      case 3:
        return { creditAccountId: prng.pick([0n, U128_MAX, 999_999n, ...this.accountIds]) };
      case 4:
        return { amount: this.#amount() };
      case 5:
        return { pendingId: prng.pick([1n, U128_MAX, prng.bits(128)]) };
      case 6:
        return { timeout: 1 };
      case 7:
        return { userData128: prng.bits(128) };
      case 8:
        return { userData64: prng.bits(64) };
      case 9:
        return { userData32: prng.uint32() };
      case 10:
        return { ledger: prng.below(4) };
      case 11:
        return { code: prng.below(4) };
      default:
        return { timestamp: prng.pick([1n, 2n ** 64n - 1n]) };
    }
  }

  #amount(): bigint {
    const prng = this.#prng;
    if (this.#hasOverflows && prng.chance(6)) {
      return prng.pick([U128_MAX, U128_MAX - 1n, 1n << 127n, U128_MAX - BigInt(prng.below(200))]);
    }
    if (prng.chance(this.#mix.largeAmounts)) return prng.bits(64) << 8n;
    return BigInt(prng.chance(10) ? 0 : prng.between(1, this.#mix.amountMax));
  }
}

/** Seeds of a run: SEED=7 is that one alone, SEEDS=500 the first 500, otherwise so many as the test asks for. */
export function seedsOf(count: number): readonly number[] {
  const { SEED: seed, SEEDS: seeds } = process.env as { SEED?: string; SEEDS?: string };
  if (seed !== undefined) return [Number(seed)];
  return Array.from({ length: seeds === undefined ? count : Number(seeds) }, (_, i) => i + 1);
}

/** Runs a test for each seed. A failure names the seed and the command that runs it again. */
export async function eachSeed(
  count: number,
  file: string,
  run: (seed: number) => Promise<void>,
): Promise<void> {
  for (const seed of seedsOf(count)) {
    try {
      await run(seed);
    } catch (error: unknown) {
      const again = `SEED=${seed} npm run test:system -- ${file}`;
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`seed ${seed}: ${reason}\nrun it again: ${again}`, { cause: error });
    }
  }
}
