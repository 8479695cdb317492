/**
 * `sycee replay`: the state of a ledger at any moment. All shards are replayed at once; the balances of all of them are then put out in order of
 * ids, with the digest of each shard, and what was under way between them.
 */
import { join } from 'node:path';
import { shardOf } from '../engine/placement.ts';
import { bigintOfUint128 } from '../engine/uint128.ts';
import { shardOption } from './arguments.ts';
import { Capture } from './capture.ts';
import { ledgerTotals, messagesInFlight } from './conservation.ts';
import { isWithin, sequencesAt } from './moments-of-shards.ts';
import { replayMoment, type ReplayedMoment } from './replay-moment.ts';
import { parseReplayOptions, type ReplayOptions } from './replay-options.ts';
import { writeBalancesCsv, writeBalancesJson, writeBalancesTable } from './replay-output.ts';
import type { ReplayReport } from './replay-report.ts';
import { type Cleanup, EXIT, runTool } from './run-tool.ts';
import { replayShards } from './shard-pool.ts';
import type { ShardDamage, ShardState } from './shard-task.ts';
import { Sink, type ToolOutput } from './sink.ts';
import { writeStatementCsv, writeStatementJson, writeStatementTable } from './statement-output.ts';
import { UsageError } from './usage.ts';
import { witnessDamage } from './witness-checks.ts';

const STATEMENT_FILE = 'statement';
const LATER = 'All rows up to the moment that was asked for are here.';

export function runReplay(args: readonly string[], output: ToolOutput): Promise<number> {
  return runTool('replay', output, async (cleanup) => {
    const options = parseReplayOptions(args);
    const capture = cleanup.add(new Capture(options.directory, options.archive));
    const shards = askedShards(capture, options);
    const { later, missing } = lostRows(capture, shards, options);
    for (const damage of later) output.log(`sycee: ${damageText(damage)} ${LATER}`);
    if (missing.length > 0) return damaged(missing, output);
    const { states, damages, passedOver } = await replayAll(capture, shards, options);
    for (const line of passedOver) output.log(`sycee: ${line}`);
    if (damages.length > 0) return damaged(damages, output);
    write(reportOf(capture, options, states), options, { output, cleanup });
    return EXIT.done;
  });
}

export function damageText({ shard, sequence, file, rule }: ShardDamage): string {
  return `shard ${shard}, ${file}, sequence ${sequence}: ${rule}`;
}

function damaged(damages: readonly ShardDamage[], output: ToolOutput): number {
  for (const damage of damages) output.log(`sycee: ${damageText(damage)}`);
  return EXIT.damaged;
}

/** What the head witness says against the shards, by whether the moment that was asked for is there all the same. */
function lostRows(
  capture: Capture,
  shards: readonly number[],
  { to }: ReplayOptions,
): { readonly later: readonly ShardDamage[]; readonly missing: readonly ShardDamage[] } {
  const damages = shards.flatMap((shard) => witnessDamage(capture, shard) ?? []);
  const { later = [], missing = [] } = Object.groupBy(damages, ({ shard }) =>
    isWithin(capture, shard, to) ? 'later' : 'missing',
  );
  return { later, missing };
}

function askedShards(
  { meta }: Capture,
  { account, parsed }: Pick<ReplayOptions, 'account' | 'parsed'>,
): readonly number[] {
  const asked = shardOption(parsed, meta.shards);
  const owner = account === undefined ? undefined : shardOf(account, 0, meta.shards);
  if (owner !== undefined && asked !== undefined && asked !== owner) {
    throw new UsageError(
      `account ${bigintOfUint128(account!, 0)} lives on shard ${owner}, not ${asked}`,
    );
  }
  const only = asked ?? owner;
  return only === undefined ? Array.from({ length: meta.shards }, (_, i) => i) : [only];
}

async function replayAll(
  capture: Capture,
  shards: readonly number[],
  { account, to, from, fromStart }: ReplayOptions,
): Promise<ReplayedMoment> {
  const ends = sequencesAt(capture, shards, to, '--to');
  const starts = from === undefined ? null : sequencesAt(capture, shards, from, '--from');
  const requests = shards.map((shard, i) => {
    const start = starts?.[i] ?? null;
    if (start !== null && start > ends[i]!) throw new UsageError('--from is later than --to');
    const file = join(capture.scratch.path, STATEMENT_FILE);
    const statement = account === undefined ? null : { account, file };
    return {
      shard,
      from: start,
      to: ends[i]!,
      statement,
      fromStart,
    };
  });
  return replayMoment(requests, (some) => replayShards(capture, some, 'replay'), {
    isTime: to?.type === 'time' && shards.length === capture.meta.shards,
  });
}

function reportOf(
  capture: Capture,
  { from, to }: ReplayOptions,
  states: readonly ShardState[],
): ReplayReport {
  const isWhole = states.length === capture.meta.shards;
  const messages = isWhole ? messagesInFlight(states) : [];
  const totals = ledgerTotals(states, messages);
  const { directory, isLive } = capture;
  return { directory, isLive, from, to, states, isWhole, messages, totals };
}

function write(
  report: ReplayReport,
  { account, json, csv, out }: ReplayOptions,
  { output, cleanup }: { readonly output: ToolOutput; readonly cleanup: Cleanup },
): void {
  const [state] = report.states;
  const statement = account === undefined ? null : state!.statement;
  const id = account === undefined ? 0n : bigintOfUint128(account, 0);
  if (statement?.isFound === false) {
    throw new Error(`There is no account ${id} at that moment. Check the id, or name a later one.`);
  }
  if (csv !== undefined) {
    const sink = cleanup.add(new Sink(output, csv));
    if (statement === null) writeBalancesCsv(sink, report);
    else writeStatementCsv(sink, statement);
    sink.end();
    if (csv.type === 'stdout' && out === undefined) return;
  }
  const sink = cleanup.add(new Sink(output, out));
  if (statement !== null) {
    if (json) writeStatementJson(sink, report, { account: id, statement });
    else writeStatementTable(sink, report, { account: id, statement });
  } else if (json) writeBalancesJson(sink, report);
  else writeBalancesTable(sink, report, { hasRows: csv === undefined });
  sink.end();
}
