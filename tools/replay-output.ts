/** Writes balances, or their differences between two moments: as a table, as JSON, as CSV. */
import { ROW_WORDS } from '../engine/batch.ts';
import { bigintOfUint64 } from '../engine/uint128.ts';
import { accountFlagNames, BALANCE_NAMES, codeOf, flagsOf, ledgerOf } from './account-rows.ts';
import {
  type AccountLine,
  accountLines,
  accountObject,
  balanceObject,
  headObject,
  type ReplayReport,
  signed,
  writeHead,
  writeMessages,
  writeShards,
  writeTotals,
} from './replay-report.ts';
import type { Sink } from './sink.ts';
import { columnsOf, csvLine, writeTable } from './table.ts';

const NOTHING: readonly bigint[] = [0n, 0n, 0n, 0n];

function changeOf({ balances, before }: AccountLine): readonly bigint[] {
  const old = before ?? NOTHING;
  return balances.map((balance, i) => balance - old[i]!);
}

const flagsText = ({ rows, at }: AccountLine): string =>
  accountFlagNames(flagsOf(rows, at)).join('|');

/** Without its rows when those went elsewhere. */
export function writeBalancesTable(
  sink: Sink,
  report: ReplayReport,
  { hasRows }: { readonly hasRows: boolean },
): void {
  const isDifference = report.from !== undefined;
  writeHead(sink, report);
  if (hasRows) {
    const balances = BALANCE_NAMES.map((name) => `${name}#`).join(' ');
    writeTable(sink, columnsOf(`account# ledger# code# ${balances} flags`), function* rows() {
      for (const line of accountLines(report)) {
        const { id, rows: words, at } = line;
        const figures = isDifference ? changeOf(line).map(signed) : line.balances.map(String);
        const isNew = isDifference && line.before === null ? ' (new)' : '';
        const ledger = String(ledgerOf(words, at));
        const code = String(codeOf(words, at));
        yield [id, ledger, code, ...figures, `${flagsText(line)}${isNew}`.trim()];
      }
    });
    sink.line('');
  }
  writeTotals(sink, report.totals);
  sink.line('');
  writeShards(sink, report.states);
  if (report.states.length === 1 && report.isWhole) return;
  sink.line('');
  if (report.isWhole) writeMessages(sink, report.messages);
  else sink.line('one shard of several: the other sides of its transfers are not in the sums');
}

export function writeBalancesJson(sink: Sink, report: ReplayReport): void {
  const isDifference = report.from !== undefined;
  const head = JSON.stringify({
    type: isDifference ? 'difference' : 'balances',
    ...headObject(report),
  });
  sink.line(`${head.slice(0, -1)},"accounts":[`);
  let text = '';
  for (const line of accountLines(report)) {
    if (text !== '') sink.line(`${text},`);
    text = JSON.stringify(isDifference ? differenceObject(line) : accountObject(line));
  }
  if (text !== '') sink.line(text);
  sink.line(']}');
}

function differenceObject(line: AccountLine): object {
  const before = line.before === null ? null : balanceObject(line.before);
  return { ...accountObject(line), before, change: balanceObject(changeOf(line)) };
}

export function writeBalancesCsv(sink: Sink, report: ReplayReport): void {
  const isDifference = report.from !== undefined;
  const more = isDifference ? BALANCE_NAMES.map((name) => `${name}_before`) : [];
  sink.line(
    csvLine(['id', 'shard', 'ledger', 'code', 'flags', 'timestamp', ...BALANCE_NAMES, ...more]),
  );
  for (const line of accountLines(report)) {
    const { id, shard, rows, at, balances, before } = line;
    sink.line(
      csvLine([
        id,
        String(shard),
        String(ledgerOf(rows, at)),
        String(codeOf(rows, at)),
        flagsText(line),
        String(bigintOfUint64(rows, at + ROW_WORDS - 2)),
        ...balances.map(String),
        ...(isDifference ? (before ?? NOTHING).map(String) : []),
      ]),
    );
  }
}
