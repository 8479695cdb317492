import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { SyceeError } from '../lib/sycee-error.ts';
import { requireRoom, RoomWatch } from './room.ts';
import { runBench } from './run.ts';

const MEBIBYTE = 1 << 20;
const temporary = { directory: undefined };
const advice =
  'name a directory on a larger disk with --data, or one for temporary directories with TMPDIR';

afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
});

test('a run that would not get far is refused: where, how much is free, and how much is needed', () => {
  expect(() => requireRoom(temporary, () => 120.5 * MEBIBYTE)).toThrow(
    `there is no room in ${tmpdir()}: 120 MiB are free there, and 320 MiB at least have to be; ${advice}`,
  );
  expect(() => requireRoom(temporary, () => 320 * MEBIBYTE)).not.toThrow();
});

test('a directory that is still to be made has the room of the one that it will be in', () => {
  const asked: string[] = [];
  requireRoom({ directory: path.join(tmpdir(), 'no-such', 'ledger') }, (place) => {
    asked.push(place);
    return 1024 * MEBIBYTE;
  });
  expect(asked).toEqual([tmpdir()]);
});

test('a disk that fills up while the load runs ends it', async () => {
  let free = 256 * MEBIBYTE;
  using room = new RoomWatch({ directory: 'there' }, () => free);
  room.look();
  expect(room.signal.aborted).toBe(false);
  free -= 1;
  room.look();
  expect(room.signal.aborted).toBe(true);
  const sentence = `there is no room in there: 255 MiB are free there, and 256 MiB at least have to be; ${advice}`;
  await expect(room.full).rejects.toThrow(sentence);
  expect(room.reasonOf(new Error('closed'))).toMatchObject({ message: sentence });
});

test('a refusal for want of room says what the bench can be asked', () => {
  using room = new RoomWatch(temporary, () => 400 * MEBIBYTE);
  const refusal = new SyceeError('storage_full', 'see --reserve-mib');
  expect(room.reasonOf(refusal)).toMatchObject({ message: expect.stringContaining(advice) });
  const other = new SyceeError('overloaded', 'later');
  expect(room.reasonOf(other)).toBe(other);
});

test('the bench starts nothing where there is no room', async () => {
  diskOf([120]);
  expect(await saidOf('uniform --accounts 200 --seconds 3600')).toContain('320 MiB at least');
});

test('the bench ends when the disk has filled up', async () => {
  // It has looked once before it starts.
  diskOf([1_024, 200]);
  expect(await saidOf('uniform --accounts 200 --seconds 3600')).toContain(
    '200 MiB are free there, and 256 MiB at least',
  );
});

/** What is free in MiB, look by look of this thread; the last one stays. */
function diskOf(looks: number[]): void {
  vi.spyOn(fs, 'statfsSync').mockImplementation(((): object => ({
    bsize: MEBIBYTE,
    bavail: looks.length > 1 ? looks.shift() : looks[0],
  })) as unknown as typeof fs.statfsSync);
  syncBuiltinESMExports();
}

async function saidOf(line: string): Promise<unknown> {
  const said = vi.spyOn(console, 'error').mockReturnValue();
  expect(await runBench(line.split(' '))).toBe(1);
  return said.mock.lastCall![0];
}
