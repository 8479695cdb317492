/**
 * What a start makes of a data directory, without its threads: the same checks in the same order, then snapshot and replay, in some ten milliseconds. Nothing in the
 * directory is changed, so thousands of damaged ones can be judged. What the command line says of them is tested on a few.
 */
import { join } from 'node:path';
import { digestText } from '../../engine/digest.ts';
import { Group } from '../../engine/group.ts';
import { StateMachine } from '../../engine/state-machine.ts';
import { DataDirectory, type DirectoryMeta } from '../../persistence/data-directory.ts';
import { HeadWitness } from '../../persistence/head-witness.ts';
import { SqliteJournal } from '../../persistence/sqlite-journal.ts';
import { RecordReader } from '../../sharding/record-reader.ts';
import { recoverState } from '../../sharding/recovery.ts';
import { replayJournal } from '../../sharding/replay.ts';

export type Verdict =
  | { readonly type: 'refused'; readonly code: string; readonly sentence: string }
  | { readonly type: 'sound'; readonly shards: readonly ColdShard[] };

export interface ColdShard {
  readonly sequence: number;
  readonly digest: string;
}

const REFUSAL_CODES = new Set([
  'JOURNAL_CORRUPT',
  'DATA_DAMAGED',
  'DATA_OTHER_VERSION',
  'DATA_FOREIGN',
]);

/** One for all, since it is large. */
const group = new Group();

/** All shards, or the one that is asked for. Throws whatever is neither a state nor a refusal with exit code 3. */
export function coldStart(directory: string, only?: number): Verdict {
  try {
    using opened = DataDirectory.open({ directory, create: false });
    const { meta } = opened;
    const all = Array.from({ length: meta.shards }, (_, shard) => shard);
    const asked = only === undefined ? all : [only];
    return { type: 'sound', shards: asked.map((shard) => shardOf(directory, meta, shard)) };
  } catch (error: unknown) {
    const { code, message } = error as { code?: unknown; message: string };
    if (typeof code !== 'string' || !REFUSAL_CODES.has(code)) throw error;
    return { type: 'refused', code, sentence: message };
  }
}

function shardOf(
  data: string,
  { clusterId, shards, seed }: DirectoryMeta,
  shard: number,
): ColdShard {
  const directory = join(data, `shard-${String(shard).padStart(3, '0')}`);
  const identity = { clusterId, shard, shards };
  const witness = new HeadWitness(data, identity);
  using journal = SqliteJournal.open({ directory, ...identity, witness, isHeld: true });
  const quiet = { note: () => undefined, onProgress: () => undefined };
  const loaded = recoverState({ directory, ...identity, seed, journal, group, ...quiet });
  const machine = loaded?.machine ?? new StateMachine({ shard, shards, seed }, group);
  const records = new RecordReader(journal, shards);
  const after = loaded?.manifest.sequence;
  const { sequence } = replayJournal({ journal, machine, group, records, after });
  return { sequence, digest: digestText(machine.digest()) };
}
