import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  checkHead,
  type Head,
  HeadWitness,
  makeWitness,
  newestHead,
  readWitness,
  resetWitness,
  WITNESS_PAGE_BYTES,
  witnessPaths,
} from './head-witness.ts';

const CLUSTER = { clusterId: 'a1'.repeat(16), shards: 3 };
const OTHER = { clusterId: 'b2'.repeat(16), shards: 3 };

interface Place extends Disposable {
  readonly directory: string;
  readonly inside: string;
  readonly beside: string;
  readonly lines: string[];
  make(owner?: typeof CLUSTER): void;
  /** What a shard's thread does for each group. */
  write(shard: number, ...sequences: readonly number[]): void;
  newest(shard: number): Head | null;
}

function place(): Place {
  const root = mkdtempSync(join(tmpdir(), 'sycee-witness-'));
  const directory = join(root, 'ledger');
  mkdirSync(directory);
  const [inside, beside] = witnessPaths(directory);
  const lines: string[] = [];
  return {
    directory,
    inside,
    beside,
    lines,
    make: (owner = CLUSTER) =>
      makeWitness(directory, { ...owner, hasRows: false }, (line) => lines.push(line)),
    write: (shard, ...sequences) => {
      using witness = new HeadWitness(directory, { ...CLUSTER, shard }, (line) => lines.push(line));
      witness.open();
      for (const sequence of sequences) witness.write(sequence, checksumOf(sequence));
    },
    newest: (shard) => {
      const head = newestHead(readWitness(directory, CLUSTER), shard);
      return head === null ? null : { sequence: head.sequence, checksum: head.checksum };
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

function checksumOf(sequence: number): number {
  return (sequence * 2_654_435_761) >>> 0;
}

function flip(path: string, at: number, bits = 1): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= bits;
  writeFileSync(path, bytes);
}

const damaged = (message: RegExp): Error =>
  expect.objectContaining({
    code: 'DATA_DAMAGED',
    exitCode: 3,
    message: expect.stringMatching(message) as string,
  }) as Error;

describe('writing', () => {
  test('both files say the newest head of each shard', () => {
    using at = place();
    at.make();
    expect(at.lines).toEqual([]);
    expect(statSync(at.beside).size).toBe(3 * WITNESS_PAGE_BYTES);
    expect(at.newest(0)).toBeNull();
    at.write(0, 0);
    at.write(1, 5, 6, 7);
    at.write(2, 2 ** 32 + 5, 2 ** 32 + 6);
    for (const hidden of [at.inside, at.beside]) {
      const bytes = readFileSync(hidden);
      rmSync(hidden);
      expect(at.newest(0)).toEqual({ sequence: 0, checksum: 0 });
      expect(at.newest(1)).toEqual({ sequence: 7, checksum: checksumOf(7) });
      expect(at.newest(2)?.sequence).toBe(2 ** 32 + 6);
      writeFileSync(hidden, bytes);
    }
  });

  test('a torn write leaves the head of the group before', () => {
    using at = place();
    at.make();
    at.write(1, 8, 9);
    rmSync(at.beside);
    // Odd sequences lie in the second slot.
    flip(at.inside, WITNESS_PAGE_BYTES + WITNESS_PAGE_BYTES / 2 + 33);
    expect(at.newest(1)).toEqual({ sequence: 8, checksum: checksumOf(8) });
  });

  test('a first write of all that was torn says nothing, for nobody was told of anything', () => {
    using at = place();
    at.make();
    at.write(1, 0);
    const whole = readFileSync(at.inside);
    const begin = WITNESS_PAGE_BYTES;
    for (const length of [1, 22, 40]) {
      const torn = Buffer.from(whole).fill(0, begin + length);
      for (const path of [at.inside, at.beside]) writeFileSync(path, torn);
      expect(at.newest(1)).toBeNull();
    }
    // Behind the first write there is another slot, or the file beside: then it is damage.
    at.write(1, 0, 1);
    const two = readFileSync(at.inside);
    two.fill(0, begin + 40, begin + 44).fill(0, begin + 2048 + 40, begin + 2048 + 44);
    for (const path of [at.inside, at.beside]) writeFileSync(path, two);
    expect(() => at.newest(1)).toThrow(/is damaged/);
  });

  test('a file that cannot be written is told of once, and the other goes on', () => {
    using at = place();
    at.make();
    rmSync(at.beside);
    mkdirSync(at.beside);
    at.write(0, 1, 2, 3);
    expect(at.lines).toEqual([expect.stringMatching(/ledger\.head is not written any more/)]);
    expect(at.newest(0)).toMatchObject({ sequence: 3 });
  });
});

describe('making', () => {
  test('a missing file is made anew, with a line', () => {
    for (const which of ['inside', 'beside'] as const) {
      using at = place();
      at.make();
      at.write(0, 4);
      rmSync(at[which]);
      at.make();
      expect(at.lines).toEqual([expect.stringContaining(`${at[which]} was missing`)]);
      at.write(0, 5);
      expect(readWitness(at.directory, CLUSTER).map(({ pages }) => pages?.[0])).toEqual([
        { type: 'head', head: { sequence: 5, checksum: checksumOf(5) } },
        { type: 'head', head: { sequence: 5, checksum: checksumOf(5) } },
      ]);
    }
  });

  test('one beside the directory that belongs to another cluster is ignored, and replaced', () => {
    using at = place();
    at.make();
    at.write(0, 4);
    copyFileSync(at.inside, at.beside);
    rmSync(at.inside);
    at.make(OTHER);
    expect(newestHead(readWitness(at.directory, OTHER), 0)).toBeNull();
    expect(at.lines.join()).toContain('of another cluster');
  });

  test.skipIf(process.getuid?.() === 0)('a place that cannot be written is one line', () => {
    using at = place();
    chmodSync(join(at.directory, '..'), 0o500);
    at.make();
    chmodSync(join(at.directory, '..'), 0o700);
    expect(at.lines).toEqual([expect.stringMatching(/ledger\.head cannot be written/)]);
    expect(existsSync(at.inside)).toBe(true);
  });

  test('a journal with rows and without any is told of', () => {
    using at = place();
    const lines: string[] = [];
    makeWitness(at.directory, { ...CLUSTER, hasRows: true }, (line) => lines.push(line));
    expect(lines).toHaveLength(2);
  });

  test('a reset forgets both', () => {
    using at = place();
    at.make();
    at.write(0, 4);
    resetWitness(at.directory);
    expect([existsSync(at.inside), existsSync(at.beside)]).toEqual([false, false]);
    resetWitness(at.directory);
    expect(at.newest(0)).toBeNull();
  });
});

describe('reading', () => {
  test('every flipped bit of a head is seen, and the other file speaks', () => {
    using at = place();
    at.make();
    at.write(1, 8, 9);
    const whole = readFileSync(at.inside);
    for (let byte = 0; byte < WITNESS_PAGE_BYTES; byte += 11) {
      const bytes = Buffer.from(whole);
      bytes[WITNESS_PAGE_BYTES + byte]! ^= 1 << (byte % 8);
      writeFileSync(at.inside, bytes);
      expect(at.newest(1), `byte ${byte}`).toEqual({ sequence: 9, checksum: checksumOf(9) });
    }
  });

  test('a file that cannot be read leaves it to the other; two of them are refused', () => {
    for (const spoil of [
      (path: string): void => truncateSync(path, 100),
      (path: string): void => truncateSync(path, 0),
      (path: string): void => writeFileSync(path, Buffer.alloc(3 * WITNESS_PAGE_BYTES, 7)),
    ]) {
      using at = place();
      at.make();
      at.write(1, 8, 9);
      spoil(at.inside);
      expect(at.newest(1)).toMatchObject({ sequence: 9 });
      spoil(at.beside);
      expect(() => at.newest(1)).toThrow(damaged(/head is damaged where it speaks of shard 1/));
      rmSync(at.beside);
      expect(() => at.newest(1)).toThrow(damaged(/Nothing was changed/));
    }
  });

  test('one inside that belongs to another cluster, or to other shards, is refused', () => {
    using at = place();
    at.make();
    at.write(0, 3);
    for (const owner of [OTHER, { ...CLUSTER, shards: 2 }, { ...CLUSTER, shards: 5 }]) {
      expect(() => newestHead(readWitness(at.directory, owner), 0)).toThrow(
        damaged(/ledger.head belongs to shard 0 of 3 of cluster a1/),
      );
    }
  });
});

describe('the journal against its witness', () => {
  const head = { sequence: 9, checksum: checksumOf(9), path: 'ledger.head' };
  const against = (lastSequence: number, of = checksumOf): void =>
    checkHead(head, { shard: 1, lastSequence }, of);

  test('one that goes as far or further is sound', () => {
    expect(() => against(9)).not.toThrow();
    expect(() => against(10)).not.toThrow();
    expect(() => checkHead(null, { shard: 1, lastSequence: 0 }, checksumOf)).not.toThrow();
  });

  test('one that ends before is refused, with both numbers', () => {
    expect(() => against(8)).toThrow(
      damaged(
        /shard 1 ends with sequence 8, .*ledger\.head says that sequence 9 was committed.*\.\/sycee restore/,
      ),
    );
  });

  test('one with another row there is refused', () => {
    expect(() => against(12, () => 77)).toThrow(damaged(/another row at sequence 9/));
  });
});
