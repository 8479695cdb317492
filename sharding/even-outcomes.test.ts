/** Outcomes without arrays say what the arrays of a reply say, or nothing. */
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { EvenOutcomes } from './even-outcomes.ts';

/** As a reply has them: timestamps of two words each, then statuses of half a word, here behind some other words. */
function replyWords(timestamps: readonly bigint[], statuses: readonly number[]): Uint32Array {
  const n = timestamps.length;
  const words = new Uint32Array(AT + 2 * n + Math.ceil(n / 2));
  for (const [i, timestamp] of timestamps.entries()) {
    words[AT + 2 * i] = Number(timestamp & 0xffff_ffffn);
    words[AT + 2 * i + 1] = Number(timestamp >> 32n);
  }
  const halves = new Uint16Array(words.buffer, (AT + 2 * n) * 4);
  for (const [i, status] of statuses.entries()) halves[i] = status;
  return words;
}

const AT = 3;
const steps = (n: number, first: bigint, step: bigint): bigint[] =>
  Array.from({ length: n }, (_, i) => first + BigInt(i) * step);
const created = (n: number): number[] => Array.from({ length: n }, () => 0);

describe('even outcomes', () => {
  it.each([
    { what: 'consecutive nanoseconds', n: 1000, first: 1_764_000_000_000_000_000n, step: 1n },
    { what: 'steps of the number of shards', n: 8189, first: 1_764_000_000_000_000_003n, step: 7n },
    { what: 'an odd number of rows', n: 33, first: 5n, step: 2n },
    { what: 'a low word that overflows on the way', n: 64, first: 0xffff_fff0n, step: 1n },
    { what: 'a low word that overflows with the last row', n: 2, first: 0xffff_ffffn, step: 1n },
    { what: 'a low word that overflows time and again', n: 64, first: 9n, step: 0xffff_fff1n },
  ])('$what', ({ n, first, step }) => {
    const timestamps = steps(n, first, step);
    const positions = [{ shard: 0, sequence: 9, timestamp: first }];
    const reply = EvenOutcomes.read(replyWords(timestamps, created(n)), AT, n)?.reply(positions);
    expect(reply).toBeDefined();
    expect(reply).toEqual({
      n,
      statuses: new Uint16Array(n),
      timestamps: new BigUint64Array(timestamps),
      positions,
    });
    expect(reply!.statuses).toBe(reply!.statuses);
    expect(reply!.timestamps).toBe(reply!.timestamps);
  });

  it('a copy has all fields, also one for another thread', () => {
    const words = replyWords(steps(40, 7n, 1n), created(40));
    const reply = EvenOutcomes.read(words, AT, 40)!.reply([]);
    const { statuses, timestamps } = reply;
    for (const copy of [{ ...reply }, structuredClone(reply)]) {
      expect(copy).toStrictEqual({ n: 40, statuses, timestamps, positions: [] });
    }
  });

  it('is printed as a reply with arrays is', () => {
    const words = replyWords(steps(40, 7n, 1n), created(40));
    const reply = EvenOutcomes.read(words, AT, 40)!.reply([]);
    const { statuses, timestamps } = reply;
    expect(inspect({ reply })).toBe(
      inspect({ reply: { n: 40, statuses, timestamps, positions: [] } }),
    );
  });

  it.each([0, 1, 16, 31, 32])('a row that was not created is not even: row %i of 33', (row) => {
    const statuses = created(33);
    statuses[row] = 46;
    expect(EvenOutcomes.read(replyWords(steps(33, 5n, 1n), statuses), AT, 33)).toBeNull();
  });

  it.each([0, 1, 2, 38, 39])('a timestamp out of step is not even: row %i of 40', (row) => {
    for (const off of [1n, 1n << 32n]) {
      const timestamps = steps(40, 1n << 40n, 4n);
      timestamps[row] = timestamps[row]! + off;
      expect(EvenOutcomes.read(replyWords(timestamps, created(40)), AT, 40)).toBeNull();
    }
  });

  it('steps that a word does not hold are not even', () => {
    const words = replyWords(steps(40, 5n, 1n << 32n), created(40));
    expect(EvenOutcomes.read(words, AT, 40)).toBeNull();
  });
});
