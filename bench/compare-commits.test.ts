import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { linkTree } from './checkouts.ts';
import { parseCommitComparison, verdictOf } from './compare-commits.ts';
import { compareRuns } from './compare.ts';

const parse = (line: string) => parseCommitComparison(line.split(' '));

test('two commits, and scenarios of which all versions of the bench know the default ones', () => {
  const asked = parse('--compare HEAD');
  expect(asked.before).toMatch(/^[0-9a-f]{40}$/);
  expect(asked).toMatchObject({ after: asked.before, threshold: 0.9, rounds: 5, json: false });
  expect(asked.commands.length).toBeGreaterThanOrEqual(4);
});

test('scenarios stand behind dashes, with their options', () => {
  const asked = parse(
    '--compare HEAD --threshold 0.95 --rounds 3 -- uniform --seconds 1 -- chains',
  );
  expect(asked).toMatchObject({ threshold: 0.95, rounds: 3 });
  expect(asked.commands).toEqual([['uniform', '--seconds', '1'], ['chains']]);
});

test.each([
  ['--compare no-such-commit', '--compare is a commit; "no-such-commit" names none'],
  ['--compare HEAD --head no-such-commit', '--head is a commit'],
  ['--compare HEAD --threshold 3', '--threshold is between 0.1 and 2'],
  ['--compare HEAD --rounds 0', '--rounds is a whole number between 1 and 100'],
  ['--compare HEAD -- uniform --', 'name a scenario behind each --'],
  ['--compare HEAD -- uniform -- foo', 'there is no scenario foo'],
  ['--compare HEAD -- uniform --skew 0.5', '--skew is not for uniform'],
  ['--compare HEAD -- uniform --seconds', "Option '--seconds <value>' argument missing"],
  ['--compare HEAD -- uniform chains', 'behind each -- is one scenario; "uniform chains" is not'],
  ['--compare HEAD -- --list', 'behind each -- is one scenario; "--list" is not'],
  ['--compare HEAD -- limits', 'limits has no transfers_per_second to compare'],
  ['--compare HEAD --twice', "Unknown option '--twice'"],
])('wrong usage is refused: %s', (line, sentence) => {
  expect(() => parse(line)).toThrow(sentence);
});

test('the median ratio of transfers a second decides', () => {
  const runs = (...rates: number[]) =>
    rates.map((rate) => ({ transfers_per_second: rate, p99: 1 }));
  const compared = compareRuns(runs(100, 100, 100), runs(50, 91, 95));
  expect(verdictOf(['uniform'], compared, 0.9)).toMatchObject({ passes: true });
  expect(verdictOf(['uniform'], compared, 0.92)).toMatchObject({ passes: false });
  expect(() => verdictOf(['limits'], [], 0.9)).toThrow('limits says no transfers_per_second');
});

test('packages are linked, but for what tools keep among them', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'sycee-link-'));
  const [from, to] = [path.join(root, 'from'), path.join(root, 'to')];
  try {
    mkdirSync(path.join(from, 'some', 'deep'), { recursive: true });
    mkdirSync(path.join(from, '.cache'));
    writeFileSync(path.join(from, 'some', 'deep', 'one.js'), 'one');
    symlinkSync('deep/one.js', path.join(from, 'some', 'two.js'));
    await linkTree(from, to);
    expect(readFileSync(path.join(to, 'some', 'two.js'), 'utf8')).toBe('one');
    const inodes = [from, to].map((at) => statSync(path.join(at, 'some', 'deep', 'one.js')).ino);
    expect(inodes[0]).toBe(inodes[1]);
    expect(statSync(path.join(to, '.cache'), { throwIfNoEntry: false })).toBeUndefined();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
