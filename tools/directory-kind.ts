/**
 * What a directory is taken for that is to be verified, by its names alone. A ledger's shards without the file that says whose they are must not
 * pass for an archive: an archive of them would be sound, and what has lost that file can be neither started nor restored.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { MANIFEST_NAME } from '../backup/manifest.ts';
import { ARCHIVED_NAME } from '../persistence/archived-segments.ts';
import { segmentsAmong } from '../persistence/segment.ts';

export const SHARD_NAME = /^shard-\d{3}$/;
export const CLUSTER_NAME = /^[0-9a-f]{32}$/;

/** `directory` is whatever says by itself what it is, or what is wrong with it. `nameless`: shards of a ledger, and nothing that says whose. */
export type DirectoryKind = 'directory' | 'backup' | 'archive' | 'nameless';

export function kindOf(directory: string): DirectoryKind {
  const has = (name: string): boolean => existsSync(join(directory, name));
  const there = statSync(directory, { throwIfNoEntry: false });
  if (there?.isDirectory() !== true || has('sycee.json')) return 'directory';
  if (has(MANIFEST_NAME)) return 'backup';
  if (has('head') || has('restoring.json')) return 'directory';
  const path = resolve(directory);
  const isPart = isShard(path) && (has('../sycee.json') || has(`../${MANIFEST_NAME}`));
  if (isPart) return 'directory';
  const own = isShard(path) ? [path] : within(path, SHARD_NAME).filter(isShard);
  if (own.length > 0) return own.every(isArchived) ? 'archive' : 'nameless';
  const shards = archivedShards(path);
  return shards.length > 0 && shards.every(isArchived) ? 'archive' : 'directory';
}

/** In an archive, in the directory of a cluster within one, or the directory itself is one. */
export function archivedShards(directory: string): readonly string[] {
  const path = resolve(directory);
  if (isShard(path)) return [path];
  const clusters = CLUSTER_NAME.test(basename(path)) ? [path] : within(path, CLUSTER_NAME);
  return clusters.flatMap((cluster) => within(cluster, SHARD_NAME).filter(isShard));
}

/** Whether it lies as an archive has it, and nothing is there that only a data directory or a backup has. */
function isArchived(path: string): boolean {
  const hasMore = readdirSync(path).some(
    (name) => name === ARCHIVED_NAME || name.startsWith('snapshot-'),
  );
  return CLUSTER_NAME.test(basename(dirname(path))) && !hasMore;
}

function isShard(path: string): boolean {
  return SHARD_NAME.test(basename(path)) && segmentsAmong(readdirSync(path)).length > 0;
}

/** Directories of that name in a directory. */
function within(path: string, name: RegExp): readonly string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && name.test(entry.name))
    .map((entry) => join(path, entry.name))
    .toSorted();
}
