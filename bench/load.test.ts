import { expect, test } from 'vitest';
import { runPaced } from './load.ts';

test('an interrupt ends a load at a rate before its next batch is due', async () => {
  const stop = new AbortController();
  let sent = 0;
  const options = { rate: 1, inFlight: 1, seconds: 3600, signal: stop.signal };
  await runPaced(options, () => {
    sent++;
    setImmediate(() => stop.abort());
    return { n: 3000, answered: Promise.resolve() };
  });
  expect(sent).toBe(1);
});
