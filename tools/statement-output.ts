/** Writes the statement of one account: as a table, as JSON, as CSV. */
import { bigintOfUint128 } from '../engine/uint128.ts';
import { BALANCE_NAMES, balanceList, transferFlagNames } from './account-rows.ts';
import { formatTime } from './moment.ts';
import { balanceObject, headObject, type ReplayReport, writeHead } from './replay-report.ts';
import type { Sink } from './sink.ts';
import { readStatement, type StatementEntry, type StatementHead } from './statement.ts';
import { columnsOf, csvLine, writeTable } from './table.ts';

interface Statement {
  readonly account: bigint;
  readonly statement: StatementHead;
}

const idAt = (record: Uint32Array, at: number): string => String(bigintOfUint128(record, at));

/** The other account; of what expired elsewhere nothing is known but the amount. */
function counterOf({ record, side, type }: StatementEntry): string {
  if (type === 'expired_elsewhere') return '';
  return idAt(record, side === 'debit' ? 8 : 4);
}

/** What moved: an amount that ends pending, or begins to be, is not money that came or went. */
function movedOf({ type, amount, pendingAmount }: StatementEntry): bigint {
  return type === 'single_phase' || type === 'posted' ? amount : pendingAmount;
}

const isPosted = ({ type }: StatementEntry): boolean =>
  type === 'single_phase' || type === 'posted';

const positionOf = ({ sequence, row }: StatementEntry): string =>
  row === -1 ? `${sequence}` : `${sequence}:${row}`;

export function writeStatementTable(
  sink: Sink,
  report: ReplayReport,
  { account, statement }: Statement,
): void {
  writeHead(sink, report);
  sink.line(`account ${account} on shard ${report.states[0]!.shard}, ${statement.entries} entries`);
  sink.line('');
  const titles =
    'time position transfer# what counter-account# debit# credit# pending_debit# pending_credit# debits_pending# debits_posted# credits_pending# credits_posted#';
  writeTable(sink, columnsOf(titles), function* rows() {
    yield framed('opening', balanceList(statement.opening));
    for (const entry of readStatement(statement)) yield tableCells(entry);
    yield framed('closing', balanceList(statement.closing));
  });
}

/** A line of balances alone. */
function framed(what: string, balances: readonly bigint[]): readonly string[] {
  const blank = Array.from({ length: 9 }, (_, column) => (column === 3 ? what : ''));
  return [...blank, ...balances.map(String)];
}

function tableCells(entry: StatementEntry): readonly string[] {
  const { side, type, effect, record, amount, pendingAmount, balances } = entry;
  const posted = isPosted(entry) ? String(amount) : '';
  const sign = type === 'pending' ? '' : '-';
  const pending = pendingAmount === 0n ? '' : `${sign}${pendingAmount}`;
  const isDebit = side === 'debit';
  return [
    formatTime(effect),
    positionOf(entry),
    type === 'expired_elsewhere' ? '' : idAt(record, 0),
    type.replaceAll('_', ' '),
    counterOf(entry),
    isDebit ? posted : '',
    isDebit ? '' : posted,
    isDebit ? pending : '',
    isDebit ? '' : pending,
    ...balanceList(balances).map(String),
  ];
}

export function writeStatementJson(
  sink: Sink,
  report: ReplayReport,
  { account, statement }: Statement,
): void {
  const head = JSON.stringify({
    type: 'statement',
    account: String(account),
    ...headObject(report),
    opening: balanceObject(balanceList(statement.opening)),
    closing: balanceObject(balanceList(statement.closing)),
  });
  sink.line(`${head.slice(0, -1)},"entries":[`);
  let left = statement.entries;
  for (const entry of readStatement(statement)) {
    sink.line(JSON.stringify(entryObject(entry)) + (--left > 0 ? ',' : ''));
  }
  sink.line(']}');
}

function entryObject(entry: StatementEntry): object {
  const { type, side, sequence, row, effect, record, pendingAmount, balances } = entry;
  const isKnown = type !== 'expired_elsewhere';
  return {
    type,
    side,
    sequence,
    row: row === -1 ? null : row,
    effect_timestamp: String(effect),
    time: formatTime(effect),
    transfer: isKnown ? idAt(record, 0) : null,
    counter_account: isKnown ? counterOf(entry) : null,
    amount: String(isPosted(entry) ? entry.amount : 0n),
    pending_amount: String(type === 'pending' ? pendingAmount : -pendingAmount),
    pending_id: isKnown ? idAt(record, 16) : null,
    ledger: isKnown ? record[28]! : null,
    code: isKnown ? record[29]! & 0xffff : null,
    flags: transferFlagNames(record[29]! >>> 16),
    balances: balanceObject(balanceList(balances)),
  };
}

export function writeStatementCsv(sink: Sink, statement: StatementHead): void {
  sink.line(
    csvLine([
      'time',
      'effect_timestamp',
      'sequence',
      'row',
      'transfer',
      'type',
      'side',
      'counter_account',
      'amount',
      ...BALANCE_NAMES,
    ]),
  );
  for (const entry of readStatement(statement)) {
    const { type, side, sequence, row, effect, record, balances } = entry;
    sink.line(
      csvLine([
        formatTime(effect),
        String(effect),
        String(sequence),
        row === -1 ? '' : String(row),
        type === 'expired_elsewhere' ? '' : idAt(record, 0),
        type,
        side,
        counterOf(entry),
        String(movedOf(entry)),
        ...balanceList(balances).map(String),
      ]),
    );
  }
}
