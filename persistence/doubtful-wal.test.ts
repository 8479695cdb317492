import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fill, place, sequences, upTo } from '../test/support/journal-place.ts';
import { losePages } from '../test/support/lost-pages.ts';
import { doubtfulWalOf, holdDoubtfulWal, restoreDoubtfulWals } from './doubtful-wal.ts';
import { LiveCheckpoint } from './live-checkpoint.ts';
import { segmentName } from './segment.ts';
import { SqliteJournal } from './sqlite-journal.ts';

describe('the WAL of a segment that could not be synced', () => {
  test('outlives the segment being closed, and has every row at the next start', () => {
    using at = place();
    const segment = at.path(1);
    const options = { ...at.options, segmentBytesMax: 64 << 20 };
    {
      using journal = SqliteJournal.open(options);
      fill(journal, 12);
      using checkpoint = new LiveCheckpoint(segment);
      checkpoint.step();
      holdDoubtfulWal(segment);
      fill(journal, 20);
    }
    expect([existsSync(`${segment}-wal`), existsSync(doubtfulWalOf(segment))]).toEqual([
      false,
      true,
    ]);
    losePages(segment);
    using again = SqliteJournal.open(options);
    expect(sequences(again)).toEqual(upTo(20));
    expect(existsSync(doubtfulWalOf(segment))).toBe(false);
    fill(again, 25);
    again.close();
    using third = SqliteJournal.open(options);
    expect(sequences(third)).toEqual(upTo(25));
  });

  test('keeps both names while it has its own, also when it is held twice', () => {
    using at = place();
    const segment = at.path(1);
    const options = { ...at.options, segmentBytesMax: 64 << 20 };
    using journal = SqliteJournal.open(options);
    fill(journal, 3);
    holdDoubtfulWal(segment);
    holdDoubtfulWal(segment);
    restoreDoubtfulWals(at.options.directory);
    const inodes = [`${segment}-wal`, doubtfulWalOf(segment)].map((path) => statSync(path).ino);
    expect(inodes[0]).toBe(inodes[1]);
    fill(journal, 6);
    expect(sequences(journal)).toEqual(upTo(6));
  });

  test('is no more when it is empty, or its segment is gone; an empty one gives way', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sycee-doubtful-'));
    const [one, two, three] = [1, 2, 3].map((first) => join(directory, segmentName(first)));
    for (const segment of [one!, three!]) writeFileSync(segment, 'segment');
    writeFileSync(`${three!}-wal`, '');
    for (const segment of [one!, two!, three!]) writeFileSync(doubtfulWalOf(segment), 'wal');
    truncateSync(doubtfulWalOf(one!), 0);
    restoreDoubtfulWals(directory);
    expect(readdirSync(directory).toSorted()).toEqual([
      segmentName(1),
      segmentName(3),
      `${segmentName(3)}-wal`,
    ]);
    expect(readFileSync(`${three!}-wal`, 'utf8')).toBe('wal');
    rmSync(directory, { recursive: true });
  });
});
