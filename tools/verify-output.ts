/** Writes what a verification found, for people and for programs, and gives the exit code that belongs to it. */
import type { LedgerTotal, MessageInFlight } from './conservation.ts';
import {
  messageObject,
  shardObject,
  totalObject,
  writeMessages,
  writeShards,
  writeTotals,
} from './replay-report.ts';
import { EXIT } from './run-tool.ts';
import type { ShardState } from './shard-task.ts';
import { Sink, type ToolOutput } from './sink.ts';

export interface Finding {
  readonly check: 'directory' | 'journal' | 'accounts' | 'links' | 'witness' | 'conservation';
  readonly shard: number | null;
  /** The first wrong one; where the end shows it, the last one. */
  readonly sequence: number | null;
  readonly file: string | null;
  readonly rule: string;
}

export interface Verification {
  readonly directory: string;
  readonly isLive: boolean;
  /** Of the shards that could be executed. */
  readonly states: readonly ShardState[];
  readonly findings: readonly Finding[];
  /** What is to be known, and not wrong. */
  readonly notes: readonly string[];
  readonly totals: readonly LedgerTotal[];
  readonly messages: readonly MessageInFlight[];
}

export function writeVerification(
  verification: Verification,
  { json }: { readonly json: boolean },
  output: ToolOutput,
): number {
  const { directory, isLive, states, findings, notes, totals, messages } = verification;
  const isSound = findings.length === 0;
  const code = isSound ? EXIT.done : EXIT.damaged;
  using sink = new Sink(output);
  if (json) {
    const document = {
      type: 'verify',
      sound: isSound,
      directory,
      live: isLive,
      shards: states.map(shardObject),
      ledgers: totals.map(totalObject),
      in_flight: messages.map(messageObject),
      findings,
      notes,
    };
    sink.line(JSON.stringify(document));
    sink.end();
    return code;
  }
  if (states.length > 0) {
    writeShards(sink, states);
    sink.line('');
  }
  if (totals.length > 0) {
    writeTotals(sink, totals);
    sink.line('');
  }
  if (states.length > 1 && isSound) {
    writeMessages(sink, messages);
    sink.line('');
  }
  for (const note of notes) sink.line(`note: ${note}`);
  if (isSound) sink.line(`${directory} is sound${isLive ? ', up to its last commit' : ''}`);
  sink.end();
  for (const finding of findings) output.log(`sycee: ${findingText(finding)}`);
  if (!isSound) {
    output.log(
      `sycee: ${directory} is not sound. Keep a copy as it is, check its disk, and put back a copy that is; see docs/durability.md.`,
    );
  }
  return code;
}

function findingText({ check, shard, sequence, file, rule }: Finding): string {
  const where = shard === null ? '' : `shard ${shard}, ${file}, sequence ${sequence}: `;
  return `${check}: ${where}${rule}`;
}
