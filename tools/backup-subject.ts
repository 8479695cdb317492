/**
 * A backup as verify looks at it: what `backup.json` names, and no more. Files that are there besides, and rows behind its own, come from a run that was
 * cut off, and a restore passes them over too. Its rows are executed as those of a data directory are: the hashes' seed is in the manifest.
 */
import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import {
  BackupError,
  type BackupFile,
  type BackupManifest,
  type BackupShard,
  MANIFEST_NAME,
  readManifest,
  SNAPSHOT_FILE,
} from '../backup/manifest.ts';
import { shardName } from '../persistence/data-directory.ts';
import { sumOf } from '../persistence/file-copy.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import { joinViews } from '../persistence/journal-view.ts';
import { segmentName } from '../persistence/segment.ts';
import { snapshotFiles } from '../persistence/snapshot-manifest.ts';
import { type CapturedShard, viewArchived } from './capture.ts';
import { expectArchive } from './named-archive.ts';
import type { ShardDamage, ShardState } from './shard-task.ts';
import { type Finding, NOTHING_VERIFIED, type Verification } from './verify-output.ts';
import type { VerifySubject } from './verify-subject.ts';

const NOT_THERE = `${MANIFEST_NAME} names it, and it is not there`;

/** What can be said of one whose manifest cannot be read, is said at once. */
export function backupSubject(
  path: string,
  archive: string | undefined,
): VerifySubject | Verification {
  const directory = resolve(path);
  let manifest: BackupManifest;
  try {
    manifest = readManifest(directory)!;
  } catch (error: unknown) {
    if (!(error instanceof BackupError)) throw error;
    const where = { shard: null, sequence: null, file: null };
    const finding: Finding = { check: 'backup', ...where, rule: error.message };
    return { ...NOTHING_VERIFIED, kind: 'backup', directory, findings: [finding] };
  }
  const { meta, created } = manifest;
  const { clusterId, shards: count } = meta;
  if (archive !== undefined) expectArchive(archive, directory, meta);
  const files = manifest.shards.map((said, shard) => fileFindings(directory, said, shard));
  const shards = manifest.shards.map((said, shard): CapturedShard => {
    const wrong = new Set(files[shard]!.map(({ file }) => file));
    const sound = said.files.filter(({ name }) => !wrong.has(name)).map(({ name }) => name);
    const captured = capturedShard(join(directory, shardName(shard)), said, sound);
    const archived = viewArchived(archive, { clusterId, shard });
    return { ...captured, view: joinViews(captured.view, archived) };
  });
  const journal: VerifySubject['journal'] = (shard, { directory: own, view }) =>
    JournalReader.open({ directory: own, clusterId, shard, shards: count, view });
  return {
    kind: 'backup',
    directory,
    meta,
    isLive: false,
    witness: [],
    shards,
    journal,
    ends: manifest.shards.map(({ sequence }) => sequence),
    findings: files.flat(),
    notes: [`a backup of cluster ${clusterId}, made ${created}, as its ${MANIFEST_NAME} says`],
    damageOf: (state) => {
      using rows = journal(state.shard, shards[state.shard]!);
      return damageOf(state, manifest.shards[state.shard]!, rows);
    },
  };
}

/** A shard of which a segment is missing is not read: the manifest says at once what is wrong. */
function capturedShard(
  directory: string,
  { sequence, segments }: BackupShard,
  soundFiles: readonly string[],
): CapturedShard {
  const isThere = ({ name }: BackupFile): boolean => isFile(join(directory, name));
  const view = segments.filter(isThere).map(({ first, name, bytes }) => {
    return { first, path: join(directory, name), isInPlace: true, bytes };
  });
  // A start has to find an image for each manifest.
  const sequences = soundFiles.flatMap((name) => {
    const isWhole = soundFiles.includes(name.replace(/json$/, 'image'));
    return name.endsWith('.json') && isWhole ? Number(SNAPSHOT_FILE.exec(name)?.[1] ?? 0) : [];
  });
  const snapshots = sequences
    .filter((one) => one > 0)
    .toSorted((one, two) => two - one)
    .map((one) => snapshotFiles(directory, one));
  const captured = { directory, view, snapshots, last: sequence };
  const missing = segments.find((segment) => !isThere(segment));
  if (missing !== undefined) {
    const damage = { file: missing.name, sequence: missing.first, rule: NOT_THERE };
    return { ...captured, damage };
  }
  if (existsSync(directory)) return captured;
  const rule = 'the directory of this shard is missing';
  return { ...captured, damage: { file: basename(directory), sequence: 1, rule } };
}

/** Of snapshots, and of `archived.json`. */
function fileFindings(directory: string, { files }: BackupShard, shard: number): Finding[] {
  return files.flatMap((file): Finding[] => {
    const rule = brokenRule(join(directory, shardName(shard), file.name), file);
    const sequence = Number(SNAPSHOT_FILE.exec(file.name)?.[1] ?? 1);
    return rule === undefined ? [] : [{ check: 'backup', shard, sequence, file: file.name, rule }];
  });
}

function brokenRule(path: string, { bytes, crc32 }: BackupFile): string | undefined {
  if (!isFile(path)) return NOT_THERE;
  const { size } = statSync(path);
  if (size !== bytes) return `it has ${size} bytes, and ${MANIFEST_NAME} says ${bytes}`;
  const isSame = sumOf(path, 'as it is').crc32 === crc32;
  return isSame ? undefined : `it does not match its checksum in ${MANIFEST_NAME}`;
}

const isFile = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isFile() === true;

/** What a restore compares after it has copied all rows. */
function damageOf(
  { shard, sequence: end, received, acknowledged }: ShardState,
  { sequence, checksum, segments, links }: BackupShard,
  journal: JournalReader,
): ShardDamage | undefined {
  const damage = (file: string, at: number, rule: string): ShardDamage => {
    return { shard, file, sequence: at, rule };
  };
  const name = segments.findLast(({ first }) => first <= end + 1)?.name ?? segmentName(1);
  if (end !== sequence) {
    return damage(name, end + 1, `the row is missing: ${MANIFEST_NAME} says ${sequence} rows`);
  }
  for (const segment of segments) {
    if (journal.checksum(segment.last) === segment.lastChecksum) continue;
    return damage(segment.name, segment.last, `it is another row than ${MANIFEST_NAME} says`);
  }
  if (journal.checksum(sequence) !== checksum) {
    return damage(name, sequence, `it is another row than ${MANIFEST_NAME} says`);
  }
  const areSame = isEach(received, links.received) && isEach(acknowledged, links.acknowledged);
  if (areSame) return undefined;
  return damage(name, sequence, `its rows say something else of the links than ${MANIFEST_NAME}`);
}

function isEach(numbers: Float64Array, said: readonly number[]): boolean {
  return numbers.every((number, i) => number === said[i]);
}
