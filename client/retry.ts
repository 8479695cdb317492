/**
 * One call: a deadline over everything, and tries of the same request until one is answered. It sends nothing itself; `attempt` does, and
 * sends the same bytes each time, so an id never has two meanings.
 *
 * What a caller learns when the deadline passes: `unknown` if any try may have reached the ledger, else the last refusal as it came.
 * A call without an effect (a lookup) is never unknown: it ends as `deadline_exceeded`.
 */
import { SyceeError } from '../lib/sycee-error.ts';

export const DEADLINE_MS_DEFAULT = 5_000;
export const DEADLINE_MS_MAX = 600_000;
const BACKOFF_MS_FIRST = 5;
const BACKOFF_MS_MAX = 500;

/** Time and chance, as arguments: tests turn the clock by hand. */
export interface RetryClock {
  now(): number;
  /** A number in [0, 1). */
  random(): number;
  /** Calls `onTime` once after that many milliseconds; the answer takes it back. */
  after(ms: number, onTime: () => void): () => void;
}

export const systemClock: RetryClock = {
  now: () => Date.now(),
  random: () => Math.random(),
  after: (ms, onTime) => {
    const timer = setTimeout(onTime, ms);
    return () => clearTimeout(timer);
  },
};

export interface RetryOptions {
  readonly deadlineMs?: number | undefined;
  /** Tries after the first; as many as fit before the deadline unless given. */
  readonly retries?: number | undefined;
  readonly hasEffect: boolean;
  readonly clock: RetryClock;
  /** Whether who carries the tries was closed: then there is no further one. */
  readonly isClosed?: () => boolean;
}

/** `deadline` is absolute, in milliseconds of the clock. */
export type Attempt<T> = (deadline: number) => Promise<T>;

export async function callUntilDeadline<T>(attempt: Attempt<T>, options: RetryOptions): Promise<T> {
  const { clock, hasEffect } = options;
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS_DEFAULT;
  // A program without types may give text, which would be compared as a number and added as text.
  const isTime = typeof deadlineMs === 'number' && deadlineMs >= 1 && deadlineMs <= DEADLINE_MS_MAX;
  if (!isTime) {
    throw new SyceeError('malformed_request', `deadlineMs is between 1 and ${DEADLINE_MS_MAX}`, {
      field: 'deadlineMs',
      rule: 'range',
    });
  }
  const deadline = clock.now() + deadlineMs;
  const retriesMax = options.retries ?? Number.POSITIVE_INFINITY;
  let mayHaveHappened = false;
  for (let tries = 0; ; tries++) {
    const outcome = await withinDeadline(attempt, deadline, clock);
    if (outcome.type === 'answer') return outcome.answer;
    const { error } = outcome;
    if (!error.retryable) throw error;
    // Only `unknown` leaves the effect open; every other refusal says that nothing was started.
    mayHaveHappened ||= error.code === 'unknown';
    if (options.isClosed?.() === true) throw closedError(hasEffect && mayHaveHappened);
    const pause = backoffMs(tries, clock);
    if (tries >= retriesMax || clock.now() + pause >= deadline) {
      throw finalError(error, hasEffect, mayHaveHappened);
    }
    await new Promise<void>((resolve) => clock.after(pause, resolve));
    if (options.isClosed?.() === true) throw closedError(hasEffect && mayHaveHappened);
  }
}

type Outcome<T> =
  | { readonly type: 'answer'; readonly answer: T }
  | { readonly type: 'refusal'; readonly error: SyceeError };

/** One promise for the answer and for the time that is over: a small request costs hardly more than its promises. */
function withinDeadline<T>(
  attempt: Attempt<T>,
  deadline: number,
  clock: RetryClock,
): Promise<Outcome<T>> {
  return new Promise((resolve) => {
    const takeBack = clock.after(Math.max(1, deadline - clock.now()), () => {
      const error = new SyceeError('unknown', 'no answer came before the deadline');
      resolve({ type: 'refusal', error });
    });
    const settle = (outcome: Outcome<T>): void => {
      takeBack();
      resolve(outcome);
    };
    attempt(deadline).then(
      (answer) => settle({ type: 'answer', answer }),
      (error: unknown) => settle({ type: 'refusal', error: asSyceeError(error) }),
    );
  });
}

/** Transports reject with SyceeError. What else comes out of one is a fault that leaves the outcome open. */
function asSyceeError(error: unknown): SyceeError {
  if (error instanceof SyceeError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new SyceeError('unknown', `the transport failed: ${reason}`, { cause: error });
}

/** Full jitter: anywhere between nothing and a bound that doubles with each try. */
function backoffMs(tries: number, clock: RetryClock): number {
  const bound = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** Math.min(tries, 16));
  return Math.ceil(1 + clock.random() * bound);
}

/** What a client says that was closed. */
export function closedError(mayHaveHappened: boolean): SyceeError {
  if (!mayHaveHappened) return new SyceeError('malformed_request', 'this client is closed');
  return new SyceeError(
    'unknown',
    'the client was closed before an answer came: it may or may not have happened, ask again with the same ids',
  );
}

function finalError(last: SyceeError, hasEffect: boolean, mayHaveHappened: boolean): SyceeError {
  if (!hasEffect) {
    if (last.code !== 'unknown') return last;
    return new SyceeError('deadline_exceeded', last.message, { cause: last });
  }
  if (!mayHaveHappened || last.code === 'unknown') return last;
  return new SyceeError(
    'unknown',
    `it may or may not have happened; the last try ended with: ${last.message}. Ask again with the same ids`,
    { cause: last },
  );
}
