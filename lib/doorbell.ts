/**
 * Wake-ups between threads: a count of rings in shared memory. Anybody may ring; one thread waits.
 *
 * The waiting thread reads `seen` first, then looks for work, then waits with what it had seen: a ring that came after `seen` was read makes
 * the wait return at once. So none is missed: the ringer counts first and looks for a sleeper second, the sleeper says that it sleeps
 * first and compares the count second, and Atomics puts these four steps in one order. Work must be published before the ring.
 *
 * A ring wakes nobody who is awake, and then costs no system call. Waits are bounded by their timeout; it is also the fallback for an
 * event loop that is told late.
 */
/** Two cache lines: the count, and whether somebody sleeps. In words. */
const COUNT = 0;
const SLEEPING = 16;
export const DOORBELL_BYTES = 128;
/** Looks at the count before a thread goes to sleep: some microseconds, less than a sleep and a wake-up cost. */
export const DOORBELL_SPINS_DEFAULT = 200;

/** TypeScript's es2025 library does not know it yet, and it is a hint only. */
const pause: () => void =
  (Atomics as { pause?: (iterations?: number) => void }).pause ?? (() => undefined);

export class Doorbell {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #spins: number;

  /** The doorbell in the DOORBELL_BYTES from `offset` on; zero bytes are a doorbell that was never rung. */
  constructor(buffer: SharedArrayBuffer, offset = 0, spins = DOORBELL_SPINS_DEFAULT) {
    if (offset % DOORBELL_BYTES !== 0 || offset + DOORBELL_BYTES > buffer.byteLength) {
      throw new RangeError('a doorbell has cache lines of its own, within its buffer');
    }
    this.#words = new Int32Array(buffer, offset, DOORBELL_BYTES / 4);
    this.#spins = spins;
  }

  ring(): void {
    Atomics.add(this.#words, COUNT, 1);
    if (Atomics.load(this.#words, SLEEPING) !== 0) Atomics.notify(this.#words, COUNT);
  }

  /** To be read before looking for work, and given to the wait that follows. */
  seen(): number {
    return Atomics.load(this.#words, COUNT);
  }

  /** Blocks the thread until rung since `seen`, or for `timeoutMs`. True: it was rung. */
  wait(seen: number, timeoutMs: number): boolean {
    for (let spin = 0; spin < this.#spins; spin++) {
      if (this.seen() !== seen) return true;
      pause();
    }
    Atomics.store(this.#words, SLEEPING, 1);
    const outcome = Atomics.wait(this.#words, COUNT, seen, timeoutMs);
    Atomics.store(this.#words, SLEEPING, 0);
    return outcome !== 'timed-out';
  }

  /**
   * The same for a thread with an event loop. It always lets the loop turn, even when it was rung already, so that a loop of drain and wait
   * never starves timers and sockets. Gotcha: like Atomics.waitAsync, it does not keep the event loop alive.
   */
  async waitAsync(seen: number, timeoutMs: number): Promise<boolean> {
    Atomics.store(this.#words, SLEEPING, 1);
    const outcome = Atomics.waitAsync(this.#words, COUNT, seen, timeoutMs);
    if (outcome.async) {
      const value = await outcome.value;
      Atomics.store(this.#words, SLEEPING, 0);
      return value === 'ok';
    }
    Atomics.store(this.#words, SLEEPING, 0);
    await new Promise<void>((resolve) => void setImmediate(resolve));
    return outcome.value === 'not-equal';
  }
}
