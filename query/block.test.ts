import { expect, test } from 'vitest';
import { BuiltJournals } from '../test/support/built-journals.ts';
import { BlockBuilder } from './block.ts';
import { WholeFrame } from './frame-bytes.ts';
import { FrameRows } from './frame-rows.ts';
import { wordsOf } from './frame-store.ts';
import { FrameView } from './frame-view.ts';
import { plainInputs } from './run-columns.ts';
import { GrowingWords } from './value-set.ts';

/** Takes every run for one in which anything may be. */
class RowsOneByOne extends FrameRows {
  override get isPlain(): boolean {
    return false;
  }
}

test('plain runs are summed up as all others are', () => {
  const built = new BuiltJournals(61, 1);
  built.plainPercent = 60;
  for (let i = 0; i < 300; i++) built.step();
  const rows = new FrameRows(0, 1);
  const [blocks, expected] = [rows, new RowsOneByOne(0, 1)].map((reader) => {
    const builder = new BlockBuilder(reader);
    const [heads, filters] = [new GrowingWords(), new GrowingWords()];
    for (const [i, { frame }] of built.frames[0]!.entries()) {
      builder.add(i + 1, wordsOf(frame)).toArray();
      if (i % 7 === 6) builder.finish(heads, filters);
    }
    return { heads: heads.used(), filters: filters.used() };
  });
  expect(blocks).toEqual(expected);
  const runs = { plain: 0, others: 0 };
  for (const { frame } of built.frames[0]!) {
    rows.open(wordsOf(frame));
    while (rows.next()) runs[rows.isPlain ? 'plain' : 'others']++;
  }
  expect(Math.min(runs.plain, runs.others)).toBeGreaterThan(100);
});

test('frames of which only columns are read are summed up as whole ones are', () => {
  // Also as if the journals of one shard were those of one of seven, whose timestamps are further apart.
  for (const [builtShards, shards] of [
    [1, 1],
    [1, 7],
    [3, 3],
  ] as const) {
    const built = new BuiltJournals(62, builtShards);
    built.plainPercent = 80;
    for (let i = 0; i < 400; i++) built.step();
    let plain = 0;
    for (let shard = 0; shard < builtShards; shard++) {
      const [whole, parts] = [0, 1].map(() => new BlockBuilder(new FrameRows(shard, shards)));
      const [expected, heads] = [new GrowingWords(), new GrowingWords()];
      const [expectedFilters, filters] = [new GrowingWords(), new GrowingWords()];
      for (const [i, { frame }] of built.frames[shard]!.entries()) {
        const sequence = i + 1;
        const words = wordsOf(frame);
        const view = new FrameView(new WholeFrame(words), sequence, shards);
        const inputs = plainInputs(view);
        whole!.add(sequence, words).toArray();
        if (inputs === undefined) parts!.add(sequence, words).toArray();
        else {
          parts!.addPlain(sequence, view, inputs, shards);
          plain++;
        }
        expect(parts!.isFull).toBe(whole!.isFull);
        if (i % 5 !== 4) continue;
        whole!.finish(expected, expectedFilters);
        parts!.finish(heads, filters);
      }
      expect(heads.used()).toEqual(expected.used());
      expect(filters.used()).toEqual(expectedFilters.used());
    }
    expect(plain).toBeGreaterThan(builtShards === 1 ? 100 : 3);
  }
});
