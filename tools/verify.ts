/**
 * `sycee verify`: whether a ledger is sound. Each shard's journal is read and executed from beginning to end; then what only all shards together can
 * show is checked. What is wrong becomes a finding; no finding, sound.
 */
import { DataDirectoryError } from '../persistence/errors.ts';
import { checkHead, newestHead } from '../persistence/head-witness.ts';
import { isArchive, verifyArchive } from './archive.ts';
import { Capture } from './capture.ts';
import { ledgerTotals, linkComplaints, messagesInFlight, totalComplaints } from './conservation.ts';
import { duplicateIds } from './duplicate-ids.ts';
import { runTool } from './run-tool.ts';
import { replayShards } from './shard-pool.ts';
import { fileOf } from './shard-replay.ts';
import type { ShardAnswer, ShardState } from './shard-task.ts';
import type { ToolOutput } from './sink.ts';
import { parseVerifyOptions, type VerifyOptions } from './verify-options.ts';
import {
  type Finding,
  NOTHING_VERIFIED,
  type Verification,
  writeVerification,
} from './verify-output.ts';

export function runVerify(args: readonly string[], output: ToolOutput): Promise<number> {
  return runTool('verify', output, async (cleanup) => {
    const options = parseVerifyOptions(args);
    if (isArchive(options.directory)) {
      return writeVerification(verifyArchive(options.directory), options, output);
    }
    const capture = captureOf(options);
    if (!(capture instanceof Capture)) return writeVerification(capture, options, output);
    cleanup.add(capture);
    return writeVerification(await verify(capture), options, output);
  });
}

/** A damaged directory is a finding too. */
function captureOf({ directory, archive }: VerifyOptions): Capture | Verification {
  try {
    return new Capture(directory, archive);
  } catch (error: unknown) {
    if (!(error instanceof DataDirectoryError) || error.code !== 'DATA_DAMAGED') throw error;
    const rule = error.message;
    const finding = { check: 'directory', shard: null, sequence: null, file: null, rule } as const;
    return { ...NOTHING_VERIFIED, directory, findings: [finding] };
  }
}

async function verify(capture: Capture): Promise<Verification> {
  const { meta, shards, directory, isLive } = capture;
  const requests = shards.map(({ last }, shard) => ({
    shard,
    // At rest, everything is read up to where the journal really ends, and not to where it was said to.
    to: isLive ? (last ?? Number.MAX_SAFE_INTEGER) : Number.MAX_SAFE_INTEGER,
    wantsIds: meta.shards > 1,
    checksSnapshots: true,
  }));
  const answers = await replayShards(capture, requests, 'verify');
  const states = answers.flatMap((answer) => (answer.type === 'state' ? [answer.state] : []));
  const findings: Finding[] = answers.flatMap(findingsOf);
  const snapshots = answers.flatMap(({ checks }) => checks);
  const notes = [...states.flatMap(partNotes), ...snapshots.flatMap(({ note }) => note ?? [])];
  if (states.length < answers.length) {
    notes.push('money and links over all shards were not checked, since not every shard could be');
    return { directory, isLive, states, snapshots, findings, notes, totals: [], messages: [] };
  }
  const messages = messagesInFlight(states);
  const totals = ledgerTotals(states, messages);
  for (const complaint of linkComplaints(states)) {
    const file = fileOf(shards[complaint.shard]!.view, complaint.sequence);
    findings.push({ check: 'links', file, ...complaint });
  }
  findings.push(...states.flatMap(({ shard }) => witnessFindings(capture, shard)));
  for (const rule of totalComplaints(totals)) {
    findings.push({ check: 'conservation', shard: null, sequence: null, file: null, rule });
  }
  notes.push(...duplicateNotes(states));
  return { directory, isLive, states, snapshots, findings, notes, totals, messages };
}

/** Rows that lie in an archive which was not named. */
function partNotes({ shard, snapshot }: ShardState): readonly string[] {
  if (snapshot === null) return [];
  return [
    `shard ${shard}: not all rows up to ${snapshot} are here, so it was executed from the snapshot of that sequence on, which was not compared with anything; --archive DIR checks all of it`,
  ];
}

/** What the head witness says against a shard's journal: that rows are gone, or that they are others. */
function witnessFindings(capture: Capture, shard: number): readonly Finding[] {
  const captured = capture.shards[shard]!;
  using journal = capture.journal(shard, captured);
  const lastSequence = journal.lastSequence();
  try {
    checkHead(newestHead(capture.witness, shard), { shard, lastSequence }, (sequence) =>
      journal.checksum(sequence),
    );
    return [];
  } catch (error: unknown) {
    if (!(error instanceof DataDirectoryError)) throw error;
    const file = fileOf(captured.view, lastSequence);
    return [{ check: 'witness', shard, sequence: lastSequence, file, rule: error.message }];
  }
}

function findingsOf(answer: ShardAnswer): readonly Finding[] {
  const snapshots = answer.checks.flatMap(({ shard, sequence, file, rule }): readonly Finding[] =>
    rule === null ? [] : [{ check: 'snapshot', shard, sequence, file, rule }],
  );
  if (answer.type === 'damage') return [{ check: 'journal', ...answer.damage }, ...snapshots];
  const { complaints } = answer.state;
  return [...complaints.map((one): Finding => ({ check: 'accounts', ...one })), ...snapshots];
}

function duplicateNotes(states: readonly ShardState[]): readonly string[] {
  const parted = states.flatMap(({ ids }) => (ids === null ? [] : [ids]));
  if (parted.length < 2) return [];
  const { count, first } = duplicateIds(parted);
  if (count === 0) return [];
  const some = first.map(({ id, shards }) => `${id} (shards ${shards.join(', ')})`).join(', ');
  const ids = count === 1 ? 'id is' : 'ids are';
  return [
    `${count} transfer ${ids} used on several shards, which is allowed: ${some}${count > first.length ? ', …' : ''}`,
  ];
}
