/**
 * Looks now and then whether shards refuse to write for want of room on the disk: says in the log when that begins and when it is over, and keeps the
 * ballast. That a shard refuses it finds out by itself (persistence/storage-room.ts) and has in its counters.
 */
import { Ballast, type BallastOptions } from '../persistence/ballast.ts';
import { roomyFrom } from '../persistence/storage-room.ts';
import { Counter } from './shard-protocol.ts';

const MIB = 1 << 20;

export class StorageWatch {
  readonly #options: BallastOptions;
  readonly #ballast: Ballast;
  #isFull = false;

  constructor(options: BallastOptions) {
    this.#options = options;
    this.#ballast = new Ballast(options);
  }

  look(shards: readonly { readonly counters: Float64Array }[]): void {
    const isFull = shards.some(({ counters }) => counters[Counter.storageFull] !== 0);
    if (isFull !== this.#isFull) {
      this.#isFull = isFull;
      this.#options.log(isFull ? this.#fullLine() : 'there is room on the disk: creates are taken');
    }
    this.#ballast.look();
  }

  #fullLine(): string {
    const { reserveBytes, free } = this.#options;
    const left = free();
    const [leftMib, reserveMib, roomyMib] = [left, reserveBytes, roomyFrom(reserveBytes)].map(
      (bytes) => Math.floor(bytes / MIB),
    );
    const refused = 'creates are refused as storage_full';
    return left < reserveBytes
      ? `${leftMib} MiB are left on the disk, less than the reserve of ${reserveMib} MiB (--reserve-mib): ${refused} until there are ${roomyMib} MiB; look-ups go on`
      : `a commit found no room on the disk, though ${leftMib} MiB seem to be left: ${refused}, and it is tried again in some seconds; look-ups go on`;
  }

  /** Gives the ballast back, if it is needed. */
  giveBack(): void {
    this.#ballast.giveBack();
  }

  /** Resolves when nothing is being written. */
  rest(): Promise<void> {
    return this.#ballast.rest();
  }
}
