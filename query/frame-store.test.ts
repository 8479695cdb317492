import { describe, expect, test } from 'vitest';
import { DERIVED_WORDS } from '../engine/frame.ts';
import { HistorySide } from '../engine/ledger.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import { BuiltDirectory } from '../test/support/built-directory.ts';
import { BuiltJournals } from '../test/support/built-journals.ts';
import { WholeFrame } from './frame-bytes.ts';
import { FrameStore, PAGED_BYTES_MIN, wordsOf } from './frame-store.ts';
import { FrameView } from './frame-view.ts';
import { KeptSections } from './kept-sections.ts';

const FRAMES = 40;

class Store implements Disposable {
  readonly directory: BuiltDirectory;
  readonly journal: JournalReader;
  readonly frames: FrameStore;
  /** These frames have few rows. */
  readonly sections = new KeptSections(1 << 20, 1);

  /** Of one shard, with frames that are read in parts; some segments are sealed, the last one is not. */
  constructor(bytesMax: number, { frames = FRAMES, segmentBytes = 300_000 } = {}) {
    const built = new BuiltJournals(51, 1, PAGED_BYTES_MIN);
    for (let i = 0; i < frames; i++) built.step();
    this.directory = new BuiltDirectory(built, segmentBytes);
    const { clusterId, directories } = this.directory;
    this.journal = JournalReader.open({
      directory: directories[0]!,
      clusterId,
      shard: 0,
      shards: 1,
    });
    this.frames = new FrameStore(this.journal, 1, bytesMax, this.sections);
  }

  entry(sequence: number, row: number): Uint32Array {
    const entry = new Uint32Array(DERIVED_WORDS);
    this.frames.view(sequence).entry(row, entry);
    return entry;
  }

  /** Checked. */
  whole(sequence: number): WholeFrame {
    return new WholeFrame(wordsOf(this.journal.read(sequence)));
  }

  /** The same as `entry` from the whole frame. */
  wholeEntry(sequence: number, row: number): Uint32Array {
    const entry = new Uint32Array(DERIVED_WORDS);
    new FrameView(this.whole(sequence), sequence, 1).entry(row, entry);
    return entry;
  }

  [Symbol.dispose](): void {
    this.frames.close();
    this.journal.close();
    this.directory[Symbol.dispose]();
  }
}

describe('large frames', () => {
  test('are read in parts when many questions touch each once', () => {
    using store = new Store(32 << 20);
    expect(store.journal.firsts.length).toBeGreaterThan(2);
    for (let round = 0; round < 100; round++) {
      for (let sequence = 1; sequence <= FRAMES; sequence++) {
        const row = round % store.frames.view(sequence).rows;
        store.entry(sequence, row);
      }
    }
    expect(store.frames.byteLength).toBeLessThan(FRAMES * 2048);
    for (let sequence = 1; sequence <= FRAMES; sequence++) {
      expect(store.entry(sequence, 0)).toEqual(store.wholeEntry(sequence, 0));
    }
  });

  test('lead back along a chain as whole ones do, whether the places are kept or not', () => {
    using store = new Store(32 << 20);
    const found = new Uint32Array(2);
    const expected = new Uint32Array(2);
    let kept = 0;
    for (let round = 0; round < 20; round++) {
      for (let sequence = 1; sequence <= FRAMES; sequence++) {
        const view = store.frames.view(sequence);
        const whole = new FrameView(store.whole(sequence), sequence, 1);
        const row = (round * 7) % view.rows;
        for (const side of [HistorySide.debit, HistorySide.credit]) {
          view.previous(row, side, found);
          whole.previous(row, side, expected);
          expect(found).toEqual(expected);
        }
        kept = store.sections.byteLength;
      }
    }
    expect(kept).toBeGreaterThan(FRAMES * 5);
    store.frames.close();
    expect(store.sections.byteLength).toBe(0);
  });

  test('are read whole when many of their rows are asked for one after the other', () => {
    using store = new Store(32 << 20);
    for (const sequence of [1, FRAMES]) {
      const before = store.frames.byteLength;
      for (let round = 0; round < 100; round++) {
        const row = round % store.frames.view(sequence).rows;
        expect(store.entry(sequence, row)).toEqual(store.wholeEntry(sequence, row));
      }
      expect(store.frames.byteLength - before).toBeGreaterThan(PAGED_BYTES_MIN);
    }
  });

  test('that are not asked for any more make room', () => {
    using store = new Store(4096);
    for (let sequence = 1; sequence <= FRAMES; sequence++) store.entry(sequence, 0);
    expect(store.frames.byteLength).toBeLessThanOrEqual(4096);
    expect(store.entry(1, 0)).toEqual(store.wholeEntry(1, 0));
  });

  test('are read again from files that were closed meanwhile', () => {
    // Some frames in each segment: more of them than there may be open files.
    const frames = 100;
    using store = new Store(32 << 20, { frames, segmentBytes: 60_000 });
    expect(store.journal.firsts.length).toBeGreaterThan(34);
    const views = Array.from({ length: frames }, (_, i) => store.frames.view(i + 1));
    for (let round = 0; round < 2; round++) {
      for (const view of views) {
        const entry = new Uint32Array(DERIVED_WORDS);
        view.entry(view.rows - 1 - round, entry);
        expect(entry).toEqual(store.wholeEntry(view.sequence, view.rows - 1 - round));
      }
    }
  });
});
