import { describe, expect, test } from 'vitest';
import { type ErrorCode, SyceeError } from '../lib/sycee-error.ts';
import { callUntilDeadline, type RetryClock } from './retry.ts';

/** Time that stands still until something waits and nothing else can happen; then it jumps to the next timer. */
class StepClock implements RetryClock {
  #now = 1_000;
  #timers: { at: number; onTime: () => void }[] = [];
  readonly waits: number[] = [];

  now(): number {
    return this.#now;
  }

  random(): number {
    return 0.5;
  }

  after(ms: number, onTime: () => void): () => void {
    const timer = { at: this.#now + ms, onTime };
    this.waits.push(ms);
    this.#timers.push(timer);
    setImmediate(() => this.#step());
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** Timers that were neither due nor taken back. */
  get left(): number {
    return this.#timers.length;
  }

  #step(): void {
    const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
    if (next === undefined) return;
    this.#timers = this.#timers.filter((one) => one !== next);
    this.#now = Math.max(this.#now, next.at);
    next.onTime();
  }
}

const refusal = (code: ErrorCode): SyceeError => new SyceeError(code, `refused: ${code}`);

async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'resolved',
    (error: unknown) => (error instanceof SyceeError ? error.code : 'another error'),
  );
}

describe('callUntilDeadline', () => {
  test('a call that is answered at once is tried once', async () => {
    let tries = 0;
    const answer = await callUntilDeadline(
      async () => {
        tries++;
        return 'answer';
      },
      { hasEffect: true, clock: new StepClock() },
    );
    expect([answer, tries]).toEqual(['answer', 1]);
  });

  test('what has an answer, or a refusal, leaves no timer behind', async () => {
    const clock = new StepClock();
    await callUntilDeadline(() => Promise.resolve('answer'), { hasEffect: true, clock });
    expect(clock.left).toBe(0);
    const refused = callUntilDeadline(() => Promise.reject(refusal('malformed_request')), {
      hasEffect: true,
      clock,
    });
    expect(await codeOf(refused)).toBe('malformed_request');
    expect([clock.left, clock.waits.length]).toEqual([0, 2]);
  });

  test.each(['overloaded', 'unknown', 'shard_unavailable', 'not_ready'] as const)(
    'after %s the call is tried again',
    async (code) => {
      let tries = 0;
      const answer = await callUntilDeadline(
        async () => {
          if (++tries < 3) throw refusal(code);
          return tries;
        },
        { hasEffect: true, clock: new StepClock() },
      );
      expect(answer).toBe(3);
    },
  );

  test.each(['malformed_request', 'unauthorized', 'too_large'] as const)(
    'after %s the call is not tried again',
    async (code) => {
      let tries = 0;
      const call = callUntilDeadline(
        async () => {
          tries++;
          throw refusal(code);
        },
        { hasEffect: true, clock: new StepClock() },
      );
      expect([await codeOf(call), tries]).toEqual([code, 1]);
    },
  );

  test('what is refused until the deadline ends with that refusal, because nothing was started', async () => {
    const clock = new StepClock();
    const call = callUntilDeadline(() => Promise.reject(refusal('overloaded')), {
      hasEffect: true,
      deadlineMs: 300,
      clock,
    });
    expect(await codeOf(call)).toBe('overloaded');
    expect(clock.now()).toBeLessThan(1_300);
  });

  test('one unknown try makes the whole call unknown, even when the last try was refused', async () => {
    let tries = 0;
    const call = callUntilDeadline(
      async () => {
        throw refusal(++tries === 1 ? 'unknown' : 'overloaded');
      },
      { hasEffect: true, deadlineMs: 100, clock: new StepClock() },
    );
    expect(await codeOf(call)).toBe('unknown');
    expect(tries).toBeGreaterThan(1);
  });

  test('a call that is never answered is unknown at the deadline', async () => {
    const clock = new StepClock();
    const call = callUntilDeadline(() => new Promise<never>(() => {}), {
      hasEffect: true,
      deadlineMs: 700,
      clock,
    });
    expect(await codeOf(call)).toBe('unknown');
    expect(clock.now()).toBe(1_700);
  });

  test('a lookup is never unknown', async () => {
    const call = callUntilDeadline(() => new Promise<never>(() => {}), {
      hasEffect: false,
      clock: new StepClock(),
    });
    expect(await codeOf(call)).toBe('deadline_exceeded');
  });

  test('pauses between tries grow and stay bounded', async () => {
    const clock = new StepClock();
    const call = callUntilDeadline(() => Promise.reject(refusal('overloaded')), {
      hasEffect: true,
      deadlineMs: 5_000,
      clock,
    });
    await codeOf(call);
    const pauses = clock.waits.filter((ms) => ms <= 251);
    expect(pauses[1]!).toBeGreaterThan(pauses[0]!);
    expect(Math.max(...pauses)).toBe(251);
  });

  test('a bound on retries is kept', async () => {
    let tries = 0;
    const call = callUntilDeadline(
      async () => {
        tries++;
        throw refusal('overloaded');
      },
      { hasEffect: true, retries: 2, clock: new StepClock() },
    );
    expect([await codeOf(call), tries]).toEqual(['overloaded', 3]);
  });

  test('a fault of the transport leaves the outcome open', async () => {
    const call = callUntilDeadline(() => Promise.reject(new TypeError('broken')), {
      hasEffect: true,
      retries: 0,
      clock: new StepClock(),
    });
    expect(await codeOf(call)).toBe('unknown');
  });

  test('a deadline that is no positive number is refused', async () => {
    const call = callUntilDeadline(async () => 1, {
      hasEffect: true,
      deadlineMs: Number.NaN,
      clock: new StepClock(),
    });
    expect(await codeOf(call)).toBe('malformed_request');
  });
});
