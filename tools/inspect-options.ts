/** The command line of `sycee inspect`. */
import { resolve } from 'node:path';
import { SEQUENCE_MAX } from '../engine/limits.ts';
import { parseToolArguments, textOf } from './arguments.ts';
import { UsageError } from './usage.ts';

/** Where something lies, as it is written on the command line: SHARD:SEQUENCE or SHARD:SEQUENCE:ROW. */
export interface Place {
  readonly shard: number;
  readonly sequence: number;
  readonly row: number | undefined;
}

export type Subject =
  | { readonly type: 'overview' | 'pending' | 'links' }
  | { readonly type: 'segment'; readonly file: string }
  | { readonly type: 'snapshot'; readonly file: string }
  | { readonly type: 'frame' | 'row'; readonly place: Place }
  | { readonly type: 'transfer'; readonly id: string };

export interface InspectOptions {
  readonly directory: string;
  readonly archive: string | undefined;
  readonly json: boolean;
  readonly subject: Subject;
}

export const INSPECT_HELP = `usage: sycee inspect [DIR] [options]

Shows what is in a data directory, in readable form: without options its segments and snapshots, with their sequences, times, and sizes, and how
far the head witness says that the journals go. DIR (or --data; as for serve: SYCEE_DATA, sycee.config.json, ./data)
is a copy, a stopped directory, or one that a process is writing. Nothing in it is changed, and no lock is taken.

  --segment FILE                  a segment: whose it is, and its rows
  --snapshot FILE                 a snapshot, by its image or its manifest: whose it is, its sections, and what was in flight; it is read as a whole
  --frame SHARD:SEQUENCE          a group: its inputs, and every row with its outcome
  --transfer SHARD:SEQUENCE:ROW   one row of a group
  --transfer ID                   all that the journals say of a transfer id: tries, outcomes, its post, void, or expiry
  --pending                       the open pending transfers, at the end
  --links                         what the shards have sent each other, and what is under way
  --archive DIR                   where sealed segments that are not in the directory any more have gone
  --json                          one JSON document on stdout

examples:
  sycee inspect
  sycee inspect /backup/data --frame 0:8143
  sycee inspect --transfer 100
  sycee inspect --transfer 0:8143:17 --json
  sycee inspect --snapshot ./data/shard-000/snapshot-000000008100.image
  sycee inspect --links`;

const SUBJECTS = ['segment', 'snapshot', 'frame', 'transfer', 'pending', 'links'] as const;

export function parseInspectOptions(args: readonly string[]): InspectOptions {
  const parsed = parseToolArguments(args, {
    segment: { type: 'string' },
    snapshot: { type: 'string' },
    frame: { type: 'string' },
    transfer: { type: 'string' },
    archive: { type: 'string' },
    pending: { type: 'boolean' },
    links: { type: 'boolean' },
    json: { type: 'boolean' },
  });
  const { directory, values } = parsed;
  const asked = SUBJECTS.filter((name) => values[name] !== undefined);
  if (asked.length > 1) throw new UsageError(`--${asked[0]} and --${asked[1]}: one at a time`);
  const archive = textOf(parsed, 'archive');
  return {
    directory,
    archive: archive === undefined ? undefined : resolve(archive),
    json: values['json'] === true,
    subject: subjectOf(asked[0], (name) => textOf(parsed, name)!),
  };
}

function subjectOf(
  asked: (typeof SUBJECTS)[number] | undefined,
  text: (name: string) => string,
): Subject {
  switch (asked) {
    case 'segment':
    case 'snapshot':
      return { type: asked, file: text(asked) };
    case 'frame':
      return { type: 'frame', place: placeOf(text('frame'), '--frame', 2) };
    case 'transfer': {
      const id = text('transfer');
      if (!id.includes(':')) return { type: 'transfer', id };
      return { type: 'row', place: placeOf(id, '--transfer', 3) };
    }
    case 'pending':
    case 'links':
      return { type: asked };
    case undefined:
    default:
      return { type: 'overview' };
  }
}

function placeOf(text: string, flag: string, parts: 2 | 3): Place {
  const numbers = text.split(':').map((part) => (/^\d{1,13}$/.test(part) ? Number(part) : NaN));
  const [shard, sequence, row] = numbers;
  const isPlace = numbers.length === parts && numbers.every((one) => one <= SEQUENCE_MAX);
  if (!isPlace || sequence === 0) {
    const form = parts === 2 ? 'SHARD:SEQUENCE' : 'SHARD:SEQUENCE:ROW';
    throw new UsageError(
      `${flag} "${text}" is not ${form}; shards and rows begin with 0, sequences with 1`,
    );
  }
  return { shard: shard!, sequence: sequence!, row };
}
