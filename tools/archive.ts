/**
 * An archive: sealed segments of shards without the directory that they came from, as `CLUSTER/shard-NNN/segment-….sqlite`. What can be checked there
 * is the rows: each one's checksum, the chain, density, and the form of its frame. They cannot be executed alone: the hashes' seed is in
 * `sycee.json`, and the first rows may be elsewhere.
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { JournalError } from '../persistence/errors.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import { viewArchive } from '../persistence/journal-view.ts';
import { segmentIdentity } from '../persistence/segment-reader.ts';
import { checkRows } from './row-checks.ts';
import { type Finding, NOTHING_VERIFIED, type Verification } from './verify-output.ts';

const SHARD_NAME = /^shard-\d{3}$/;
const CLUSTER_NAME = /^[0-9a-f]{32}$/;

/** Whether a directory has segments of shards and does not say, as a data directory does, whose it is. */
export function isArchive(directory: string): boolean {
  if (!existsSync(directory)) return false;
  // A data directory that has lost its sycee.json is none, nor is what lies in a data directory.
  const signs = ['sycee.json', 'head', '../sycee.json'];
  if (signs.some((name) => existsSync(join(directory, name)))) return false;
  return shardDirectories(directory).length > 0;
}

/** In the directory itself, in those of its clusters, or the directory itself is one. */
function shardDirectories(directory: string): readonly string[] {
  if (isShard(resolve(directory))) return [resolve(directory)];
  const clusters = [directory, ...within(directory, CLUSTER_NAME)];
  return clusters.flatMap((path) => within(path, SHARD_NAME).filter(isShard));
}

function isShard(path: string): boolean {
  return SHARD_NAME.test(basename(path)) && viewArchive(path).length > 0;
}

/** Directories of that name in a directory. */
function within(path: string, name: RegExp): readonly string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && name.test(entry.name))
    .map((entry) => join(path, entry.name))
    .toSorted();
}

export function verifyArchive(directory: string): Verification {
  const findings: Finding[] = [];
  const notes = ['an archive: its rows were checked, and not executed'];
  for (const path of shardDirectories(directory)) {
    try {
      notes.push(verifyShard(path));
    } catch (error: unknown) {
      if (!(error instanceof JournalError) || error.damage === undefined) throw error;
      const shard = Number(basename(path).slice(-3));
      findings.push({ check: 'journal', shard, ...error.damage });
    }
  }
  return { ...NOTHING_VERIFIED, directory: resolve(directory), findings, notes };
}

/** Returns what was checked, as a sentence. */
function verifyShard(directory: string): string {
  const view = viewArchive(directory);
  const eldest = view[0]!;
  const { first } = eldest;
  const identity = segmentIdentity(eldest);
  using journal = JournalReader.open({ directory, view, ...identity });
  const last = checkRows(journal, view, { first, last: Number.MAX_SAFE_INTEGER });
  const { clusterId, shard, shards } = identity;
  const which = `shard ${shard} of ${shards} of cluster ${clusterId}`;
  return `${which}: ${view.length} segments, sequences ${first} to ${last}`;
}
