/** What lies in a data directory, for a comparison before and after. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Path and hash of every file of a directory, and of the head witness beside it. Without the lock files, and without what SQLite makes beside a
 * WAL that it reads: neither says anything of the ledger.
 */
export function contentOf(directory: string): readonly string[] {
  const content = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => !/^lock|-shm$/.test(name))
    .map((name) => ({ name, path: join(directory, name) }));
  content.push({ name: '(beside)', path: `${directory}.head` });
  return content
    .filter(({ path }) => statSync(path, { throwIfNoEntry: false })?.isFile() === true)
    .map(
      ({ name, path }) => `${name} ${createHash('sha1').update(readFileSync(path)).digest('hex')}`,
    )
    .toSorted();
}

/** Every file with its bytes and when it was written last: for tools that leave all as it is. */
export function untouchedContentOf(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return `${path} ${statSync(path, { bigint: true }).mtimeNs} ${readFileSync(path).toString('base64')}`;
    })
    .toSorted();
}
