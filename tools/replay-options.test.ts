import { expect, test } from 'vitest';
import { parseReplayOptions } from './replay-options.ts';

test('a time to begin with that is later than that of the end is wrong usage, whatever lies between', () => {
  const [early, late] = ['2001-01-01T00:00:00Z', '2001-01-01T00:00:00.000000001Z'];
  expect(() => parseReplayOptions(['--from', late, '--to', early])).toThrow(
    expect.objectContaining({ name: 'UsageError', message: '--from is later than --to' }) as Error,
  );
  for (const to of [late, early]) {
    expect(parseReplayOptions(['--from', early, '--to', to]).from).toEqual({
      type: 'time',
      time: 978_307_200_000_000_000n,
    });
  }
});
