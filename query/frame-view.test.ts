import { expect, test } from 'vitest';
import { batchOfObjects } from '../client/rows.ts';
import { BatchKind } from '../engine/batch.ts';
import { Derived, DERIVED_WORDS, Head, InputType } from '../engine/frame.ts';
import { Group } from '../engine/group.ts';
import { HistorySide, positionHigh } from '../engine/ledger.ts';
import { requestFrame, transferOf } from '../test/support/one-shard.ts';
import { WholeFrame } from './frame-bytes.ts';
import { FrameView } from './frame-view.ts';

const CLOCK = { low: 9, high: 1 };

/** Three transfers of which the second one's accounts have earlier transfers, in the groups of those sequences. */
function framePointingTo(debit: number, credit: number): Uint32Array {
  const group = new Group(1 << 20);
  group.reset(credit + 1);
  const transfers = [1n, 2n, 3n].map((id) => transferOf(id, 10n, 20n));
  const frame = requestFrame(
    InputType.createTransfers,
    batchOfObjects(BatchKind.transfers, transfers),
  );
  group.addRequest(frame, 0, frame.length);
  const drHigh = positionHigh(debit, 65_000, HistorySide.credit);
  const crHigh = positionHigh(credit, 300, HistorySide.debit);
  group.previous.setBoth(1, debit >>> 0, drHigh, credit >>> 0, crHigh);
  group.setPrevious(2, HistorySide.credit, credit >>> 0, crHigh);
  group.seal(CLOCK, 0);
  return new Uint32Array(group.frame().slice().buffer);
}

test.each([
  { debit: 77, credit: 4_294_967_295, isUpper: false },
  { debit: 77, credit: 4_294_967_296, isUpper: true },
  { debit: 2 ** 40 - 3, credit: 2 ** 40 - 2, isUpper: true },
])('positions of sequences $debit and $credit are read back as they were', (sequences) => {
  const { debit, credit, isUpper } = sequences;
  const words = framePointingTo(debit, credit);
  expect(words[Head.previousUpper] !== 0).toBe(isUpper);
  const view = new FrameView(new WholeFrame(words), credit + 1, 1);
  const dr = [debit >>> 0, positionHigh(debit, 65_000, HistorySide.credit)];
  const cr = [credit >>> 0, positionHigh(credit, 300, HistorySide.debit)];
  const found = new Uint32Array(2);
  const expected = [
    [
      [0, 0],
      [0, 0],
    ],
    [dr, cr],
    [[0, 0], cr],
  ];
  for (const [row, [ofDebit, ofCredit]] of expected.entries()) {
    view.previous(row, HistorySide.debit, found);
    expect([...found]).toEqual(ofDebit);
    view.previous(row, HistorySide.credit, found);
    expect([...found]).toEqual(ofCredit);
    for (const [side, whole] of [
      [HistorySide.debit, ofDebit!],
      [HistorySide.credit, ofCredit!],
    ] as const) {
      view.previousPlace(row, side, found);
      expect([found[0], found[1]! & ~0xff]).toEqual([whole[0], whole[1]! & ~0xff]);
    }
    const entry = new Uint32Array(DERIVED_WORDS);
    view.entry(row, entry);
    const record = new Uint32Array(DERIVED_WORDS);
    view.record(row, record);
    record.set(entry.subarray(Derived.debitPrevious, Derived.effect), Derived.debitPrevious);
    expect(record).toEqual(entry);
    const positions = [...entry.subarray(Derived.debitPrevious, Derived.effect)];
    expect(positions).toEqual([...ofDebit!, ...ofCredit!]);
  }
});
