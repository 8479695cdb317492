import { describe, expect, test } from 'vitest';
import { Chain, ChainCache, type ChainPosition } from './chain-cache.ts';

/** A chain of which the nth transfer lies in frame n, from 1 on. */
function steps(): { previous(position: ChainPosition): ChainPosition; taken: number } {
  return {
    taken: 0,
    previous({ low }) {
      this.taken++;
      return at(low - 1);
    },
  };
}

function at(sequence: number): ChainPosition {
  return sequence === 0 ? { low: 0, high: 0 } : { low: sequence, high: 1 };
}

function run(work: Generator<unknown, void>): void {
  while (work.next().done !== true);
}

describe('a chain of transfers', () => {
  test('knows a position at most sixteen above any', () => {
    const chain = new Chain();
    const way = steps();
    for (const head of [1, 2, 40, 41, 1000, 5000]) run(chain.extend(at(head), way));
    expect(way.taken).toBe(5000);
    expect(chain.count).toBe(5000);
    for (let ordinal = 0; ordinal < 5000; ordinal += 7) {
      const found = chain.milestoneFrom(ordinal);
      expect(found.low).toBe(found.ordinal + 1);
      expect(found.ordinal - ordinal).toBeLessThan(16);
      expect(found.ordinal).toBeGreaterThanOrEqual(ordinal);
    }
    expect(chain.lastMilestone(({ low }) => low < 3000)?.ordinal).toBeGreaterThan(2980);
    expect(chain.lastMilestone(() => false)).toBeUndefined();
  });

  test('goes on where a walk was left, and then to a newer head', () => {
    const chain = new Chain();
    const way = steps();
    const left = chain.extend(at(3000), way);
    for (let i = 0; i < 5; i++) left.next();
    left.return();
    expect(chain.count).toBe(0);
    run(chain.extend(at(4000), way));
    expect(chain.count).toBe(4000);
    expect(way.taken).toBe(4000);
  });

  test('takes no harm from an older head', () => {
    const chain = new Chain();
    run(chain.extend(at(100), steps()));
    run(chain.extend(at(50), steps()));
    expect(chain.count).toBe(100);
  });

  test('lets one question walk while the others wait', () => {
    const chain = new Chain();
    const way = steps();
    const one = chain.extend(at(2000), way);
    const two = chain.extend(at(2000), way);
    one.next();
    expect(two.next().value).toBe('waiting');
    run(one);
    run(two);
    expect(way.taken).toBe(2000);
  });
});

describe('the chains that are remembered', () => {
  test('are those used last, within their bound', () => {
    const cache = new ChainCache(20_000);
    for (let account = 1n; account <= 50n; account++) {
      run(cache.chain(account).extend(at(500), steps()));
      cache.grew(account);
      cache.chain(1n);
    }
    expect(cache.byteLength).toBeLessThanOrEqual(20_000);
    expect(cache.chain(1n).count).toBe(500);
    expect(cache.chain(50n).count).toBe(500);
    expect(cache.chain(2n).count).toBe(0);
  });
});
