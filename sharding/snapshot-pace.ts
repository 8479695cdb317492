/**
 * How fast the thread of snapshots works: after so much time of a processor it rests, for `rests` times as long, so that the actors, who may have
 * none to spare, have the cores (`bench snapshot-under-load`). At a stop nobody needs it.
 */
import { SnapshotPhase, SnapshotWord } from './snapshot-source.ts';

const SLICE_US = 2_000;
/** A quarter of a core. */
export const PACE_RESTS = 3;
/** While accounts are read half a core: each one that changes until then is logged, which costs the actor more than the core does. */
export const PACE_RESTS_ACCOUNTS = 1;
/** With a longer log of before-images it does not rest until it has read everything. */
const LOG_BYTES_CALM = 96 << 20;

export class SnapshotPace {
  readonly #words: Int32Array;
  #processor = process.threadCpuUsage();
  rests = PACE_RESTS;

  /** `words`: those that a shard's snapshots share. */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Nobody works beside this thread. */
  get isAlone(): boolean {
    return Atomics.load(this.#words, SnapshotWord.hurry) === 1;
  }

  /** Called often. */
  keep(): void {
    const { user, system } = process.threadCpuUsage(this.#processor);
    const used = user + system;
    if (used < SLICE_US) return;
    // What changes meanwhile costs memory: a shard that changes much would give the snapshot up before its end.
    const words = this.#words;
    const isRead = Atomics.load(words, SnapshotWord.phase) === SnapshotPhase.read;
    const logBytes = (Atomics.load(words, SnapshotWord.log) >>> 0) * 4;
    if (isRead || logBytes < LOG_BYTES_CALM) {
      Atomics.wait(words, SnapshotWord.hurry, 0, (used / 1000) * this.rests);
    }
    this.#processor = process.threadCpuUsage();
  }
}
