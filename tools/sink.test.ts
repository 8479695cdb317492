import { execFileSync } from 'node:child_process';
import {
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { TempDirectory } from '../test/support/cluster.ts';
import { parseReplayOptions } from './replay-options.ts';
import { sinkTarget } from './sink-target.ts';
import { Sink, type ToolOutput } from './sink.ts';

/** Named by what does not write yet only: a fault here may replace it. */
const DEVICES = ['/dev/null', '/dev/stdout', '/dev/fd/1', '/proc/self/fd/1', '/dev/stderr'];

class Place extends TempDirectory {
  readonly out: string[] = [];

  of(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  /** Writes one line as a tool does. */
  write(path: string, text = 'new'): void {
    const output: ToolOutput = { out: (line) => this.out.push(line), log: () => undefined };
    using sink = new Sink(output, sinkTarget(path, '--csv'));
    sink.line(text);
    sink.end();
  }
}

const refused = (sentence: string): Error =>
  expect.objectContaining({
    name: 'UsageError',
    message: expect.stringContaining(sentence) as string,
  }) as Error;

test('a file appears when it is whole, and else nothing of it', async () => {
  await using place = new Place();
  writeFileSync(place.of('a'), 'old');
  const sink = new Sink(
    { out: () => undefined, log: () => undefined },
    sinkTarget(place.of('a'), ''),
  );
  sink.line('new');
  expect(readFileSync(place.of('a'), 'utf8')).toBe('old');
  sink[Symbol.dispose]();
  expect(readdirSync(place.path)).toEqual(['a']);
  place.write(place.of('a'));
  expect(readFileSync(place.of('a'), 'utf8')).toBe('new\n');
  expect(readdirSync(place.path)).toEqual(['a']);
});

test('what a link leads to is replaced, not the link, also when it is not there yet', async () => {
  await using place = new Place();
  mkdirSync(place.of('far'));
  symlinkSync(place.of('far'), place.of('near'));
  writeFileSync(place.of('far', 'old'), 'old');
  symlinkSync('near/old', place.of('a'));
  symlinkSync('near/none', place.of('b'));
  for (const name of ['a', 'b']) place.write(place.of(name), name);
  expect(['old', 'none'].map((name) => readFileSync(place.of('far', name), 'utf8'))).toEqual([
    'a\n',
    'b\n',
  ]);
  expect(['a', 'b'].every((name) => lstatSync(place.of(name)).isSymbolicLink())).toBe(true);
  symlinkSync('round', place.of('round'));
  expect(() => sinkTarget(place.of('round'), '--csv')).toThrow(refused('circle'));
});

test('a pipe is written to, and stays one', async () => {
  await using place = new Place();
  execFileSync('mkfifo', [place.of('pipe')]);
  // Open for both, so that neither end waits.
  const reader = openSync(place.of('pipe'), 'r+');
  try {
    place.write(place.of('pipe'));
    const read = Buffer.alloc(16);
    expect(read.toString('utf8', 0, readSync(reader, read))).toBe('new\n');
    expect(sinkTarget(`/dev/fd/${reader}`, '--csv')).toEqual({
      type: 'descriptor',
      descriptor: reader,
    });
  } finally {
    closeSync(reader);
  }
  expect(lstatSync(place.of('pipe')).isFIFO()).toBe(true);
  expect(readdirSync(place.path)).toEqual(['pipe']);
});

test('a descriptor is written to where it is, and stays open', async () => {
  await using place = new Place();
  const file = openSync(place.of('a'), 'w');
  place.write(`/dev/fd/${file}`, 'one');
  place.write(`/proc/${process.pid}/fd/${file}`, 'two');
  closeSync(file);
  expect(readFileSync(place.of('a'), 'utf8')).toBe('one\ntwo\n');
  expect(() => sinkTarget('/dev/fd/1021', '--csv')).toThrow(refused('is not open'));
});

test('devices are written to as they are, and stdout under any name is stdout', () => {
  expect(DEVICES.map((path) => sinkTarget(path, '--csv'))).toEqual([
    { type: 'special', path: '/dev/null' },
    ...[1, 2, 3].map(() => ({ type: 'stdout' })),
    { type: 'descriptor', descriptor: 2 },
  ]);
  for (const path of ['-', '/dev/stdout']) {
    expect(() => parseReplayOptions(['--json', '--csv', path])).toThrow(
      refused('both want stdout'),
    );
  }
});

test('a directory is refused, and nothing is left beside it', async () => {
  await using place = new Place();
  mkdirSync(place.of('a'));
  expect(() => place.write(place.of('a'))).toThrow(refused('is a directory'));
  expect(() => place.write(place.of('none', 'b'))).toThrow(refused('make it first'));
  // It has become one since.
  const output: ToolOutput = { out: () => undefined, log: () => undefined };
  {
    using sink = new Sink(output, sinkTarget(place.of('b'), '--csv'));
    mkdirSync(place.of('b'));
    expect(() => sink.end()).toThrow(`Cannot write ${place.of('b')}: EISDIR.`);
  }
  expect(readdirSync(place.path)).toEqual(['a', 'b']);
});

test('nothing within any data directory is taken, whatever leads there', async () => {
  await using place = new Place();
  for (const [name, mark] of [
    ['data', 'sycee.json'],
    ['copy', 'backup.json'],
  ] as const) {
    mkdirSync(place.of(name, 'shard-000'), { recursive: true });
    writeFileSync(place.of(name, mark), '{}');
  }
  symlinkSync(place.of('data'), place.of('link'));
  symlinkSync(place.of('data', 'sycee.json'), place.of('file'));
  const within = 'where nothing is to be written';
  for (const path of ['data/new', 'data/shard-000/new', 'link/head', 'file', 'copy/new']) {
    expect(() => place.write(place.of(path))).toThrow(refused(within));
  }
  expect(() => place.write(place.of('data.head'))).toThrow(refused('head witness'));
  // Another name of a file, where the part of a new one would be.
  linkSync(place.of('data', 'sycee.json'), place.of('a.part'));
  place.write(place.of('a'));
  expect(readFileSync(place.of('data', 'sycee.json'), 'utf8')).toBe('{}');
});

test('the same target twice is refused', async () => {
  await using place = new Place();
  symlinkSync('a', place.of('b'));
  for (const [csv, out] of [
    [place.of('a'), place.of('a')],
    [place.of('a'), place.of('b')],
    ['-', '/dev/stdout'],
  ] as const) {
    const ask = (): unknown => parseReplayOptions(['--csv', csv, '--out', out]);
    expect(ask).toThrow(refused('are the same file'));
  }
  expect(readdirSync(place.path)).toEqual(['b']);
});

test('a full device is named', () => {
  const output: ToolOutput = { out: () => undefined, log: () => undefined };
  using sink = new Sink(output, { type: 'special', path: '/dev/full' });
  sink.line('new');
  expect(() => sink.end()).toThrow('Cannot write /dev/full: ENOSPC.');
});
