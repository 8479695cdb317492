/** The cells of tables: names that become ids, numbers, flags, and instants. */
import { assert } from '../../engine/assert.ts';
import { SECOND, U128_MAX } from './ledger-records.ts';
import type { AccountInput, ShardOf, TransferInput } from './ledger-records.ts';

export interface TableRow {
  readonly line: number;
  readonly text: string;
  readonly cells: Cells;
}

export type Cells = Readonly<Record<string, string>>;

/** Tables that run on one system keep apart by their number: each has its own ids. */
export interface TableRun {
  readonly table: number;
  readonly shards: number;
  readonly shardOf: ShardOf;
  /** The shard of the first owner; the next owner is on the shard after it. */
  readonly firstShard?: number;
  /** Turns the system's clock, and resolves when all that is then due has expired. Tables that wait need it. */
  readonly advance?: (seconds: number) => Promise<void>;
}

const ACCOUNT_FLAGS: Readonly<Record<string, number>> = {
  linked: 1,
  debits_must_not_exceed_credits: 2,
  credits_must_not_exceed_debits: 4,
  history: 8,
  imported: 16,
  closed: 32,
};
const TRANSFER_FLAGS: Readonly<Record<string, number>> = {
  linked: 1,
  pending: 2,
  post: 4,
  void: 8,
  balancing_debit: 16,
  balancing_credit: 32,
  closing_debit: 64,
  closing_credit: 128,
  imported: 256,
};

/** Ids for names: never the same for two tables, and on the shards that the table wants. */
export class Names {
  /** The timestamp of the first event that the table created. */
  start: bigint | null = null;
  readonly #run: TableRun;
  readonly #ids = new Map<string, bigint>();
  readonly #owners: string[] = [];

  constructor(run: TableRun) {
    this.#run = run;
  }

  account(name: string): bigint {
    const known = this.#ids.get(name);
    if (known !== undefined || !isName(name)) return known ?? bigintOf(name);
    const { shards, shardOf, firstShard = 0 } = this.#run;
    const owner = name.split('.')[0]!;
    if (!this.#owners.includes(owner)) this.#owners.push(owner);
    const wanted = (firstShard + this.#owners.indexOf(owner)) % shards;
    let id = this.#fresh();
    while (shardOf(id) !== wanted) id++;
    this.#ids.set(name, id);
    return id;
  }

  transfer(name: string | undefined): bigint {
    return this.#named('transfer', name);
  }

  /** What several rows are found by. */
  tag(name: string | undefined): bigint {
    return this.#named('tag', name);
  }

  /** The name of a transfer of this table, or its id. */
  nameOf(id: bigint): string {
    const key = [...this.#ids].find(([name, one]) => name.startsWith('transfer ') && one === id);
    return key?.[0].slice('transfer '.length) ?? String(id);
  }

  has(transferId: bigint): boolean {
    return this.nameOf(transferId) !== String(transferId);
  }

  /** `start+3` is three seconds after the first event that the table created. */
  instant(cell: string | undefined): bigint {
    const seconds = /^start(?:\+(\d+))?$/.exec(cell ?? '');
    if (seconds === null) return bigintOf(cell);
    assert(this.start !== null, 'a table that names its start has created something');
    return this.start + BigInt(seconds[1] ?? 0) * SECOND;
  }

  #named(kind: string, name: string | undefined): bigint {
    if (!isName(name)) return bigintOf(name);
    const key = `${kind} ${name}`;
    if (!this.#ids.has(key)) this.#ids.set(key, this.#fresh());
    return this.#ids.get(key)!;
  }

  /** Room for 1,000 names in a table, and for 1,000 tries for each. */
  #fresh(): bigint {
    return BigInt(this.#run.table + 1) * 1_000_000n + BigInt(this.#ids.size) * 1000n;
  }
}

function isName(cell: string | undefined): cell is string {
  return cell !== undefined && /^[a-z]/.test(cell) && !cell.startsWith('max');
}

export function numberOf(cell: string): bigint {
  const parts = /^(max|\d[\d_,]*)(?:\^(\d+))?(?:([+-])(\d+))?$/.exec(cell);
  assert(parts !== null, () => `not a number: ${cell}`);
  const [, first, power, sign, second] = parts;
  const whole = first === 'max' ? U128_MAX : BigInt(first!.replace(/[_,]/g, ''));
  const value = power === undefined ? whole : whole ** BigInt(power);
  return value + BigInt(`${sign ?? '+'}${second ?? '0'}`.replace('+', ''));
}

export const bigintOf = (cell: string | undefined): bigint => (cell ? numberOf(cell) : 0n);
export const smallOf = (cell: string | undefined, otherwise = 0): number =>
  cell ? Number(numberOf(cell)) : otherwise;

function flagsOf(cell: string | undefined, known: Readonly<Record<string, number>>): number {
  const names = (cell ?? '').split(' ').filter(Boolean);
  return names.reduce((flags, one) => flags | (known[one] ?? Number(numberOf(one))), 0);
}

export function accountOf(cells: Cells, names: Names): AccountInput {
  return {
    ...sharedOf(cells, names),
    flags: flagsOf(cells['flags'], ACCOUNT_FLAGS),
    id: names.account(cells['id']!),
    debitsPending: bigintOf(cells['debits_pending']),
    debitsPosted: bigintOf(cells['debits_posted']),
    creditsPending: bigintOf(cells['credits_pending']),
    creditsPosted: bigintOf(cells['credits_posted']),
    reserved: smallOf(cells['reserved']),
  };
}

/** A post or void whose ledger or code is left out leaves it to its pending transfer. */
export function transferOf(cells: Cells, names: Names): TransferInput {
  const flags = transferFlagsOf(cells['flags']);
  const otherwise = (flags & (TRANSFER_FLAGS['post']! | TRANSFER_FLAGS['void']!)) === 0 ? 1 : 0;
  return {
    ...sharedOf(cells, names, otherwise),
    flags,
    id: names.transfer(cells['id']),
    debitAccountId: names.account(cells['debit']!),
    creditAccountId: names.account(cells['credit']!),
    amount: bigintOf(cells['amount']),
    pendingId: names.transfer(cells['pending_id']),
    timeout: smallOf(cells['timeout']),
  };
}

export function transferFlagsOf(cell: string | undefined): number {
  return flagsOf(cell, TRANSFER_FLAGS);
}

/** The fields that both kinds of events share. */
function sharedOf(cells: Cells, names: Names, otherwise = 1) {
  return {
    userData128: names.tag(cells['user_data_128']),
    userData64: bigintOf(cells['user_data_64']),
    userData32: smallOf(cells['user_data_32']),
    ledger: smallOf(cells['ledger'], otherwise),
    code: smallOf(cells['code'], otherwise),
    timestamp: names.instant(cells['timestamp']),
  };
}

export function fail(row: TableRow, actual: string): never {
  throw new Error(`table line ${row.line}: the system says ${actual}\n  ${row.text}`);
}
