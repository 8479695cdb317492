/**
 * The questions about the past that are measured. A kind draws one question at random and can ask it more than once; every answer is looked
 * at, and what should not be in it, or is missing, is said in a sentence.
 */
import type { Client } from '../client/client.ts';
import type { AccountFilterInput, QueryFilterInput } from '../client/filters.ts';
import type { Prng } from '../lib/prng.ts';
import type { MarkedJournal } from './marked-journal.ts';
import { QUESTION_NAMES, type QuestionName } from './scenario-options.ts';
import { markOf } from './slots.ts';
import type { Workload } from './workload.ts';

/** The first question waits until the whole journal is indexed. */
const QUESTION_DEADLINE_MS = 120_000;
const CALL = { deadlineMs: QUESTION_DEADLINE_MS };
const PAGE_ROWS = 100;

export interface Past {
  readonly client: Pick<
    Client,
    'getAccountTransfers' | 'queryTransfers' | 'queryAccounts' | 'changeEvents'
  >;
  readonly workload: Workload;
  readonly journal: MarkedJournal;
  /** Transfers of each account when the journal was built: later there are more. */
  readonly entries: Uint32Array;
  /** Nanoseconds. */
  readonly accountsFrom: bigint;
  readonly accountsTo: bigint;
  readonly transfersTo: bigint;
}

export interface Answered {
  readonly rows: number;
  readonly complaint: string | null;
}
export type Ask = () => Promise<Answered>;

export interface QuestionKind {
  readonly name: QuestionName;
  /** Whether asking the same a second time is measured by itself. */
  readonly isAskedAgain: boolean;
  readonly draw: (random: Prng) => Ask;
}

export function questionKinds(past: Past): readonly QuestionKind[] {
  const { workload, journal } = past;
  const history = (limit: number, reversed: boolean) => (random: Prng) => {
    const account = random.below(workload.accounts);
    return () => askHistory(past, account, { limit, reversed });
  };
  const draws: Readonly<Record<QuestionName, QuestionKind['draw']>> = {
    history_10_newest_first: history(10, true),
    history_100_newest_first: history(100, true),
    history_10_oldest_first: history(10, false),
    history_100_oldest_first: history(100, false),
    transfers_by_rare_user_data_64: (random) => {
      const { ordinal, uses } = journal.drawMark(random);
      return () => askTransfers(past, { userData64: markOf(ordinal) }, uses);
    },
    transfers_by_code_of_one_batch: (random) => {
      const code = journal.drawCode(random);
      return () => askTransfers(past, { code }, journal.usesOfCode);
    },
    change_events: (random) => {
      const from = timeBetween(random, past.accountsTo, past.transfersTo);
      return () => askChanges(past, from);
    },
    accounts_from_a_time: (random) => {
      const from = timeBetween(random, past.accountsFrom, past.accountsTo);
      return () => askAccounts(past, from);
    },
    accounts_by_user_data_64: (random) => {
      const account = random.below(workload.accounts);
      return () => askMarkedAccount(past, account);
    },
  };
  return QUESTION_NAMES.map((name) => ({
    name,
    isAskedAgain: name.startsWith('history'),
    draw: draws[name],
  }));
}

function timeBetween(random: Prng, from: bigint, to: bigint): bigint {
  return from + BigInt(Math.floor(Number(to - from) * random.fraction()));
}

/** One page. */
async function askHistory(
  { client, workload, entries }: Past,
  account: number,
  page: Pick<AccountFilterInput, 'limit' | 'reversed'> & { readonly limit: number },
): Promise<Answered> {
  const accountId = workload.accountId(account);
  const { transfers, next } = await client.getAccountTransfers({ accountId, ...page }, CALL);
  const rows = transfers.length;
  const isForeign = transfers.some(
    (one) => one.debitAccountId !== accountId && one.creditAccountId !== accountId,
  );
  const times = transfers.map((one) => one.effectTimestamp);
  if (page.reversed === true) times.reverse();
  const isShort = rows < Math.min(page.limit, entries[account]!) && next === null;
  if (isForeign) return wrong(rows, `the history of account ${account} has a foreign transfer`);
  if (!isAscending(times)) return wrong(rows, `the history of account ${account} is out of order`);
  if (isShort) return wrong(rows, `the history of account ${account} has ${rows} transfers only`);
  return { rows, complaint: null };
}

/** Pages until all are found that are wanted, or there are no more. */
async function askTransfers(
  { client }: Past,
  asked: Pick<QueryFilterInput, 'userData64' | 'code'>,
  wanted: number,
): Promise<Answered> {
  let cursor: string | null = null;
  let rows = 0;
  const what = asked.code === undefined ? `user_data_64 ${asked.userData64}` : `code ${asked.code}`;
  do {
    const page: Awaited<ReturnType<Client['queryTransfers']>> = await client.queryTransfers(
      { ...asked, limit: PAGE_ROWS, cursor },
      CALL,
    );
    for (const one of page.transfers) {
      const isFound =
        asked.code === undefined ? one.userData64 === asked.userData64 : one.code === asked.code;
      if (!isFound) return wrong(rows, `a transfer was found that has not ${what}`);
    }
    rows += page.transfers.length;
    cursor = page.next;
  } while (cursor !== null && rows < PAGE_ROWS);
  const most = Math.min(wanted, PAGE_ROWS);
  if (Math.min(rows, PAGE_ROWS) === most) return { rows, complaint: null };
  return wrong(rows, `${rows} transfers were found with ${what}, not ${most}`);
}

async function askChanges({ client }: Past, timestampMin: bigint): Promise<Answered> {
  const times: bigint[] = [];
  for await (const { timestamp } of client.changeEvents({ timestampMin, limit: PAGE_ROWS }, CALL)) {
    times.push(timestamp);
    if (times.length === PAGE_ROWS) break;
  }
  const rows = times.length;
  const isSound = isAscending(times) && (rows === 0 || times[0]! >= timestampMin);
  return isSound ? { rows, complaint: null } : wrong(rows, 'changes are out of order');
}

async function askAccounts({ client }: Past, timestampMin: bigint): Promise<Answered> {
  const { accounts } = await client.queryAccounts({ timestampMin, limit: PAGE_ROWS }, CALL);
  const rows = accounts.length;
  const isSound = accounts.every(({ timestamp }) => timestamp >= timestampMin);
  return isSound ? { rows, complaint: null } : wrong(rows, 'an account is from before its time');
}

async function askMarkedAccount({ client, workload }: Past, account: number): Promise<Answered> {
  const { accounts } = await client.queryAccounts({ userData64: markOf(account) }, CALL);
  const rows = accounts.length;
  const isSound = rows === 1 && accounts[0]!.id === workload.accountId(account);
  return isSound
    ? { rows, complaint: null }
    : wrong(rows, `account ${account} is not what was found`);
}

const wrong = (rows: number, complaint: string): Answered => ({ rows, complaint });

const isAscending = (times: readonly bigint[]): boolean =>
  times.every((time, i) => i === 0 || times[i - 1]! <= time);
