/**
 * `sycee verify`: whether a ledger, or a backup of one, is sound. Each shard's journal is read and executed from beginning to end; then what only
 * all shards together can show is checked. What is wrong becomes a finding; no finding, sound.
 */
import { resolve } from 'node:path';
import { DataDirectoryError } from '../persistence/errors.ts';
import { verifyArchive } from './archive.ts';
import { backupSubject } from './backup-subject.ts';
import { Capture, type CapturedShard } from './capture.ts';
import { ledgerTotals, linkComplaints, messagesInFlight, totalComplaints } from './conservation.ts';
import { kindOf } from './directory-kind.ts';
import { duplicateIds } from './duplicate-ids.ts';
import { damagedBeginning, withRowsBefore } from './part-checks.ts';
import { type Cleanup, runTool } from './run-tool.ts';
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
import { subjectOf, type VerifySubject } from './verify-subject.ts';
import { witnessDamage } from './witness-checks.ts';

export function runVerify(args: readonly string[], output: ToolOutput): Promise<number> {
  return runTool('verify', output, async (cleanup) => {
    const options = parseVerifyOptions(args);
    const subject = subjectAt(options, cleanup);
    const isDone = 'states' in subject;
    const found = isDone ? subject : await verify(subject, options);
    return writeVerification(found, options, output);
  });
}

/** What is there, or what can be said of it at once. */
function subjectAt(
  { directory, archive }: VerifyOptions,
  cleanup: Cleanup,
): VerifySubject | Verification {
  switch (kindOf(directory)) {
    case 'archive':
      return verifyArchive(directory);
    case 'backup':
      return backupSubject(directory, archive);
    case 'nameless':
      return damagedDirectory(directory, namelessRule(resolve(directory)));
    case 'directory':
    default:
      break;
  }
  try {
    return subjectOf(cleanup.add(new Capture(directory, archive)));
  } catch (error: unknown) {
    if (!(error instanceof DataDirectoryError) || error.code !== 'DATA_DAMAGED') throw error;
    return damagedDirectory(directory, error.message);
  }
}

/** A damaged directory is a finding too. */
function damagedDirectory(directory: string, rule: string): Verification {
  const finding = { check: 'directory', shard: null, sequence: null, file: null, rule } as const;
  return { ...NOTHING_VERIFIED, directory, findings: [finding] };
}

const namelessRule = (directory: string): string =>
  `${directory} has shards of a ledger, and neither sycee.json, as a data directory has, nor backup.json, as a backup has: one of them is lost, ` +
  "and it can be neither started nor restored. It is no archive, which has shards in a directory that is named by the cluster's id, and segments alone in them";

/** `replay`: who executes the journals; threads, when it is left out. */
export async function verify(
  subject: VerifySubject,
  { archive }: Pick<VerifyOptions, 'archive'>,
  replay: typeof replayShards = replayShards,
): Promise<Verification> {
  const { kind, meta, directory, isLive, ends } = subject;
  const shards = subject.shards.map((one, shard) => {
    const damage = one.damage ?? damagedBeginning(subject, shard);
    return damage === undefined ? one : { ...one, damage };
  });
  const requests = ends.map((to, shard) => {
    return { shard, to, wantsIds: meta.shards > 1, checksSnapshots: true };
  });
  let replayed: readonly ShardAnswer[];
  try {
    replayed = await replay({ meta, shards }, requests, 'verify');
  } catch (error: unknown) {
    const known = [...subject.findings, ...shards.flatMap(knownFindings)];
    if (!isArchived(error) || known.length === 0) throw error;
    // Rows in an archive that is not there say nothing against what was found without them.
    const notes = [...subject.notes, error.message];
    return { ...NOTHING_VERIFIED, kind, directory, isLive, findings: known, notes };
  }
  const answers = replayed
    .map((answer) => withRowsBefore(subject, answer))
    .map((answer) => asSaid(subject, answer));
  const states = answers.flatMap((answer) => (answer.type === 'state' ? [answer.state] : []));
  const findings: Finding[] = [...subject.findings, ...answers.flatMap(findingsOf)];
  const snapshots = answers.flatMap(({ checks }) => checks);
  const notes = [
    ...subject.notes,
    ...states.flatMap((state) => partNotes(state, archive)),
    ...snapshots.flatMap(({ note }) => note ?? []),
  ];
  const seen = { kind, directory, isLive, states, snapshots, findings, notes };
  if (states.length < answers.length) {
    notes.push('money and links over all shards were not checked, since not every shard could be');
    return { ...seen, totals: [], messages: [] };
  }
  const messages = messagesInFlight(states);
  const totals = ledgerTotals(states, messages);
  for (const complaint of linkComplaints(states)) {
    const file = fileOf(shards[complaint.shard]!.view, complaint.sequence);
    findings.push({ check: 'links', file, ...complaint });
  }
  const ofWitness = states.flatMap(({ shard }): readonly Finding[] => {
    const damage = witnessDamage(subject, shard);
    return damage === undefined ? [] : [{ check: 'witness', ...damage }];
  });
  findings.push(...ofWitness);
  if (ofWitness.length === 0) notes.push(...witnessNotes(subject));
  for (const rule of totalComplaints(totals)) {
    findings.push({ check: 'conservation', shard: null, sequence: null, file: null, rule });
  }
  notes.push(...duplicateNotes(states));
  return { ...seen, totals, messages };
}

function knownFindings({ damage }: CapturedShard, shard: number): readonly Finding[] {
  return damage === undefined ? [] : [{ check: 'journal', shard, ...damage }];
}

function isArchived(error: unknown): error is DataDirectoryError {
  return error instanceof DataDirectoryError && error.code === 'DATA_ARCHIVED';
}

/** What a backup says of a shard's end. */
function asSaid(subject: VerifySubject, answer: ShardAnswer): ShardAnswer {
  const damage = answer.type === 'state' ? subject.damageOf(answer.state) : undefined;
  if (damage === undefined) return answer;
  const { passedOver, checks } = answer;
  return { type: 'damage', damage, passedOver, checks };
}

/** Rows that lie in an archive which was not named, or that it does not have. */
function partNotes(
  { shard, snapshot }: ShardState,
  archive: string | undefined,
): readonly string[] {
  if (snapshot === null) return [];
  const remedy =
    archive === undefined
      ? '--archive DIR checks all of it'
      : `the archive ${archive} does not have all of its first segments`;
  return [
    `shard ${shard}: not all rows up to ${snapshot} are here, so it was executed from the snapshot of that sequence on, which was not compared with anything, and what is here of them was checked and not executed; ${remedy}`,
  ];
}

/** A witness that is passed over, since the other one speaks or nothing has to be said. */
function witnessNotes({ witness }: VerifySubject): readonly string[] {
  return witness.flatMap(({ path, pages }) => {
    const isDamaged = pages?.some(({ type }) => type === 'damaged') ?? false;
    const isForeign = pages?.some(({ type }) => type === 'foreign') ?? false;
    if (!isDamaged && !isForeign) return [];
    const what = isDamaged ? 'is damaged' : 'is of another cluster';
    return [`the head witness ${path} ${what} and was passed over; a start makes it anew`];
  });
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
