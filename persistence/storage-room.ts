/**
 * Whether there is room on the disk for what a shard is about to write, so that a full one is refused before a group is taken, and not found out by
 * a commit that fails. Each actor has one and looks now and then: by what it has written, and by time.
 *
 * Full: less is left than the reserve. Creates are refused; what is under way between shards, and expiries, go on at the cost of the reserve.
 * Exhausted: even that is nearly used up. Nothing is appended any more. Both end when there is room again, and somewhat more.
 */
import { statfsSync } from 'node:fs';
import { assert } from '../engine/assert.ts';

export const RESERVE_BYTES_DEFAULT = 256 << 20;
const LOOK_MS = 250;
/** So many looks at least while the reserve is written full by one shard. */
const LOOKS_PER_RESERVE = 8;
/** The share of the reserve below which nothing is appended, and the one above it at which writing goes on. */
const EXHAUSTED_SHARE = 1 / 8;
const RESUME_SHARE = 1 / 8;
/** What an append writes besides its frame: pages that it shares with others, and their headers. */
const APPEND_BYTES = 4 * 8216;

export interface StorageRoomOptions {
  /** 0: there is always room. */
  readonly reserveBytes: number;
  readonly free: () => number;
  /** Milliseconds. */
  readonly now?: (() => number) | undefined;
  /** Taken for full until then, unless the file system says so itself and can be believed: a quota does not show in what is free. */
  readonly fullUntilMs?: number | undefined;
}

/** Bytes that this process may still write where the path is. */
export function freeBytes(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    // Where nobody can tell, the commit will.
    return Number.MAX_SAFE_INTEGER;
  }
}

export function exhaustedBelow(reserveBytes: number): number {
  return reserveBytes * EXHAUSTED_SHARE;
}

export function roomyFrom(reserveBytes: number): number {
  return reserveBytes * (1 + RESUME_SHARE);
}

export class StorageRoom {
  readonly #reserve: number;
  readonly #free: () => number;
  readonly #now: () => number;
  #fullUntilMs: number;
  #lookAtMs = Number.NEGATIVE_INFINITY;
  #written = 0;
  isFull = false;
  isExhausted = false;

  constructor({ reserveBytes, free, now, fullUntilMs }: StorageRoomOptions) {
    assert(reserveBytes >= 0, 'a reserve is a number of bytes');
    this.#reserve = reserveBytes;
    this.#free = free;
    this.#now = now ?? ((): number => performance.now());
    this.#fullUntilMs = fullUntilMs ?? Number.NEGATIVE_INFINITY;
    this.look();
  }

  /** Called before each group. Asks the file system when it is time. */
  look(): void {
    if (this.#reserve === 0) return;
    const now = this.#now();
    if (now < this.#lookAtMs && this.#written < this.#reserve / LOOKS_PER_RESERVE) return;
    this.#lookAtMs = now + LOOK_MS;
    this.#written = 0;
    const free = this.#free();
    if (free < this.#reserve) this.#fullUntilMs = now;
    const isHeldFull = now < this.#fullUntilMs;
    const least = this.isFull ? roomyFrom(this.#reserve) : this.#reserve;
    this.isFull = isHeldFull || free < least;
    this.isExhausted = isHeldFull || free < exhaustedBelow(this.#reserve);
  }

  wrote(frameBytes: number): void {
    this.#written += frameBytes + APPEND_BYTES;
  }
}
