/**
 * What a signal does to the bench. The first one asks for the end: loads stop, children are ended, and everything is put away in order. A second
 * one does not wait for that: what is left is thrown away, and the process ends. Children never see the terminal's signal (children.ts).
 */

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
type EndSignal = (typeof SIGNALS)[number];

/** npm passes an interrupt on that the terminal has sent to all of the group already: that one is no second one. */
const ECHO_MS = 500;
/** By the habit of shells: 128 and the number of the signal. */
const EXIT_CODES: Readonly<Record<EndSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

export interface InterruptOptions {
  readonly now?: (() => number) | undefined;
  readonly exit?: ((code: number) => void) | undefined;
}

export class Interrupt implements Disposable {
  /** Throws away what must not be left behind, at once and without a promise. */
  onSecond: () => void = () => undefined;
  readonly #stop = new AbortController();
  readonly #now: () => number;
  readonly #exit: (code: number) => void;
  #firstMs = 0;

  constructor({ now, exit }: InterruptOptions = {}) {
    this.#now = now ?? ((): number => performance.now());
    this.#exit = exit ?? ((code): void => process.exit(code));
    for (const name of SIGNALS) process.on(name, this.receive);
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  readonly receive = (name: EndSignal): void => {
    if (!this.signal.aborted) {
      this.#firstMs = this.#now();
      this.#stop.abort();
    } else if (name !== 'SIGINT' || this.#now() - this.#firstMs > ECHO_MS) {
      try {
        this.onSecond();
      } finally {
        this.#exit(EXIT_CODES[name]);
      }
    }
  };

  [Symbol.dispose](): void {
    for (const name of SIGNALS) process.off(name, this.receive);
  }
}
