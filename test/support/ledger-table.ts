/**
 * Ledger rules as tables: one row per event, the expected status in the last column, then the balances.
 *
 *     accounts  | id    | flags                          | status
 *               | bank  | history                        | created
 *               | alice | debits_must_not_exceed_credits | created
 *     commit
 *     transfers | id     | debit | credit | amount | flags   | timeout | pending_id | status
 *               | salary | bank  | alice  | 100    |         |         |            | created
 *               | rent   | alice | bank   | 101    |         |         |            | exceeds_credits
 *               | hotel  | alice | bank   | 60     | pending | 3600    |            | created
 *     commit
 *     wait      | seconds
 *               | 60
 *     transfers | id    | debit | credit | amount | flags | pending_id | status
 *               | stay  |       |        | 45     | post  | hotel      | created
 *     commit
 *     balances  | account | debits | credits | debits_pending | credits_pending | state
 *               | bank    | 100    | 45      |                |                 | open
 *     lookups   | transfer | debit | credit | amount | pending_status | lookup
 *               | hotel    | alice | bank   | 60     | posted         | found
 *               | rent     |       |        |        |                | missing
 *     statement | account | transfer | amount | pending_status
 *               | bank    | salary   | 100    |
 *               |         | hotel    | 60     | posted
 *               |         | stay     | 45     |
 *     history   | account | debits | credits | credits_pending
 *               | bank    | 100    | 0       |
 *               |         | 100    | 0       | 60
 *               |         | 100    | 45      |
 *     queries   | of        | code | limit | order        | found
 *               | transfers | 1    | 2     | newest first | stay hotel
 *     changes   | type              | transfer | debits | credits
 *               | single_phase      | salary   | 100    | 100
 *               | two_phase_pending | hotel    | 0      | 0
 *
 * The rows down to a `commit` are one batch. An empty cell is the field's default: ledger 1 and code 1 (0 for a post or void), else 0. Ids are
 * names; `bank` and `bank.fees` lie on one shard, other owners on one shard after the other. Numbers may be written `max` (2^128-1), `2^64-1`,
 * `max-5`; a timestamp `start+3`: three seconds after the first event that the table created. user_data_128 may be a name, which is another number
 * in each table. A column `beats` names a rule of lower precedence that the event breaks as well. After `#` comes a comment.
 *
 * `statement` and `history` show one account after the other: rows without an account belong to the one above; a row with nothing but an
 * account says that there is nothing to be seen. `changes` are all of the table's transfers. `wait` turns the clock by a little
 * more than it says, so that what was created in the same instant has the age that it says.
 *
 * That `exists` brings the original's timestamp, and `created` that of an imported event, is checked in every table.
 */
import { assert } from '../../engine/assert.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { Result } from './ledger-records.ts';
import { Names, accountOf, bigintOf, fail, transferOf } from './table-cells.ts';
import type { TableRow, TableRun } from './table-cells.ts';
import {
  checkBalances,
  checkChanges,
  checkHistory,
  checkLookups,
  checkQueries,
  checkStatement,
} from './table-checks.ts';

export type { LedgerClient } from './ledger-client.ts';
export { Names, accountOf, transferOf, type TableRow, type TableRun } from './table-cells.ts';

export type StepType = keyof typeof COLUMNS;
export interface TableStep {
  readonly type: StepType;
  readonly rows: readonly TableRow[];
}

const words = (text: string): readonly string[] => text.split(' ');
const USER_FIELDS = 'user_data_128 user_data_64 user_data_32';
const PAGE = `code ${USER_FIELDS} limit order from to`;
const COLUMNS = {
  accounts: words(
    `id ledger code flags ${USER_FIELDS} reserved timestamp debits_pending debits_posted credits_pending credits_posted beats status`,
  ),
  transfers: words(
    `id debit credit amount pending_id timeout ledger code flags ${USER_FIELDS} timestamp beats status`,
  ),
  wait: ['seconds'],
  balances: words('account debits credits debits_pending credits_pending state'),
  lookups: words(
    `transfer debit credit amount pending_id timeout flags ledger code ${USER_FIELDS} timestamp pending_status lookup`,
  ),
  statement: words(`account transfer amount pending_status side ${PAGE}`),
  history: words(`account debits credits debits_pending credits_pending side ${PAGE}`),
  queries: words(`of ledger ${PAGE} found`),
  changes: words('type transfer debits debits_pending credits credits_pending'),
} as const;
const WAIT_MORE_SECONDS = 0.001;

export function isBatch({ type }: Pick<TableStep, 'type'>): boolean {
  return type === 'accounts' || type === 'transfers';
}

/** Runs a table and throws with its lines where the system says something else. */
export async function runTable(text: string, client: LedgerClient, run: TableRun): Promise<void> {
  const names = new Names(run);
  const originals: Originals = new Map();
  for (const { type, rows } of parseTable(text)) {
    const checked = { rows, client, names };
    switch (type) {
      case 'accounts': {
        const events = rows.map(({ cells }) => accountOf(cells, names));
        const { results } = await client.createAccounts(events);
        checkBatch(rows, { results, names, originals, keys: events.map(({ id }) => `a${id}`) });
        break;
      }
      case 'transfers': {
        const events = rows.map(({ cells }) => transferOf(cells, names));
        const { results } = await client.createTransfers(events);
        checkBatch(rows, { results, names, originals, keys: events.map(({ id }) => `t${id}`) });
        break;
      }
      case 'wait':
        for (const row of rows) await wait(row, run);
        break;
      case 'balances':
        await checkBalances(checked);
        break;
      case 'lookups':
        await checkLookups(checked);
        break;
      case 'statement':
        await checkStatement(checked);
        break;
      case 'history':
        await checkHistory(checked);
        break;
      case 'queries':
        await checkQueries(checked, run.shards === 1);
        break;
      case 'changes':
        // Changes are told up to now: what has just happened is told a moment later.
        await run.advance?.(WAIT_MORE_SECONDS);
        await checkChanges(checked);
        break;
    }
  }
}

async function wait(row: TableRow, { advance }: TableRun): Promise<void> {
  if (advance === undefined) fail(row, 'that its clock cannot be turned');
  await advance(Number(bigintOf(row.cells['seconds'])) + WAIT_MORE_SECONDS);
}

export function parseTable(text: string): readonly TableStep[] {
  const steps: TableStep[] = [];
  let type: StepType | null = null;
  let columns: readonly string[] = [];
  let rows: TableRow[] = [];
  const finish = (isCommit: boolean, at: string): void => {
    const endsWithCommit = type !== null && isBatch({ type });
    assert(
      rows.length === 0 || endsWithCommit === isCommit,
      () => `${at}: a batch ends with commit`,
    );
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
    type = stepOf(head!, cells, at);
    columns = cells;
  }
  finish(false, 'the end');
  return steps;
}

/** The first row of a section names its columns. */
function stepOf(head: string, columns: readonly string[], at: string): StepType {
  assert(head in COLUMNS, () => `${at}: unknown section`);
  const type = head as StepType;
  const known: readonly string[] = COLUMNS[type];
  for (const one of columns) assert(known.includes(one), () => `${at}: no column ${one}`);
  assert(!isBatch({ type }) || columns.at(-1) === 'status', () => `${at}: the status stands last`);
  return type;
}

/** The timestamps of what was created, by id: several where an id was used on several shards. */
type Originals = Map<string, bigint[]>;

interface Seen {
  readonly results: readonly Result[];
  readonly names: Names;
  readonly originals: Originals;
  readonly keys: readonly string[];
}

function checkBatch(rows: readonly TableRow[], { results, names, originals, keys }: Seen): void {
  if (results.length !== rows.length) {
    fail(rows[0]!, `${results.length} results for ${rows.length}`);
  }
  for (const [i, row] of rows.entries()) {
    const { status, timestamp } = results[i]!;
    if (status !== row.cells['status']) fail(row, status);
    const known = originals.get(keys[i]!) ?? [];
    // One that was found in a failed chain that made it has no original.
    if (status === 'exists' && known.length > 0 && !known.includes(timestamp)) {
      fail(row, `exists with timestamp ${timestamp}, but the original has ${known.join(' or ')}`);
    }
    if (status !== 'created') continue;
    names.start ??= timestamp;
    originals.set(keys[i]!, [...known, timestamp]);
    const own = names.instant(row.cells['timestamp']);
    if (own !== 0n && own !== timestamp) fail(row, `created with timestamp ${timestamp}`);
  }
}
