/** The command line of `sycee verify`. */
import { resolve } from 'node:path';
import { parseToolArguments, textOf } from './arguments.ts';

export interface VerifyOptions {
  readonly directory: string;
  readonly archive: string | undefined;
  readonly json: boolean;
}

export const VERIFY_HELP = `usage: sycee verify [DIR] [options]

Proves that a ledger is sound, from its journals alone: every checksum, the chain over all rows, every frame executed again and compared, the limits
of all accounts, debits and credits over all shards with what is in flight between them, the links, and the head witness. Each snapshot is
compared with the state that the journal gives at its sequence. DIR (or --data; as for serve: SYCEE_DATA, sycee.config.json, ./data) is a copy, a
stopped directory, one that a process is writing, a backup, with every file that its backup.json names, or an archive of sealed segments, whose
rows cannot be executed alone but are checked.
Nothing in it is changed, and no lock is taken.

  --archive DIR           where sealed segments that are not in the directory any more have gone
  --json                  one JSON document on stdout

The exit code is 0 when everything is sound, and 3 when something is not: then the first wrong sequence of each shard is named, and its file.

examples:
  sycee verify
  sycee verify /backups/sycee --json
  sycee verify ./data --archive /archive`;

export function parseVerifyOptions(args: readonly string[]): VerifyOptions {
  const parsed = parseToolArguments(args, {
    archive: { type: 'string' },
    json: { type: 'boolean' },
  });
  const { directory, values } = parsed;
  const archive = textOf(parsed, 'archive');
  return {
    directory,
    archive: archive === undefined ? undefined : resolve(archive),
    json: values['json'] === true,
  };
}
