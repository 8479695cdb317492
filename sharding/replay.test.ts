import { expect, test } from 'vitest';
import { Columns, Transfer } from '../engine/batch.ts';
import { digestText } from '../engine/digest.ts';
import { AccountFlags, TransferFlags } from '../engine/flags.ts';
import { Head, HEAD_WORDS, INPUT_WORDS, ZERO_WORD } from '../engine/frame.ts';
import { Group } from '../engine/group.ts';
import { StateMachine } from '../engine/state-machine.ts';
import { TransferStatus } from '../engine/status.ts';
import { MemoryJournal, type MemoryJournalStore } from '../persistence/memory-journal.ts';
import {
  accountOf,
  accountsFrame,
  OneShard,
  transferOf,
  transfersFrame,
  wordsOf,
} from '../test/support/one-shard.ts';
import { RecordReader } from './record-reader.ts';
import { deferringIds, type Replayed, replayJournal } from './replay.ts';

const HISTORY = AccountFlags.history;
const LINKED = TransferFlags.linked;
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

// ---- Ids that are not looked for one by one.

const PLAIN_ROWS = 9;

/** A journal of accounts and of transfers, all of which are created, a few in each row. */
function plainStore(): MemoryJournalStore {
  const shard = new OneShard();
  shard.run([accountsFrame([accountOf(1n), accountOf(2n)])], 1000n);
  for (let i = 2n; i <= PLAIN_ROWS; i++) {
    const events = [1n, 2n, 3n].map((k) => transferOf(100n * i + k, 2n, 1n, i));
    shard.run([transfersFrame(events)], 1000n * i);
  }
  return shard.store;
}

/** Word of the id of an event of a row whose only input is its batch: a header of four words, and a column of ids. */
const idWord = (event: number): number => HEAD_WORDS + INPUT_WORDS + 4 + 4 * event;

/** How often the journal was replayed, and whether ids were deferred each time. */
function replayDeferring(journal: MemoryJournal, after?: OneShard) {
  const attempts: boolean[] = [];
  let digest = '';
  const attempt = (defersIds: boolean): Replayed => {
    attempts.push(defersIds);
    const group = new Group();
    const machine = new StateMachine({ shard: 0, shards: 1, seed: 7 }, group);
    machine.defersIds = defersIds;
    const records = new RecordReader(journal, 1);
    const replayed = replayJournal({ journal, machine, group, records });
    expect(machine.ledger.transferIndex.isDeferring).toBe(defersIds);
    digest = machine.digest().join();
    expect(digest).toBe(after?.digest ?? digest);
    return replayed;
  };
  const run = (): Replayed => deferringIds(attempt);
  return { attempts, run };
}

test('a replay that defers the search for ids gives the same state', () => {
  const store = plainStore();
  const journal = altered(store, 0, unchanged);
  const { attempts, run } = replayDeferring(journal, new OneShard({ store }).replayed());
  expect(run()).toMatchObject({ sequence: PLAIN_ROWS, events: 26 });
  expect(attempts).toEqual([true]);
});

test('chains that are left to the rules look for no id either', () => {
  const shard = new OneShard();
  shard.run([accountsFrame([accountOf(1n), accountOf(2n), accountOf(3n, HISTORY)])], 1000n);
  const plain = [10n, 11n, 12n].map((id) => transferOf(id, 1n, 2n));
  const chain = [{ ...transferOf(20n, 1n, 2n), flags: LINKED }, transferOf(21n, 1n, 3n)];
  const behind = [30n, 31n, 32n].map((id) => transferOf(id, 1n, 3n));
  shard.run([transfersFrame([...plain, ...chain, ...behind])], 2000n);
  const again = new OneShard({ store: shard.store });
  again.machine.defersIds = true;
  again.follow(0);
  expect(again.digest).toBe(shard.digest);
  const index = again.machine.ledger.transferIndex;
  expect(index.isDeferring).toBe(true);
  expect(again.machine.hasRepeatedIds()).toBe(false);
  for (const { id } of [...plain, ...chain, ...behind]) {
    const words = wordsOf(id);
    expect(index.find(words, 0, index.hash(words, 0))).not.toBe(-1);
  }
});

test('a chain of which the journal says that it was created, and which breaks, is found', () => {
  const shard = new OneShard();
  shard.run([accountsFrame([accountOf(1n), accountOf(2n), accountOf(3n, HISTORY)])], 1000n);
  const chain = [10n, 11n, 12n].map((id, i) => ({
    ...transferOf(id, 1n, i === 1 ? 3n : 2n),
    flags: i === 2 ? 0 : LINKED,
  }));
  shard.run([transfersFrame([...chain, transferOf(13n, 1n, 3n)])], 2000n);
  const id = new Uint32Array(shard.store.rows[1]!.frame.slice().buffer).slice(idWord(0), idWord(1));
  const repeat = (words: Uint32Array): void => words.set(id, idWord(1));
  // The last event is to an account that is not there.
  const misdirect = (words: Uint32Array): void => {
    const columns = new Columns();
    const halves = new Uint16Array(words.buffer);
    columns.openBatch(words, halves, (HEAD_WORDS + INPUT_WORDS) * 4, ZERO_WORD);
    words[columns.at[Transfer.creditAccountId]! + 2 * columns.step[Transfer.creditAccountId]!]! +=
      90;
  };
  for (const change of [
    repeat,
    misdirect,
    (words: Uint32Array): void => {
      repeat(words);
      misdirect(words);
    },
  ]) {
    const { attempts, run } = replayDeferring(altered(shard.store, 2, change));
    expect(run).toThrow('journal row 2: ');
    expect(attempts.length).toBeGreaterThan(0);
  }
});

test('a row that was refused as known looks for its id, whatever was deferred before it', () => {
  const shard = new OneShard();
  shard.run([accountsFrame([accountOf(1n), accountOf(2n)])], 1000n);
  shard.run([transfersFrame([transferOf(10n, 1n, 2n)])], 2000n);
  const told = shard.run([transfersFrame([transferOf(10n, 1n, 2n)])], 3000n);
  expect(told[0]!.statuses).toEqual([TransferStatus.exists]);
  const again = new OneShard({ store: shard.store });
  again.machine.defersIds = true;
  again.follow(0);
  expect(again.digest).toBe(shard.digest);
});

test.each([
  ['of an earlier row', 6, 4],
  ['of the row before', PLAIN_ROWS, PLAIN_ROWS - 1],
  ['of the same row', 5, 5],
])(
  'an id %s that comes again is found though none is looked for, and its row is named',
  (_, to, from) => {
    const store = plainStore();
    const frame = store.rows[from - 1]!.frame.slice();
    const id = new Uint32Array(frame.buffer).slice(idWord(0), idWord(1));
    const journal = altered(store, to, (words) => words.set(id, idWord(2)));
    const { attempts, run } = replayDeferring(journal);
    expect(run).toThrow(`journal row ${to}: `);
    expect(attempts).toEqual([true, false]);
  },
);

test('an id that comes again is named before what is wrong behind it', () => {
  const store = plainStore();
  const id = new Uint32Array(store.rows[3]!.frame.slice().buffer).slice(idWord(1), idWord(2));
  const repeated = { rows: store.rows.map((row) => ({ ...row!, frame: row!.frame.slice() })) };
  new Uint32Array(repeated.rows[5]!.frame.buffer).set(id, idWord(0));
  const journal = altered(repeated, 8, (words) => (words[Head.closed]! ^= 1));
  const { attempts, run } = replayDeferring(journal);
  expect(run).toThrow('journal row 6: ');
  expect(attempts).toEqual([true, false]);
});

test('what is wrong without an id that comes again is named at once', () => {
  const journal = altered(plainStore(), 8, (words) => (words[Head.closed]! ^= 1));
  const { attempts, run } = replayDeferring(journal);
  expect(run).toThrow('journal row 8: executed again');
  expect(attempts).toEqual([true]);
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
