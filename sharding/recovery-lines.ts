/** What the log says of a shard that recovers, and of one that has recovered. */
import { unreachable } from '../engine/assert.ts';
import { Counter, RecoveryPhase, type FromShard } from './shard-protocol.ts';

/** How far a shard that recovers has come. */
export interface RecoveryProgress {
  readonly phase: 'opening' | 'loading' | 'replaying';
  /** While it replays: the row it is at, and the last one. */
  readonly sequence: number;
  readonly of: number;
  /** Of what it is at. */
  readonly fraction: number;
}

export function recoveryProgress(counters: Float64Array): RecoveryProgress {
  const done = counters[Counter.recoveryDone]!;
  const all = counters[Counter.recoveryOf]!;
  const fraction = all === 0 ? 0 : done / all;
  const phase: number = counters[Counter.recoveryPhase]!;
  if (phase === RecoveryPhase.loading) return { phase: 'loading', sequence: 0, of: 0, fraction };
  if (phase !== RecoveryPhase.replaying) {
    return { phase: 'opening', sequence: 0, of: 0, fraction: 0 };
  }
  const sequence = counters[Counter.replayed]!;
  return { phase: 'replaying', sequence, of: sequence + all - done, fraction };
}

export function progressLine(shard: number, progress: RecoveryProgress): string {
  const { phase, sequence, of, fraction } = progress;
  const percent = `${Math.floor(100 * fraction)} %`;
  switch (phase) {
    case 'loading':
      return `shard ${shard} loads its snapshot: ${percent}`;
    case 'replaying':
      return `shard ${shard} replays its journal: ${percent}, sequence ${sequence} of ${of}`;
    case 'opening':
      return `shard ${shard} opens its journal`;
    default:
      return unreachable(phase);
  }
}

/** Undefined for a shard that has no journal yet. */
export function recoveryLine(
  shard: number,
  recovered: Extract<FromShard, { type: 'recovered' }>,
): string | undefined {
  const { sequence, events, seconds, snapshot } = recovered;
  if (sequence === 0) return undefined;
  const rate = seconds > 0 ? Math.round(events / seconds) : 0;
  const replayed = `${events} events at ${rate}/s`;
  if (snapshot === undefined)
    return `shard ${shard} recovered to sequence ${sequence}: ${replayed}`;
  const mib = (snapshot.bytes / 2 ** 20).toFixed(1);
  return (
    `shard ${shard} recovered to sequence ${sequence}: snapshot at ${snapshot.sequence}, ${mib} MiB in ` +
    `${snapshot.seconds.toFixed(2)} s, then ${replayed}`
  );
}
