/** What verify looks at, whatever it is: a data directory as it is captured, or a backup as its manifest says (backup-subject.ts). */
import type { Capture } from './capture.ts';
import type { ShardDamage, ShardState } from './shard-task.ts';
import type { Finding, Verification } from './verify-output.ts';

export interface VerifySubject extends Pick<
  Capture,
  'directory' | 'meta' | 'isLive' | 'witness' | 'shards' | 'journal'
> {
  readonly kind: Verification['kind'];
  /** By shard, up to where rows are read. */
  readonly ends: readonly number[];
  /** What is wrong before a row was read, and what is to be known. */
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
  /** What else a shard has to be, after its last row. */
  damageOf(state: ShardState): ShardDamage | undefined;
}

export function subjectOf(capture: Capture): VerifySubject {
  const { directory, meta, isLive, witness, shards } = capture;
  // At rest, everything is read up to where the journal really ends, and not to where it was said to.
  const ends = shards.map(({ last = Number.MAX_SAFE_INTEGER }) =>
    isLive ? last : Number.MAX_SAFE_INTEGER,
  );
  const seen = { directory, meta, isLive, witness, shards };
  return {
    ...seen,
    kind: 'directory',
    journal: (shard, captured) => capture.journal(shard, captured),
    ends,
    findings: [],
    notes: [],
    damageOf: () => undefined,
  };
}
