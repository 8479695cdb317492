import {
  cpSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fill, place, sequences, upTo, walBytes } from '../test/support/journal-place.ts';
import { losePages } from '../test/support/lost-pages.ts';
import { openForReading } from './database.ts';
import { doubtfulWalsIn, holdDoubtfulWal, restoreDoubtfulWals } from './doubtful-wal.ts';
import { LiveCheckpoint } from './live-checkpoint.ts';
import { SegmentSealer } from './segment-sealer.ts';
import { segmentName } from './segment.ts';
import { SqliteJournal } from './sqlite-journal.ts';

const ONE = segmentName(1);

/**
 * A directory with rows 1 to 20 in a segment whose WAL is held: as an orderly stop leaves it, or, with the WAL's own name, as a kill does. All rows are
 * moved, or those up to 12.
 */
function heldDirectory(isKilled: boolean): string {
  using at = place();
  const copy = mkdtempSync(join(tmpdir(), 'sycee-doubtful-'));
  {
    using journal = SqliteJournal.open({ ...at.options, segmentBytesMax: 8 << 20 });
    fill(journal, 12);
    using checkpoint = new LiveCheckpoint(at.path(1));
    checkpoint.step();
    holdDoubtfulWal(at.path(1));
    fill(journal, 20);
    if (isKilled) cpSync(at.options.directory, copy, { recursive: true });
  }
  expect(walBytes(at.path(1))).toBe(0);
  if (isKilled) {
    // A copy has two files where there were two names.
    const [held] = doubtfulWalsIn(copy);
    rmSync(join(copy, held!));
    linkSync(join(copy, `${ONE}-wal`), join(copy, held!));
    rmSync(join(copy, `${ONE}-shm`));
  } else cpSync(at.options.directory, copy, { recursive: true });
  losePages(join(copy, ONE));
  return copy;
}

const optionsOf = (directory: string): Parameters<typeof SqliteJournal.open>[0] => {
  using at = place();
  return { ...at.options, directory, segmentBytesMax: 8 << 20 };
};

describe('the WAL of a segment that could not be synced', () => {
  test.each([false, true])(
    'is moved once more by the next process, and then loses its second name: after a kill %s',
    async (isKilled) => {
      const directory = heldDirectory(isKilled);
      const options = optionsOf(directory);
      for (let life = 1; life <= 3; life++) {
        restoreDoubtfulWals(directory);
        expect(doubtfulWalsIn(directory)).toEqual([]);
        const sealer = new SegmentSealer();
        using journal = SqliteJournal.open({ ...options, sealer: sealer.connect() });
        expect(sequences(journal)).toEqual(upTo(20 + (life - 1) * 120));
        fill(journal, 20 + life * 120);
        await sealer.stop();
      }
      rmSync(directory, { recursive: true });
    },
  );

  test('is still held when somebody has the segment open from before', () => {
    const directory = heldDirectory(true);
    const held = doubtfulWalsIn(directory);
    const segment = join(directory, ONE);
    const before = new LiveCheckpoint(segment);
    before.step();
    const reader = openForReading(segment);
    expect(reader.prepare('SELECT count(*) FROM meta').pluck().get()).toBe(1);
    before.close();
    losePages(segment);
    expect(() => restoreDoubtfulWals(directory)).toThrow('somebody has it open');
    reader.close();
    expect(doubtfulWalsIn(directory)).toEqual(held);
    restoreDoubtfulWals(directory);
    expect(doubtfulWalsIn(directory)).toEqual([]);
    using journal = SqliteJournal.open(optionsOf(directory));
    expect(sequences(journal)).toEqual(upTo(20));
    rmSync(directory, { recursive: true });
  });

  test("stays when its segment is gone, goes when it is another segment's, and is refused when it is damaged", () => {
    const directory = heldDirectory(false);
    const [held] = doubtfulWalsIn(directory);
    renameSync(join(directory, ONE), join(directory, 'away'));
    restoreDoubtfulWals(directory);
    expect(doubtfulWalsIn(directory)).toEqual([held]);
    renameSync(join(directory, 'away'), join(directory, ONE));
    const others = held!.replace(/\.[0-9a-f]{16}\./, '.0123456789abcdef.');
    renameSync(join(directory, held!), join(directory, others));
    restoreDoubtfulWals(directory);
    expect(readdirSync(directory).filter((name) => name.includes('doubtful'))).toEqual([]);
    expect(existsSync(join(directory, `${ONE}-wal`))).toBe(false);
    rmSync(directory, { recursive: true });
    const cut = heldDirectory(false);
    truncateSync(join(cut, doubtfulWalsIn(cut)[0]!), 32);
    expect(() => restoreDoubtfulWals(cut)).toThrow(
      'cannot be moved there: Error: nothing is in it',
    );
    expect(doubtfulWalsIn(cut)).toHaveLength(1);
    rmSync(cut, { recursive: true });
  });
});
