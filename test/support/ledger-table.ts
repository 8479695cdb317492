/**
 * Ledger rules as tables: one row per event, the expected status in the last column, then the balances.
 *
 *     accounts  | id    | flags                          | status
 *               | bank  |                                | created
 *               | alice | debits_must_not_exceed_credits | created
 *     commit
 *     transfers | id     | debit | credit | amount | status
 *               | salary | bank  | alice  | 100    | created
 *               | rent   | alice | bank   | 101    | exceeds_credits
 *     commit
 *     balances  | account | debits | credits
 *               | bank    | 100    | 0
 *               | alice   | 0      | 100
 *     lookups   | transfer | debit | credit | amount | lookup
 *               | salary   | bank  | alice  | 100    | found
 *               | rent     |       |        |        | missing
 *
 * The rows down to a `commit` are one batch. An empty cell is the field's default: ledger 1 and code 1, else 0. Ids are names; `bank` and
 * `bank.fees` lie on one shard, other owners on one shard after the other. Numbers may be written `max` (2^128-1), `2^64-1`, `max-5`. A column
 * `beats` names a rule of lower precedence that the event breaks as well. After `#` comes a comment. That `exists` brings the original's
 * timestamp is checked in every table.
 */
import { assert } from '../../engine/assert.ts';
import { U128_MAX, type ShardOf } from './model-ledger.ts';
import type {
  AccountInput,
  Result,
  StoredAccount,
  Transfer,
  TransferInput,
} from './model-ledger.ts';

/** What a table needs of a client of the system. */
export interface LedgerClient {
  createAccounts(events: readonly AccountInput[]): Promise<{ readonly results: readonly Result[] }>;
  createTransfers(
    events: readonly TransferInput[],
  ): Promise<{ readonly results: readonly Result[] }>;
  lookupAccounts(ids: readonly bigint[]): Promise<{ readonly accounts: readonly StoredAccount[] }>;
  lookupTransfers(ids: readonly bigint[]): Promise<{ readonly transfers: readonly Transfer[] }>;
}

export interface TableRow {
  readonly line: number;
  readonly text: string;
  readonly cells: Readonly<Record<string, string>>;
}

export type TableStep =
  | { readonly type: 'accounts'; readonly rows: readonly TableRow[] }
  | { readonly type: 'transfers'; readonly rows: readonly TableRow[] }
  | { readonly type: 'balances'; readonly rows: readonly TableRow[] }
  | { readonly type: 'lookups'; readonly rows: readonly TableRow[] };

/** Tables that run on one system keep apart by their number: each has its own ids. */
export interface TableRun {
  readonly table: number;
  readonly shards: number;
  readonly shardOf: ShardOf;
  /** The shard of the first owner; the next owner is on the shard after it. */
  readonly firstShard?: number;
}

const COLUMNS: Readonly<Record<TableStep['type'], readonly string[]>> = {
  accounts:
    'id ledger code flags user_data_128 user_data_64 user_data_32 reserved timestamp debits_pending debits_posted credits_pending credits_posted beats status'.split(
      ' ',
    ),
  transfers:
    'id debit credit amount pending_id timeout ledger code flags user_data_128 user_data_64 user_data_32 timestamp beats status'.split(
      ' ',
    ),
  balances: ['account', 'debits', 'credits'],
  lookups: ['transfer', 'debit', 'credit', 'amount', 'lookup'],
};
const FLAGS: Readonly<Record<string, number>> = {
  debits_must_not_exceed_credits: 2,
  credits_must_not_exceed_debits: 4,
};

/** Runs a table and throws with its lines where the system says something else. */
export async function runTable(text: string, client: LedgerClient, run: TableRun): Promise<void> {
  const names = new Names(run);
  const originals = new Map<string, Result>();
  for (const step of parseTable(text)) {
    switch (step.type) {
      case 'accounts': {
        const events = step.rows.map(({ cells }) => accountOf(cells, names));
        const { results } = await client.createAccounts(events);
        checkBatch(step.rows, results, {
          originals,
          keys: events.map(({ id }) => `account ${id}`),
        });
        break;
      }
      case 'transfers': {
        const events = step.rows.map(({ cells }) => transferOf(cells, names));
        const { results } = await client.createTransfers(events);
        const keys = events.map((one) => `transfer ${one.debitAccountId} ${one.id}`);
        checkBatch(step.rows, results, { originals, keys });
        break;
      }
      case 'balances':
        for (const row of step.rows) await checkBalances(row, client, names);
        break;
      case 'lookups':
        for (const row of step.rows) await checkLookup(row, client, names);
        break;
    }
  }
}

export function parseTable(text: string): readonly TableStep[] {
  const steps: TableStep[] = [];
  let type: TableStep['type'] | null = null;
  let columns: readonly string[] = [];
  let rows: TableRow[] = [];
  const finish = (isCommit: boolean, at: string): void => {
    const isBatch = type === 'accounts' || type === 'transfers';
    assert(rows.length === 0 || isBatch === isCommit, () => `${at}: a batch ends with commit`);
    if (type !== null && rows.length > 0) steps.push({ type, rows });
    rows = [];
  };
  for (const [i, line] of text.split('\n').entries()) {
    const written = line.replace(/#.*/, '').trimEnd();
    const at = `line ${i + 1}: ${written.trim()}`;
    if (written.trim() === '') continue;
    if (written.trim() === 'commit') {
      finish(true, at);
      continue;
    }
    const [head, ...cells] = written.split('|').map((cell) => cell.trim());
    if (head === '') {
      assert(type !== null && cells.length === columns.length, () => `${at}: a cell per column`);
      const byColumn = Object.fromEntries(columns.map((column, c) => [column, cells[c]!]));
      rows.push({ line: i + 1, text: written.trim(), cells: byColumn });
      continue;
    }
    finish(false, at);
    assert(head! in COLUMNS, () => `${at}: unknown section`);
    type = head as TableStep['type'];
    columns = cells;
    for (const one of columns) {
      assert(COLUMNS[head as TableStep['type']].includes(one), () => `${at}: no column ${one}`);
    }
    const isEvents = type === 'accounts' || type === 'transfers';
    assert(!isEvents || columns.at(-1) === 'status', () => `${at}: the status stands last`);
  }
  finish(false, 'the end');
  return steps;
}

/** Ids for names: never the same for two tables, and on the shards that the table wants. */
export class Names {
  readonly #run: TableRun;
  readonly #ids = new Map<string, bigint>();
  readonly #owners: string[] = [];

  constructor(run: TableRun) {
    this.#run = run;
  }

  account(name: string): bigint {
    const known = this.#ids.get(name);
    if (known !== undefined || !/^[a-z]/.test(name) || name.startsWith('max')) {
      return known ?? numberOf(name);
    }
    const { shards, shardOf, firstShard = 0 } = this.#run;
    const owner = name.split('.')[0]!;
    if (!this.#owners.includes(owner)) this.#owners.push(owner);
    const wanted = (firstShard + this.#owners.indexOf(owner)) % shards;
    let id = this.#fresh();
    while (shardOf(id) !== wanted) id++;
    this.#ids.set(name, id);
    return id;
  }

  transfer(name: string): bigint {
    if (!/^[a-z]/.test(name) || name.startsWith('max')) return numberOf(name);
    const key = `transfer ${name}`;
    if (!this.#ids.has(key)) this.#ids.set(key, this.#fresh());
    return this.#ids.get(key)!;
  }

  /** Room for 1,000 names in a table, and for 1,000 tries for each. */
  #fresh(): bigint {
    return BigInt(this.#run.table + 1) * 1_000_000n + BigInt(this.#ids.size) * 1000n;
  }
}

function numberOf(cell: string): bigint {
  const parts = /^(max|\d[\d_,]*)(?:\^(\d+))?(?:([+-])(\d+))?$/.exec(cell);
  assert(parts !== null, () => `not a number: ${cell}`);
  const [, first, power, sign, second] = parts;
  const whole = first === 'max' ? U128_MAX : BigInt(first!.replace(/[_,]/g, ''));
  const value = power === undefined ? whole : whole ** BigInt(power);
  return value + BigInt(`${sign ?? '+'}${second ?? '0'}`.replace('+', ''));
}

const bigintOf = (cell: string | undefined): bigint => (cell ? numberOf(cell) : 0n);
const smallOf = (cell: string | undefined, otherwise = 0): number =>
  cell ? Number(numberOf(cell)) : otherwise;
const flagsOf = (cell: string | undefined): number =>
  (cell ?? '')
    .split(' ')
    .filter(Boolean)
    .reduce((flags, one) => flags | (FLAGS[one] ?? Number(numberOf(one))), 0);

type Cells = TableRow['cells'];

/** The fields that both kinds of events share. */
function sharedOf(cells: Cells) {
  return {
    userData128: bigintOf(cells['user_data_128']),
    userData64: bigintOf(cells['user_data_64']),
    userData32: smallOf(cells['user_data_32']),
    ledger: smallOf(cells['ledger'], 1),
    code: smallOf(cells['code'], 1),
    flags: flagsOf(cells['flags']),
    timestamp: bigintOf(cells['timestamp']),
  };
}

export function accountOf(cells: Cells, names: Names): AccountInput {
  return {
    ...sharedOf(cells),
    id: names.account(cells['id']!),
    debitsPending: bigintOf(cells['debits_pending']),
    debitsPosted: bigintOf(cells['debits_posted']),
    creditsPending: bigintOf(cells['credits_pending']),
    creditsPosted: bigintOf(cells['credits_posted']),
    reserved: smallOf(cells['reserved']),
  };
}

export function transferOf(cells: Cells, names: Names): TransferInput {
  return {
    ...sharedOf(cells),
    id: names.transfer(cells['id']!),
    debitAccountId: names.account(cells['debit']!),
    creditAccountId: names.account(cells['credit']!),
    amount: bigintOf(cells['amount']),
    pendingId: bigintOf(cells['pending_id']),
    timeout: smallOf(cells['timeout']),
  };
}

interface Seen {
  readonly originals: Map<string, Result>;
  readonly keys: readonly string[];
}

function checkBatch(
  rows: readonly TableRow[],
  results: readonly Result[],
  { originals, keys }: Seen,
): void {
  if (results.length !== rows.length)
    fail(rows[0]!, `${results.length} results for ${rows.length}`);
  for (const [i, row] of rows.entries()) {
    const { status, timestamp } = results[i]!;
    if (status !== row.cells['status']) fail(row, status);
    if (status === 'created') originals.set(keys[i]!, results[i]!);
    const original = originals.get(keys[i]!)?.timestamp;
    if (status === 'exists' && timestamp !== original) {
      fail(row, `exists with timestamp ${timestamp}, but the original has ${original}`);
    }
  }
}

async function checkBalances(row: TableRow, client: LedgerClient, names: Names): Promise<void> {
  const { account: name, debits, credits } = row.cells;
  const { accounts } = await client.lookupAccounts([names.account(name!)]);
  const account = accounts[0];
  if (account === undefined) fail(row, 'no such account');
  const isZero = account.debitsPending === 0n && account.creditsPending === 0n;
  if (!isZero) fail(row, `pending ${account.debitsPending}, ${account.creditsPending}`);
  const isEqual =
    account.debitsPosted === bigintOf(debits) && account.creditsPosted === bigintOf(credits);
  if (!isEqual) fail(row, `debits ${account.debitsPosted}, credits ${account.creditsPosted}`);
}

async function checkLookup(row: TableRow, client: LedgerClient, names: Names): Promise<void> {
  const { transfer: name, debit, credit, amount, lookup } = row.cells;
  const id = names.transfer(name!);
  const { transfers } = await client.lookupTransfers([id]);
  const found = transfers[0];
  if ((found === undefined) !== (lookup === 'missing')) fail(row, found ? 'found' : 'missing');
  if (found === undefined) return;
  const isEqual =
    found.id === id &&
    (!debit || found.debitAccountId === names.account(debit)) &&
    (!credit || found.creditAccountId === names.account(credit)) &&
    (!amount || found.amount === numberOf(amount));
  if (!isEqual) fail(row, `${found.debitAccountId} to ${found.creditAccountId}: ${found.amount}`);
}

function fail(row: TableRow, actual: string): never {
  throw new Error(`table line ${row.line}: the system says ${actual}\n  ${row.text}`);
}
