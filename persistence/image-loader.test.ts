import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ImageSection } from '../engine/image.ts';
import { WrittenSnapshots } from '../test/support/written-snapshot.ts';
import { filledBeside, type FillOptions } from './image-loader.ts';
import { listSnapshots } from './snapshot-manifest.ts';

/** What it takes to fill a table of one chunk of accounts. */
function tableOf(written: WrittenSnapshots): FillOptions {
  const manifest = written.write();
  const [files] = listSnapshots(written.directory);
  const target = new Uint32Array(new SharedArrayBuffer(20 * 128));
  const pieces = [{ section: ImageSection.accounts, chunk: 0, target }];
  return { path: files!.image, manifest, pieces };
}

test('a thread that has not begun in time is done without, and changes nothing when it comes', async () => {
  using written = new WrittenSnapshots();
  const options = tableOf(written);
  const filling = filledBeside({ ...options, beginMs: 0 });
  expect(() => filling.next()).toThrow(expect.objectContaining({ hasBegun: false }) as Error);
  await sleep(500);
  expect(options.pieces[0]!.target.every((word) => word === 0)).toBe(true);
});

test('a thread that fails in the midst says so', () => {
  using written = new WrittenSnapshots();
  // The image has more than that.
  const options = tableOf(written);
  expect(() => [...filledBeside(options)]).toThrow(
    expect.objectContaining({ hasBegun: true }) as Error,
  );
  expect(options.pieces[0]!.target[0]).toBe(1);
});
