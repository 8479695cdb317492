/** The command line of `sycee replay`. */
import { resolve } from 'node:path';
import { parseToolArguments, idOf, textOf, type ParsedArguments } from './arguments.ts';
import { type Moment, parseMoment } from './moment.ts';
import { checkApart, type SinkTarget, sinkTarget } from './sink-target.ts';
import { UsageError } from './usage.ts';

export interface ReplayOptions {
  readonly directory: string;
  readonly to: Moment | undefined;
  readonly from: Moment | undefined;
  readonly account: Uint32Array | undefined;
  readonly archive: string | undefined;
  /** Snapshots are ignored. */
  readonly fromStart: boolean;
  readonly json: boolean;
  readonly csv: SinkTarget | undefined;
  readonly out: SinkTarget | undefined;
  readonly parsed: ParsedArguments;
}

export const REPLAY_HELP = `usage: sycee replay [DIR] [options]

Rebuilds the state of a ledger as it was at any moment, from its journals, and prints all balances. DIR (or --data; as for serve: SYCEE_DATA, sycee.config.json, ./data) is a
copy, a stopped directory, or one that a process is writing: that one is read up to the last commit seen at the beginning. Nothing in it is
changed, and no lock is taken.

  --to SEQUENCE|TIME      the moment; the end when left out. A sequence is one of a shard and needs --shard when there are several
  --from SEQUENCE|TIME    print what changed since this moment instead: every account with other balances
  --shard K               this shard alone
  --account ID            print the statement of one account instead: every transfer, with the balances after it
  --from-start            ignore snapshots: execute everything from the first row on
  --archive DIR           where sealed segments that are not in the directory any more have gone
  --json                  one JSON document on stdout
  --csv FILE|-            accounts, changes, or the statement as CSV, into a file or to stdout
  --out FILE              what would go to stdout, into a file

A TIME is ISO 8601 (UTC unless it says otherwise) with up to nine digits behind the point, or nanoseconds since 1970.
Digests are printed for each shard: two replays to the same moment give the same. A replay begins with the newest snapshot before the moment
that is sound; a statement with the first row.

examples:
  sycee replay
  sycee replay /backup/data --to 2026-11-25T17:00:00Z
  sycee replay --from 2026-11-25 --to 2026-11-26 --csv changes.csv
  sycee replay --account 42 --from 2026-11-01
  sycee replay --shard 0 --to 8143 --json
  sycee replay --from-start --archive /archive`;

export function parseReplayOptions(args: readonly string[]): ReplayOptions {
  const parsed = parseToolArguments(args, {
    to: { type: 'string' },
    from: { type: 'string' },
    shard: { type: 'string' },
    account: { type: 'string' },
    archive: { type: 'string' },
    'from-start': { type: 'boolean' },
    csv: { type: 'string' },
    out: { type: 'string' },
    json: { type: 'boolean' },
  });
  const { directory, values } = parsed;
  const [to, from, account] = ['to', 'from', 'account'].map((name) => textOf(parsed, name));
  const [csv, out] = ['csv', 'out'].map((name) => {
    const path = textOf(parsed, name);
    return path === undefined ? undefined : sinkTarget(path, `--${name}`);
  });
  const archive = textOf(parsed, 'archive');
  const json = values['json'] === true;
  if (json && csv?.type === 'stdout' && out === undefined) {
    throw new UsageError('--json and --csv - both want stdout: name a file for one of them');
  }
  checkApart(csv, out);
  return {
    directory,
    ...momentsOf(to, from),
    account: account === undefined ? undefined : idOf(account, '--account'),
    archive: archive === undefined ? undefined : resolve(archive),
    fromStart: values['from-start'] === true,
    json,
    csv,
    out,
    parsed,
  };
}

function momentsOf(
  to: string | undefined,
  from: string | undefined,
): Pick<ReplayOptions, 'to' | 'from'> {
  const end = to === undefined ? undefined : parseMoment(to, '--to');
  const start = from === undefined ? undefined : parseMoment(from, '--from');
  // As they are given: where no row lies between them both come to the same one.
  if (start?.type === 'time' && end?.type === 'time' && start.time > end.time) {
    throw new UsageError('--from is later than --to');
  }
  return { to: end, from: start };
}
