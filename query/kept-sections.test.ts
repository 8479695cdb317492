import { expect, test } from 'vitest';
import { KeptSections } from './kept-sections.ts';

const BYTES = 5000;

/** Asks until it is kept, or was asked for often enough. */
function ask(kept: KeptSections, sequence: number, times = 16): Uint8Array | undefined {
  for (let i = 0; i < times && kept.get(sequence) === undefined; i++) {
    if (kept.wants(sequence, BYTES)) kept.keep(sequence, new Uint8Array(BYTES).fill(sequence));
  }
  return kept.get(sequence);
}

test('sections of the newest frames are kept, within the bound', () => {
  const kept = new KeptSections(16 * BYTES + 100);
  for (let i = 0; i < 16; i++) {
    const sequence = 10 + ((i * 5) % 16);
    expect(ask(kept, sequence)?.[0]).toBe(sequence);
  }
  expect(kept.byteLength).toBe(16 * BYTES);
  expect(ask(kept, 9)).toBeUndefined();
  // Makes room by an eighth: those of 10, 11, and 12 go.
  expect(ask(kept, 100)?.[0]).toBe(100);
  expect(kept.byteLength).toBe(14 * BYTES);
  expect([10, 11, 12].map((sequence) => kept.get(sequence))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  for (let sequence = 13; sequence < 26; sequence++) {
    expect(kept.get(sequence)?.[0]).toBe(sequence);
  }
  // The room is for newer ones only: those that were dropped would come and go.
  for (let sequence = 1; sequence < 13; sequence++) expect(ask(kept, sequence)).toBeUndefined();
  expect(ask(kept, 90)?.[0]).toBe(90);
  kept.clear();
  expect(kept.byteLength).toBe(0);
  expect(ask(kept, 2)?.[0]).toBe(2);
});

test('only some of those that are asked for are read', () => {
  const kept = new KeptSections(1 << 20);
  let wanted = 0;
  for (let sequence = 1; sequence <= 80; sequence++) wanted += Number(kept.wants(sequence, BYTES));
  expect(wanted).toBe(10);
});

test('what is too small or too large is not read', () => {
  const kept = new KeptSections(3 * BYTES);
  for (let i = 0; i < 20; i++) {
    expect(kept.wants(2, 100)).toBe(false);
    expect(kept.wants(3, 4 * BYTES)).toBe(false);
  }
});
