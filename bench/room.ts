/**
 * Whether the disk has room for a run. A ledger that finds less than its reserve refuses, and its clients wait for room until their deadlines: so
 * the bench looks first, and while it runs, and says where there is too little and what to do. Knows nothing of quotas, which the ledger finds out.
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SyceeError } from '../lib/sycee-error.ts';
import { freeBytes, RESERVE_BYTES_DEFAULT } from '../persistence/storage-room.ts';
import type { BenchOptions } from './options.ts';

const MEBIBYTE = 1 << 20;
/** For accounts and the first seconds of a load. */
const RUN_BYTES = 64 * MEBIBYTE;
const LOOK_MS = 250;

type Where = Pick<BenchOptions, 'directory'>;
type Free = (directory: string) => number;

/** Throws a sentence where a run would not get far. */
export function requireRoom(where: Where, free: Free = freeBytes): void {
  const needed = RESERVE_BYTES_DEFAULT + RUN_BYTES;
  if (free(placeOf(where)) < needed) throw new Error(sentence(where, needed, free));
}

/** Looks until it is disposed of. */
export class RoomWatch implements Disposable {
  /** Rejects, with a sentence, when there is no room any more; so does the signal. */
  readonly full: Promise<never>;
  readonly #where: Where;
  readonly #free: Free;
  readonly #stop = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(where: Where, free: Free = freeBytes) {
    this.#where = where;
    this.#free = free;
    const { signal } = this.#stop;
    this.full = new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    // Nobody may be waiting for it any more.
    this.full.catch(() => undefined);
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  look(): void {
    if (this.#free(placeOf(this.#where)) >= RESERVE_BYTES_DEFAULT) return;
    this.#stop.abort(new Error(this.#sentence()));
  }

  /** Why a run failed: a ledger that refused for want of room names options that the bench has not. */
  reasonOf(error: unknown): unknown {
    if (this.signal.aborted) return this.signal.reason;
    const isFull = error instanceof SyceeError && error.code === 'storage_full';
    return isFull ? new Error(this.#sentence(), { cause: error }) : error;
  }

  #sentence(): string {
    return sentence(this.#where, RESERVE_BYTES_DEFAULT, this.#free);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function sentence(where: Where, needed: number, free: Free): string {
  const [left, least] = [free(placeOf(where)), needed].map((bytes) => Math.floor(bytes / MEBIBYTE));
  const place = where.directory ?? tmpdir();
  return `there is no room in ${place}: ${left} MiB are free there, and ${least} MiB at least have to be; name a directory on a larger disk with --data, or one for temporary directories with TMPDIR`;
}

/** The directory may be one that is still to be made. */
function placeOf({ directory }: Where): string {
  let place = path.resolve(directory ?? tmpdir());
  while (!existsSync(place) && place !== path.dirname(place)) place = path.dirname(place);
  return place;
}
