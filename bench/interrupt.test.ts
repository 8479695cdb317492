import { expect, test, vi } from 'vitest';
import { Interrupt } from './interrupt.ts';

function interrupted() {
  const clock = { ms: 0 };
  const exit = vi.fn<(code: number) => void>();
  const interrupt = new Interrupt({ now: () => clock.ms, exit });
  const thrownAway = vi.fn<() => void>();
  interrupt.onSecond = thrownAway;
  return { clock, exit, interrupt, thrownAway };
}

test('the first signal asks for the end, and a second one does not wait for it', () => {
  const { clock, exit, interrupt, thrownAway } = interrupted();
  using _ = interrupt;
  expect(interrupt.signal.aborted).toBe(false);
  interrupt.receive('SIGINT');
  expect(interrupt.signal.aborted).toBe(true);
  expect(exit).not.toHaveBeenCalled();
  clock.ms = 501;
  interrupt.receive('SIGINT');
  expect(thrownAway).toHaveBeenCalledOnce();
  expect(exit).toHaveBeenCalledWith(130);
});

test('what npm passes on of the same interrupt is no second one, and SIGTERM always is', () => {
  const { clock, exit, interrupt, thrownAway } = interrupted();
  using _ = interrupt;
  interrupt.receive('SIGINT');
  clock.ms = 500;
  interrupt.receive('SIGINT');
  expect(exit).not.toHaveBeenCalled();
  interrupt.receive('SIGTERM');
  expect(thrownAway).toHaveBeenCalledOnce();
  expect(exit).toHaveBeenCalledWith(143);
});

test('the process ends even when something cannot be thrown away', () => {
  const { exit, interrupt } = interrupted();
  using _ = interrupt;
  interrupt.onSecond = (): void => {
    throw new Error('busy');
  };
  interrupt.receive('SIGTERM');
  expect(() => interrupt.receive('SIGTERM')).toThrow('busy');
  expect(exit).toHaveBeenCalledWith(143);
});

test('it listens for as long as it lives', () => {
  const before = process.listenerCount('SIGINT');
  {
    using _ = new Interrupt();
    expect(process.listenerCount('SIGINT')).toBe(before + 1);
  }
  expect(process.listenerCount('SIGINT')).toBe(before);
});
