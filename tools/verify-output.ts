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
import type { SnapshotCheck } from './snapshot-checks.ts';
import { columnsOf, writeTable } from './table.ts';

export interface Finding {
  readonly check:
    | 'directory'
    | 'backup'
    | 'journal'
    | 'accounts'
    | 'snapshot'
    | 'links'
    | 'witness'
    | 'conservation';
  readonly shard: number | null;
  /** The first wrong one; where the end shows it, the last one. */
  readonly sequence: number | null;
  readonly file: string | null;
  readonly rule: string;
}

export interface Verification {
  /** What it was taken for. */
  readonly kind: 'directory' | 'backup' | 'archive';
  readonly directory: string;
  readonly isLive: boolean;
  /** Of the shards that could be executed. */
  readonly states: readonly ShardState[];
  readonly snapshots: readonly SnapshotCheck[];
  readonly findings: readonly Finding[];
  /** What is to be known, and not wrong. */
  readonly notes: readonly string[];
  readonly totals: readonly LedgerTotal[];
  readonly messages: readonly MessageInFlight[];
}

export const NOTHING_VERIFIED = {
  kind: 'directory',
  isLive: false,
  states: [],
  snapshots: [],
  findings: [],
  notes: [],
  totals: [],
  messages: [],
} as const;

export function writeVerification(
  verification: Verification,
  { json }: { readonly json: boolean },
  output: ToolOutput,
): number {
  const { directory, kind, isLive, states, snapshots } = verification;
  const { findings, notes, totals, messages } = verification;
  const isSound = findings.length === 0;
  const code = isSound ? EXIT.done : EXIT.damaged;
  using sink = new Sink(output);
  if (json) {
    const document = {
      type: 'verify',
      sound: isSound,
      directory,
      kind,
      live: isLive,
      shards: states.map(shardObject),
      snapshots: snapshots.map(({ shard, sequence, file, digest, isCompared, rule }) => ({
        shard,
        sequence,
        file,
        digest,
        compared: isCompared,
        sound: rule === null,
      })),
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
  if (snapshots.length > 0) {
    writeTable(sink, columnsOf('shard# snapshot# digest state'), () =>
      snapshots.map((one) => [
        String(one.shard),
        String(one.sequence),
        one.digest ?? '-',
        snapshotState(one),
      ]),
    );
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
  if (isSound) sink.line(soundText(verification));
  sink.end();
  for (const finding of findings) output.log(`sycee: ${findingText(finding)}`);
  if (!isSound) output.log(`sycee: ${directory} is not sound. ${remedy(verification)}`);
  return code;
}

/** Of an archive nobody can tell whether all is there that should be. */
function soundText({ kind, directory, isLive }: Verification): string {
  if (kind === 'archive') return `the segments that are in ${directory} are sound`;
  return `${directory} is sound${isLive ? ', up to its last commit' : ''}`;
}

function snapshotState({ rule, note, isCompared }: SnapshotCheck): string {
  if (rule !== null) return 'wrong';
  if (note !== null) return 'of another version';
  return isCompared ? 'what the journal gives' : 'not compared';
}

function remedy({ kind, findings }: Verification): string {
  if (kind === 'backup') {
    return 'It may not be restored as it is. Back up again into a new place, or remove the files that are named and back up into this one; see docs/operations.md.';
  }
  if (findings.every(({ check }) => check === 'snapshot')) {
    return 'Its journals are, as far as they were read: nothing is lost. Check the disk, and let a new snapshot be taken; only the last two are kept.';
  }
  return 'Keep a copy as it is, check its disk, and put back a copy that is; see docs/durability.md.';
}

function findingText({ check, shard, sequence, file, rule }: Finding): string {
  const where = shard === null ? '' : `shard ${shard}, ${file}, sequence ${sequence}: `;
  return `${check}: ${where}${rule}`;
}
