/** What is named with --archive has to be an archive of the ledger that is looked at: of anything else nothing would be read, and nobody would notice. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ARCHIVED_NAME } from '../persistence/archived-segments.ts';
import { type DirectoryMeta, shardName } from '../persistence/data-directory.ts';
import { CLUSTER_NAME, SHARD_NAME } from './directory-kind.ts';
import { UsageError } from './usage.ts';

type Owner = Pick<DirectoryMeta, 'clusterId' | 'shards'>;

/** What a file system puts into its root. */
const IDLE_NAME = 'lost+found';

/** Throws UsageError. `directory` is that of the ledger, or of its backup. */
export function expectArchive(archive: string, directory: string, owner: Owner): void {
  const { clusterId } = owner;
  const refuse = (what: string): UsageError =>
    new UsageError(
      `--archive ${archive} ${what}: name the directory that has ${clusterId}/shard-…`,
    );
  const there = statSync(archive, { throwIfNoEntry: false });
  if (there === undefined) throw refuse('is not there');
  if (!there.isDirectory()) throw refuse('is not a directory');
  const names = readdirSync(archive).filter((name) => name !== IDLE_NAME);
  if (hasShards(join(archive, clusterId))) return;
  // The process that is to fill it has been given it already.
  if (names.length === 0 && !hasArchived(directory, owner)) return;
  const others = names.filter((name) => CLUSTER_NAME.test(name) && name !== clusterId);
  if (others.length === 0) throw refuse('has no shards of this ledger, and is no archive of it');
  throw refuse(`is an archive of another ledger (${others[0]})`);
}

function hasShards(cluster: string): boolean {
  return existsSync(cluster) && readdirSync(cluster).some((name) => SHARD_NAME.test(name));
}

/** Whether any segment of the ledger has ever gone into an archive. */
function hasArchived(directory: string, { shards }: Owner): boolean {
  return Array.from({ length: shards }, (_, shard) => shardName(shard)).some((name) =>
    existsSync(join(directory, name, ARCHIVED_NAME)),
  );
}
