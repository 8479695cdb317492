import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { LARGE_PAGE_BYTES, PAGE_BYTES } from './database.ts';
import { LiveSegment, segmentName } from './segment.ts';

const ROWS = 1200;

/** Lengths from a frame with nothing in it to several pages, each often enough for pages of the tree to be split. */
const bytesOf = (prng: Prng, pageBytes: number): number =>
  100 + prng.below(prng.below(4) === 0 ? 5 * pageBytes : pageBytes / 8);

test.each([PAGE_BYTES, LARGE_PAGE_BYTES])(
  'no row adds more to the WAL than is said before: pages of %i bytes',
  (pageBytes) => {
    const directory = mkdtempSync(join(tmpdir(), 'sycee-segment-'));
    const meta = {
      clusterId: 'a'.repeat(32),
      shard: 0,
      shards: 1,
      firstSequence: 1,
      previousChecksum: 0,
    };
    const prng = new Prng(pageBytes);
    using segment = LiveSegment.create(join(directory, segmentName(1)), meta, pageBytes);
    let before = segment.walBytes();
    let most = 0;
    for (let sequence = 1; sequence <= ROWS; sequence++) {
      const frame = new Uint8Array(bytesOf(prng, pageBytes));
      segment.append({ sequence, timestamp: 0n, frame }, 0);
      const after = segment.walBytes();
      most = Math.max(most, (after - before) / segment.walBytesMax(frame.byteLength));
      expect(after).toBeGreaterThan(before);
      before = after;
    }
    expect(most).toBeLessThanOrEqual(1);
    // It is worth asking how much there is only when this says so: not ten times as often as it is much.
    expect(most).toBeGreaterThan(0.5);
    rmSync(directory, { recursive: true });
  },
);
