import { expect, test, vi } from 'vitest';
import { ReadProblemLog } from './read-problem-log.ts';

test('each problem is said once, with what to do, and so many in a minute', () => {
  let now = 0;
  using _ = vi.spyOn(performance, 'now').mockImplementation(() => now);
  const lines: string[] = [];
  const log = new ReadProblemLog((line) => lines.push(line));
  const note = (n: number): void => log.note({ isDamage: true, text: `shard ${n}, a rule` });
  for (let round = 0; round < 3; round++) note(1);
  log.note({ isDamage: false, text: 'no such file' });
  expect(lines).toEqual([
    expect.stringMatching(/^a journal is damaged: shard 1, a rule\..*\.\/sycee verify/),
    'a question about the past could not be answered: no such file',
  ]);
  for (let n = 1; n <= 1000; n++) note(n);
  expect(lines.length).toBe(16);
  expect(lines.filter((line) => line.includes('More is not said'))).toEqual([lines.at(-1)]);
  now += 60_000;
  for (let n = 1; n <= 16; n++) note(n);
  // Those that were said before are not said again.
  expect(lines.length).toBe(17);
  for (let minute = 0; minute < 20; minute++) {
    now += 60_000;
    for (let n = 1; n <= 1000; n++) note(n);
  }
  // More than are remembered: no more than so many in each minute for that.
  expect(lines.length).toBeLessThanOrEqual(17 + 20 * 16);
});
