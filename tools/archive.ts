/**
 * An archive: sealed segments of shards without the directory that they came from, as `CLUSTER/shard-NNN/segment-….sqlite`. What can be checked there
 * is the rows: each one's checksum, the chain, density, and the form of its frame. They cannot be executed alone: the hashes' seed is in
 * `sycee.json`.
 *
 * Segments go there in order from the first one on, so a shard whose rows do not begin with sequence 1 has lost some. A shard of which nothing is there
 * may have archived nothing yet: only its `archived.json` knows, which is not here.
 */
import { basename, dirname, join, resolve } from 'node:path';
import { shardName } from '../persistence/data-directory.ts';
import { JournalError } from '../persistence/errors.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import { viewArchive, type ViewedSegment } from '../persistence/journal-view.ts';
import { segmentIdentity } from '../persistence/segment-reader.ts';
import { segmentName } from '../persistence/segment.ts';
import { archivedShards } from './directory-kind.ts';
import { checkRows } from './row-checks.ts';
import { type Finding, NOTHING_VERIFIED, type Verification } from './verify-output.ts';

export function verifyArchive(directory: string): Verification {
  const findings: Finding[] = [];
  const notes = ['an archive: its rows were checked, and not executed'];
  const paths = archivedShards(directory);
  /** By the directory of a cluster. */
  const counts = new Map<string, number>();
  for (const path of paths) {
    try {
      const { shards, view, last } = verifyShard(path);
      counts.set(dirname(path), shards);
      const { first } = view[0]!;
      notes.push(`${nameOf(path, shards)}: ${view.length} segments, sequences ${first} to ${last}`);
      if (first > 1) findings.push(lateBeginning(path, first));
    } catch (error: unknown) {
      if (!(error instanceof JournalError) || error.damage === undefined) throw error;
      findings.push({ check: 'journal', shard: shardOf(path), ...error.damage });
    }
  }
  const isOneShard = paths[0] === resolve(directory);
  for (const [cluster, shards] of isOneShard ? [] : counts) {
    notes.push(...absentNotes({ cluster, shards, paths }));
  }
  return { ...NOTHING_VERIFIED, kind: 'archive', directory: resolve(directory), findings, notes };
}

const shardOf = (path: string): number => Number(basename(path).slice(-3));

const nameOf = (path: string, shards: number): string =>
  `shard ${shardOf(path)} of ${shards} of cluster ${basename(dirname(path))}`;

interface CheckedShard {
  /** As the segments say. */
  readonly shards: number;
  readonly view: readonly ViewedSegment[];
  readonly last: number;
}

function verifyShard(directory: string): CheckedShard {
  const view = viewArchive(directory);
  const eldest = view[0]!;
  // Whose it is, the place says; of how many shards, only the segments.
  const { shards } = segmentIdentity(eldest);
  const identity = { clusterId: basename(dirname(directory)), shard: shardOf(directory), shards };
  using journal = JournalReader.open({ directory, view, ...identity });
  const range = { first: eldest.first, last: Number.MAX_SAFE_INTEGER };
  return { shards, view, last: checkRows(journal, view, range) };
}

function lateBeginning(path: string, first: number): Finding {
  const rule = `the rows 1 to ${first - 1} before this segment are missing: an archive has a shard's segments from the first one on`;
  const where = { shard: shardOf(path), sequence: first, file: segmentName(first) };
  return { check: 'journal', ...where, rule };
}

interface Cluster {
  /** Its directory. */
  readonly cluster: string;
  readonly shards: number;
  /** All directories of shards that have segments. */
  readonly paths: readonly string[];
}

function absentNotes({ cluster, shards, paths }: Cluster): readonly string[] {
  const own = Array.from({ length: shards }, (_, shard) => join(cluster, shardName(shard)));
  const absent = own.filter((path) => !paths.includes(path));
  return absent.map(
    (path) =>
      `${nameOf(path, shards)}: nothing is here, which is as it should be only while that shard has archived nothing: ` +
      '"sycee verify DATA --archive DIR" with the data directory knows',
  );
}
