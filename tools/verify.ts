/**
 * `sycee verify`: whether a ledger is sound. Each shard's journal is read and executed from beginning to end; then what only all shards together can
 * show is checked. What is wrong becomes a finding; no finding, sound.
 */
import { ARCHIVED_NAME } from '../persistence/archived-segments.ts';
import { DataDirectoryError, type JournalDamage, JournalError } from '../persistence/errors.ts';
import { checkHead, newestHead } from '../persistence/head-witness.ts';
import type { JournalReader } from '../persistence/journal-reader.ts';
import type { ViewedSegment } from '../persistence/journal-view.ts';
import { isArchive, verifyArchive } from './archive.ts';
import { Capture, isFromArchive } from './capture.ts';
import { ledgerTotals, linkComplaints, messagesInFlight, totalComplaints } from './conservation.ts';
import { duplicateIds } from './duplicate-ids.ts';
import { checkRows } from './row-checks.ts';
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
  const { meta, directory, isLive } = capture;
  const shards = capture.shards.map((one, shard) => {
    const damage = one.damage ?? damagedBeginning(capture, shard);
    return damage === undefined ? one : { ...one, damage };
  });
  const requests = shards.map(({ last }, shard) => ({
    shard,
    // At rest, everything is read up to where the journal really ends, and not to where it was said to.
    to: isLive ? (last ?? Number.MAX_SAFE_INTEGER) : Number.MAX_SAFE_INTEGER,
    wantsIds: meta.shards > 1,
    checksSnapshots: true,
  }));
  const replayed = await replayShards({ meta, shards }, requests, 'verify');
  const answers = replayed.map((answer) => withRowsBefore(capture, answer));
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

/** The segments that are read in the directory itself. */
function ownView(capture: Capture, shard: number): readonly ViewedSegment[] {
  const captured = capture.shards[shard]!;
  return captured.view.filter((segment) => !isFromArchive(captured, segment));
}

/**
 * First segments that are gone, and that `archived.json` does not list. A start refuses that, and a replay would not see it: it begins with a
 * snapshot, or with what was found in the archive.
 */
function damagedBeginning(capture: Capture, shard: number): JournalDamage | undefined {
  const view = ownView(capture, shard).slice(0, 1);
  let journal: JournalReader | undefined;
  try {
    journal = capture.journal(shard, { ...capture.shards[shard]!, view });
    journal.checkBeginning();
    return undefined;
  } catch (error: unknown) {
    if (!(error instanceof JournalError) || error.damage === undefined) throw error;
    // A segment that cannot be opened is found by the replay, which looks at snapshots as well.
    if (journal === undefined && error.damage.file !== ARCHIVED_NAME) return undefined;
    return error.damage;
  } finally {
    journal?.close();
  }
}

/** The rows that are here and lie before the snapshot with which the replay began: they are checked without being executed. */
function withRowsBefore(capture: Capture, answer: ShardAnswer): ShardAnswer {
  if (answer.type === 'damage' || answer.state.snapshot === null) return answer;
  const { shard, snapshot } = answer.state;
  const view = ownView(capture, shard);
  const [eldest] = view;
  if (eldest === undefined) return answer;
  try {
    using journal = capture.journal(shard, { ...capture.shards[shard]!, view });
    checkRows(journal, view, { first: eldest.first, last: snapshot });
    return answer;
  } catch (error: unknown) {
    if (!(error instanceof JournalError) || error.damage === undefined) throw error;
    const { passedOver, checks } = answer;
    return { type: 'damage', damage: { shard, ...error.damage }, passedOver, checks };
  }
}

/** Rows that lie in an archive which was not named. */
function partNotes({ shard, snapshot }: ShardState): readonly string[] {
  if (snapshot === null) return [];
  return [
    `shard ${shard}: not all rows up to ${snapshot} are here, so it was executed from the snapshot of that sequence on, which was not compared with anything, and what is here of them was checked and not executed; --archive DIR checks all of it`,
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
