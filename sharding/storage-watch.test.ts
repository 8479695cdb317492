import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Counter, COUNTERS } from './shard-protocol.ts';
import { StorageWatch } from './storage-watch.ts';

const MIB = 1 << 20;

test('the log says when shards begin to refuse for want of room, why, and when that is over', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sycee-storage-watch-'));
  const lines: string[] = [];
  let free = 1000 * MIB;
  const watch = new StorageWatch({
    directory,
    reserveBytes: 256 * MIB,
    free: () => free,
    log: (line) => void lines.push(line),
  });
  const shards = [0, 1].map(() => ({ counters: new Float64Array(COUNTERS) }));
  const look = (first: number, second: number, freeMib: number): readonly string[] => {
    free = freeMib * MIB;
    shards[0]!.counters[Counter.storageFull] = first;
    shards[1]!.counters[Counter.storageFull] = second;
    watch.look(shards);
    return lines.splice(0);
  };
  expect(look(0, 0, 1000)).toEqual([]);
  expect(look(0, 1, 255)).toEqual([
    '255 MiB are left on the disk, less than the reserve of 256 MiB (--reserve-mib): creates are refused as storage_full until there are 288 MiB; look-ups go on',
  ]);
  expect(look(1, 2, 250)).toEqual([]);
  expect(look(1, 0, 280)).toEqual([]);
  expect(look(0, 0, 289)).toEqual(['there is room on the disk: creates are taken']);
  expect(look(1, 0, 500)).toEqual([
    'a commit found no room on the disk, though 500 MiB seem to be left: creates are refused as storage_full, and it is tried again in some seconds; look-ups go on',
  ]);
  await watch.rest();
  rmSync(directory, { recursive: true });
});
