import { describe, expect, test } from 'vitest';
import { DERIVED_WORDS } from '../engine/frame.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import { BuiltDirectory } from '../test/support/built-directory.ts';
import { BuiltJournals } from '../test/support/built-journals.ts';
import { WholeFrame } from './frame-bytes.ts';
import { FrameStore, PAGED_BYTES_MIN, wordsOf } from './frame-store.ts';
import { FrameView } from './frame-view.ts';

const FRAMES = 40;

class Store implements Disposable {
  readonly directory: BuiltDirectory;
  readonly journal: JournalReader;
  readonly frames: FrameStore;

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
    this.frames = new FrameStore(this.journal, 1, bytesMax);
  }

  entry(sequence: number, row: number): Uint32Array {
    const entry = new Uint32Array(DERIVED_WORDS);
    this.frames.view(sequence).entry(row, entry);
    return entry;
  }

  /** The same from the whole frame, checked. */
  wholeEntry(sequence: number, row: number): Uint32Array {
    const entry = new Uint32Array(DERIVED_WORDS);
    const frame = new WholeFrame(wordsOf(this.journal.read(sequence)));
    new FrameView(frame, sequence, 1).entry(row, entry);
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
