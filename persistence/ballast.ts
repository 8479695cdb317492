/**
 * A file in the data directory that does nothing but take room. When even the reserve of the disk is used up, by others mostly, it is given back, so
 * that a stop, a rebuild, or a new segment still finds some. It is made again when there is room. Owned by the main thread, which looks at
 * it now and then; a process that was killed leaves it, and the next one finds it.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { exhaustedBelow, roomyFrom } from './storage-room.ts';

export const BALLAST_NAME = 'ballast';
export const BALLAST_BYTES = 8 << 20;
/** Of random bytes, so that no file system keeps it in less. */
const CHUNK_BYTES = 1 << 18;

export interface BallastOptions {
  /** The data directory. */
  readonly directory: string;
  /** 0: there is none. */
  readonly reserveBytes: number;
  readonly free: () => number;
  readonly log: (line: string) => void;
}

export class Ballast {
  readonly #options: BallastOptions;
  readonly #path: string;
  #isThere: boolean;
  #making: Promise<void> | null = null;

  constructor(options: BallastOptions) {
    this.#options = options;
    this.#path = join(options.directory, BALLAST_NAME);
    this.#isThere = existsSync(this.#path);
  }

  /** Gives it back, or makes it. */
  look(): void {
    const { reserveBytes, free } = this.#options;
    if (this.#isThere) this.giveBack();
    else if (reserveBytes > 0 && this.#making === null) {
      if (free() < roomyFrom(reserveBytes) + BALLAST_BYTES) return;
      this.#making = this.#make().finally(() => (this.#making = null));
    }
  }

  /** If it is needed. */
  giveBack(): void {
    const { reserveBytes, free, log } = this.#options;
    if (!this.#isThere || reserveBytes === 0) return;
    const left = free();
    if (left >= exhaustedBelow(reserveBytes)) return;
    rmSync(this.#path, { force: true });
    this.#isThere = false;
    log(`${left} bytes are left on the disk: the ballast is given back`);
  }

  /** Resolves when nothing is being written. */
  async rest(): Promise<void> {
    await this.#making;
  }

  async #make(): Promise<void> {
    const building = `${this.#path}.new`;
    try {
      const chunk = randomBytes(CHUNK_BYTES);
      await using file = await open(building, 'w', 0o600);
      for (let at = 0; at < BALLAST_BYTES; at += CHUNK_BYTES) await file.write(chunk, 0, null, at);
      await rename(building, this.#path);
      this.#isThere = true;
    } catch {
      // There is no room after all, or no right: without a ballast all goes on as well.
      await rm(building, { force: true });
    }
  }
}
