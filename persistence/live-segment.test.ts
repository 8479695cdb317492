import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Prng } from '../lib/prng.ts';
import { LARGE_PAGE_BYTES, PAGE_BYTES } from './database.ts';
import { LiveSegment, segmentName } from './segment.ts';

interface Shape {
  readonly pageBytes: number;
  readonly rows: number;
  readonly bytesOf: (prng: Prng) => number;
}

/** From a frame with nothing in it to several pages. */
const mixed = (pageBytes: number): Shape => ({
  pageBytes,
  rows: 1200,
  bytesOf: (prng) => 100 + prng.below(prng.below(4) === 0 ? 5 * pageBytes : pageBytes / 8),
});

/** With leaves of so few rows that pages above them are split, too. */
const even: Shape = { pageBytes: PAGE_BYTES, rows: 3200, bytesOf: () => 2700 };

test.each([mixed(PAGE_BYTES), mixed(LARGE_PAGE_BYTES), even])(
  'no row adds more to the WAL than is said before: $rows rows, pages of $pageBytes bytes',
  ({ pageBytes, rows, bytesOf }) => {
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
    for (let sequence = 1; sequence <= rows; sequence++) {
      const frame = new Uint8Array(bytesOf(prng));
      segment.append({ sequence, timestamp: 0n, frame }, 0);
      const after = segment.walBytes();
      most = Math.max(most, (after - before) / segment.walBytesMax(frame.byteLength));
      before = after;
    }
    expect(most).toBeLessThanOrEqual(1);
    // How much there is is asked when it may be so much: it is not to be asked with every other row.
    expect(most).toBeGreaterThan(0.4);
    rmSync(directory, { recursive: true });
  },
);
