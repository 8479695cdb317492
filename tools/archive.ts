/**
 * An archive: sealed segments of shards without the directory that they came from, as `CLUSTER/shard-NNN/segment-….sqlite`. What can be checked there
 * is the rows: each one's checksum, the chain, density, and the form of its frame. They cannot be executed alone: the hashes' seed is in
 * `sycee.json`, and the first rows may be elsewhere.
 */
import { basename, dirname, resolve } from 'node:path';
import { JournalError } from '../persistence/errors.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import { viewArchive } from '../persistence/journal-view.ts';
import { segmentIdentity } from '../persistence/segment-reader.ts';
import { archivedShards } from './directory-kind.ts';
import { checkRows } from './row-checks.ts';
import { type Finding, NOTHING_VERIFIED, type Verification } from './verify-output.ts';

export function verifyArchive(directory: string): Verification {
  const findings: Finding[] = [];
  const notes = ['an archive: its rows were checked, and not executed'];
  for (const path of archivedShards(directory)) {
    try {
      notes.push(verifyShard(path));
    } catch (error: unknown) {
      if (!(error instanceof JournalError) || error.damage === undefined) throw error;
      findings.push({ check: 'journal', shard: shardOf(path), ...error.damage });
    }
  }
  return { ...NOTHING_VERIFIED, kind: 'archive', directory: resolve(directory), findings, notes };
}

const shardOf = (path: string): number => Number(basename(path).slice(-3));

/** Returns what was checked, as a sentence. */
function verifyShard(directory: string): string {
  const view = viewArchive(directory);
  const eldest = view[0]!;
  const { first } = eldest;
  // Whose it is, the place says; of how many shards, only the segments.
  const { shards } = segmentIdentity(eldest);
  const clusterId = basename(dirname(directory));
  const shard = shardOf(directory);
  const identity = { clusterId, shard, shards };
  using journal = JournalReader.open({ directory, view, ...identity });
  const last = checkRows(journal, view, { first, last: Number.MAX_SAFE_INTEGER });
  const which = `shard ${shard} of ${shards} of cluster ${clusterId}`;
  return `${which}: ${view.length} segments, sequences ${first} to ${last}`;
}
