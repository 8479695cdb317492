import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Ballast, BALLAST_BYTES, BALLAST_NAME } from './ballast.ts';

const RESERVE = 1 << 20;

test('a ballast is made when there is room, given back when there is none, and made again', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sycee-ballast-'));
  const path = join(directory, BALLAST_NAME);
  const lines: string[] = [];
  let free = 100 * RESERVE;
  const options = {
    directory,
    reserveBytes: RESERVE,
    free: () => free,
    log: (line: string) => void lines.push(line),
  };
  const look = async (ballast: Ballast, left: number): Promise<boolean> => {
    free = left;
    ballast.look();
    await ballast.rest();
    return existsSync(path);
  };
  const ballast = new Ballast(options);
  expect(await look(ballast, RESERVE + BALLAST_BYTES)).toBe(false);
  expect(await look(ballast, 100 * RESERVE)).toBe(true);
  expect(statSync(path).size).toBe(BALLAST_BYTES);
  expect(await look(ballast, RESERVE / 8)).toBe(true);
  expect(await look(ballast, RESERVE / 8 - 1)).toBe(false);
  expect(lines).toEqual([expect.stringContaining('the ballast is given back')]);
  expect(await look(ballast, RESERVE)).toBe(false);
  expect(await look(ballast, 100 * RESERVE)).toBe(true);
  // The next process finds it.
  expect(await look(new Ballast(options), 0)).toBe(false);
  expect(await look(new Ballast({ ...options, reserveBytes: 0 }), 100 * RESERVE)).toBe(false);
  rmSync(directory, { recursive: true });
});
