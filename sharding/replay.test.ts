import { expect, test } from 'vitest';
import { digestText } from '../engine/digest.ts';
import { Head, HEAD_WORDS, INPUT_WORDS } from '../engine/frame.ts';
import { Group } from '../engine/group.ts';
import { StateMachine } from '../engine/state-machine.ts';
import { MemoryJournal, type MemoryJournalStore } from '../persistence/memory-journal.ts';
import {
  accountOf,
  accountsFrame,
  OneShard,
  transferOf,
  transfersFrame,
} from '../test/support/one-shard.ts';
import { RecordReader } from './record-reader.ts';
import { replayJournal } from './replay.ts';

const IDENTITY = { clusterId: 'one', shard: 0, shards: 1 };

/** A journal of six rows: accounts, and transfers of which some fail. */
function filledStore(): MemoryJournalStore {
  const shard = new OneShard();
  shard.run([accountsFrame([accountOf(1n, 2), accountOf(2n)])], 1000n);
  for (let i = 1n; i <= 5n; i++) {
    const events = [
      transferOf(i, 2n, 1n, i),
      transferOf(10n + i, 1n, 2n, 2n * i),
      transferOf(1n, 2n, 1n, 1n),
    ];
    shard.run([transfersFrame(events)], 1000n * i);
  }
  return shard.store;
}

/** The same journal with one frame changed, and every checksum right. */
function altered(
  store: MemoryJournalStore,
  sequence: number,
  change: (words: Uint32Array) => void,
): MemoryJournal {
  const journal = new MemoryJournal(IDENTITY);
  for (const row of store.rows) {
    const frame = row!.frame.slice();
    if (row!.sequence === sequence) change(new Uint32Array(frame.buffer));
    journal.append({ sequence: row!.sequence, timestamp: row!.timestamp, frame });
  }
  return journal;
}

function replay(journal: MemoryJournal) {
  const group = new Group();
  const machine = new StateMachine({ shard: 0, shards: 1, seed: 7 }, group);
  const records = new RecordReader(journal, 1);
  const sequences: number[] = [];
  const onGroup = (sequence: number): void => void sequences.push(sequence);
  return { ...replayJournal({ journal, machine, group, records, onGroup }), sequences };
}

const unchanged = (): void => undefined;

test('a journal as it was written replays to its end', () => {
  const replayed = replay(altered(filledStore(), 0, unchanged));
  expect(replayed).toMatchObject({
    sequence: 6,
    groups: 6,
    events: 17,
    sequences: [1, 2, 3, 4, 5, 6],
  });
});

test('an altered outcome, repeated id, timestamp, or hash of decisions is found, and its sequence is named', () => {
  const changes: ((words: Uint32Array) => void)[] = [
    // The outcome.
    (words) => (words[words[Head.outcomes]! / 4]! ^= 54),
    // The clock before.
    (words) => (words[Head.opened]! += 7),
    // The clock after.
    (words) => (words[Head.closed]! ^= 1),
    // The timestamp of a request.
    (words) => (words[HEAD_WORDS + 8]! += 1),
    // The decisions.
    (words) => (words[Head.decisions]! ^= 1),
    // The number of derived rows.
    (words) => (words[Head.derivedRows] = 1),
    // What was sent a second time is now the first.
    // The id of an event.
    (words) => (words[HEAD_WORDS + INPUT_WORDS + 4 + 8]! += 1000),
  ];
  for (const change of changes) {
    const journal = altered(filledStore(), 4, change);
    const damage = expect.objectContaining({
      code: 'DATA_DAMAGED',
      message: expect.stringContaining('journal row 4: executed again'),
    });
    expect(() => replay(journal)).toThrow(damage);
  }
});

test('a frame that is none is found, and its sequence is named', () => {
  for (const [word, value] of [
    [Head.magic, 0],
    [Head.version, 99],
    [Head.bytes, 8],
    [Head.inputs, 50],
  ] as const) {
    const journal = altered(filledStore(), 3, (words) => (words[word] = value));
    expect(() => replay(journal)).toThrow('journal row 3');
  }
});

test('the text of a digest has all its zeros', () => {
  expect(digestText([0x1a, 0xffffffff])).toBe('0000001affffffff');
});
