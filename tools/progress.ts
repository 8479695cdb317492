/** How far the threads of a tool are, as a line on a terminal that is written over; nothing where there is no terminal. */
import { performance } from 'node:perf_hooks';

const PERIOD_MS = 200;
const BAR_CHARACTERS = 24;
/** The first figures say little. */
const ESTIMATE_FROM_MS = 1000;

export class Progress implements Disposable {
  readonly #what: string;
  readonly #total: number;
  readonly #done: Float64Array;
  readonly #began = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;

  /** `done` has a number for each thread; they add up to `total` bytes, about. */
  constructor(what: string, total: number, done: SharedArrayBuffer) {
    this.#what = what;
    this.#total = total;
    this.#done = new Float64Array(done);
    if (!process.stderr.isTTY) return;
    this.#timer = setInterval(() => this.#draw(), PERIOD_MS).unref();
  }

  #draw(): void {
    const done = this.#done.reduce((sum, one) => sum + one, 0);
    process.stderr.write(
      `\r${progressLine(this.#what, done / this.#total, this.#elapsedMs())}\u001b[K`,
    );
  }

  #elapsedMs(): number {
    return performance.now() - this.#began;
  }

  [Symbol.dispose](): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    process.stderr.write('\r\u001b[K');
  }
}

/** The sizes of files are not those of frames, so it never says that everything is done. */
export function progressLine(what: string, fraction: number, elapsedMs: number): string {
  const part = Math.min(0.99, fraction);
  const full = Math.round(part * BAR_CHARACTERS);
  const bar = '#'.repeat(full) + '.'.repeat(BAR_CHARACTERS - full);
  const percent = String(Math.floor(part * 100)).padStart(3);
  const line = `${what} [${bar}] ${percent} %`;
  if (elapsedMs < ESTIMATE_FROM_MS || part === 0) return line;
  const seconds = Math.ceil((elapsedMs / 1000) * (1 / part - 1));
  const minutes = Math.floor(seconds / 60);
  return `${line}  ${minutes > 0 ? `${minutes} min ` : ''}${seconds % 60} s left`;
}
