import {
  cpSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fill, place, sequences, upTo } from '../test/support/journal-place.ts';
import { losePages } from '../test/support/lost-pages.ts';
import { doubtfulWalOf, holdDoubtfulWal, restoreDoubtfulWals } from './doubtful-wal.ts';
import { LiveCheckpoint } from './live-checkpoint.ts';
import { SegmentSealer } from './segment-sealer.ts';
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
    restoreDoubtfulWals(at.options.directory);
    using again = SqliteJournal.open(options);
    expect(sequences(again)).toEqual(upTo(20));
    expect(existsSync(doubtfulWalOf(segment))).toBe(false);
    fill(again, 25);
    again.close();
    using third = SqliteJournal.open(options);
    expect(sequences(third)).toEqual(upTo(25));
  });

  test('loses its second name where it has its own, and may become that of a later segment', async () => {
    using at = place();
    const segment = at.path(1);
    const { directory } = at.options;
    const options = { ...at.options, segmentBytesMax: 8 << 20 };
    const copy = mkdtempSync(join(tmpdir(), 'sycee-doubtful-'));
    {
      using journal = SqliteJournal.open(options);
      fill(journal, 12);
      holdDoubtfulWal(segment);
      const inodes = [`${segment}-wal`, doubtfulWalOf(segment)].map((path) => statSync(path).ino);
      expect(inodes[0]).toBe(inodes[1]);
      fill(journal, 20);
      // As a kill leaves it.
      cpSync(directory, copy, { recursive: true });
    }
    rmSync(join(copy, `${segmentName(1)}-shm`));
    linkSync(join(copy, `${segmentName(1)}-wal`), join(copy, 'same'));
    renameSync(join(copy, 'same'), join(copy, segmentName(1).replace('.sqlite', '.doubtful')));
    for (let life = 1; life <= 4; life++) {
      restoreDoubtfulWals(copy);
      expect(readdirSync(copy).filter((name) => name.endsWith('.doubtful'))).toEqual([]);
      const sealer = new SegmentSealer();
      using journal = SqliteJournal.open({ ...options, directory: copy, sealer: sealer.connect() });
      expect(sequences(journal)).toEqual(upTo(20 + (life - 1) * 120));
      fill(journal, 20 + life * 120);
      await sealer.stop();
    }
    rmSync(copy, { recursive: true });
  });

  test('is not put back when it is of no use: its own is there, its segment is gone, or another has it', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sycee-doubtful-'));
    const segments = [1, 2, 3, 4].map((first) => join(directory, segmentName(first)));
    const [own, gone, empty, given] = segments as [string, string, string, string];
    for (const segment of [own, empty, given]) writeFileSync(segment, 'segment');
    for (const segment of segments) writeFileSync(doubtfulWalOf(segment), 'held');
    writeFileSync(`${own}-wal`, 'own');
    writeFileSync(`${empty}-wal`, '');
    linkSync(doubtfulWalOf(given), join(directory, 'segment-kept.wal'));
    restoreDoubtfulWals(directory);
    expect(readdirSync(directory).filter((name) => name.endsWith('.doubtful'))).toEqual([]);
    const wals = segments.map((segment) =>
      existsSync(`${segment}-wal`) ? readFileSync(`${segment}-wal`, 'utf8') : null,
    );
    expect(wals).toEqual(['own', null, 'held', null]);
    expect(existsSync(gone)).toBe(false);
    restoreDoubtfulWals(join(directory, 'is not there'));
    rmSync(directory, { recursive: true });
  });
});
