import { describe, expect, test } from 'vitest';
import { batchOfObjects } from '../client/rows.ts';
import {
  accountsFrame,
  accountOf,
  transferOf,
  transfersFrame,
  requestFrame,
} from '../test/support/one-shard.ts';
import { BatchKind, batchOfRows, Columns, ROW_WORDS, type Batch } from './batch.ts';
import {
  copyFrameRow,
  DerivedKind,
  FRAME_VERSION,
  Head,
  HEAD_WORDS,
  Input,
  INPUT_WORDS,
  InputType,
} from './frame.ts';
import { Group } from './group.ts';
import { BATCH_EVENTS_MAX, GROUP_BYTES_TARGET, GROUP_ROWS_MAX } from './limits.ts';
import { ApplyHead, LINK_HEAD_WORDS, LinkHead, LinkKind, WalkHead } from './link-message.ts';
import { bigintOfUint128, bigintOfUint64 } from './uint128.ts';

const BYTES = 1 << 20;
const CLOCK = { low: 0xfffffff0, high: 6 };

function transfers(first: bigint, n: number): Batch {
  const events = Array.from({ length: n }, (_, i) =>
    transferOf(first + BigInt(i), 1n, 2n, BigInt(i)),
  );
  return batchOfObjects(BatchKind.transfers, events);
}

/** Two requests, a message, an acknowledgement; three derived rows; not all created. */
function sealedGroup(shards = 3): Group {
  const group = new Group(BYTES);
  group.reset(12);
  for (const [i, batch] of [transfers(100n, 5), transfers(200n, 1)].entries()) {
    const frame = requestFrame(InputType.createTransfers, batch, { request: i + 1 });
    group.addRequest(frame, 0, frame.length);
    const at = group.inputAt[i]!;
    // The second request begins shortly before the lower word of its timestamps runs over.
    group.words[at + Input.stamp] = 0xffffffff - 2 * shards;
    group.words[at + Input.stamp + 1] = 5;
  }
  const walk = new Uint32Array(LINK_HEAD_WORDS + 3 * (ROW_WORDS + 1));
  walk[LinkHead.kind] = LinkKind.walk;
  walk[LinkHead.rows] = 3;
  const at = group.addMessage(InputType.link, 2, walk);
  group.words[at + Input.number] = 7;
  group.addMessage(InputType.acknowledged, 1, null);
  group.statuses.set([0, 54, 0, 0, 46, 0]);
  for (let i = 0; i < 3; i++) {
    const row = new Uint32Array(ROW_WORDS).fill(0x11111111 * (i + 1));
    expect(group.derive(row, 0, DerivedKind.home)).toBe(6 + i);
  }
  group.seal(CLOCK, 0xabcdef);
  return group;
}

/** The word at which the message of a frame begins. */
function frameMessage(frame: Uint8Array): number {
  const words = new Uint32Array(frame.slice().buffer);
  let at = HEAD_WORDS;
  while (words[at] !== InputType.link) at += words[at + Input.bytes]! / 4;
  return at + INPUT_WORDS;
}

describe('a group', () => {
  test('a frame that is loaded and sealed again is the same, byte for byte', () => {
    const group = sealedGroup();
    const frame = group.frame().slice();
    const again = new Group(BYTES);
    // What another group left behind does not matter.
    again.words.fill(0xffffffff);
    expect(again.load(frame, 12)).toBeNull();
    expect([again.inputs, again.inputRows, again.sequence]).toEqual([4, 6, 12]);
    again.statuses.set([0, 54, 0, 0, 46, 0]);
    for (let i = 0; i < 3; i++)
      again.derive(new Uint32Array(ROW_WORDS).fill(0x11111111 * (i + 1)), 0, DerivedKind.home);
    again.seal(CLOCK, 0xabcdef);
    expect(Buffer.compare(again.frame(), frame)).toBe(0);
  });

  test('every row of a frame is found, with the timestamp that it was given', () => {
    const shards = 3;
    const frame = sealedGroup(shards).frame().slice();
    const words = new Uint32Array(frame.buffer);
    const open = { words, halves: new Uint16Array(frame.buffer), inputs: 4, shards };
    const row = new Uint32Array(ROW_WORDS);
    const columns = new Columns();
    for (let i = 0; i < 6; i++) {
      copyFrameRow(open, columns, i, row);
      const within = i < 5 ? i : 0;
      expect(bigintOfUint128(row, 0)).toBe(i < 5 ? 100n + BigInt(i) : 200n);
      expect(bigintOfUint128(row, 12)).toBe(BigInt(within));
      const first = (5n << 32n) + 0xffffffffn - 2n * BigInt(shards);
      expect(bigintOfUint64(row, 30)).toBe(first + BigInt(within * shards));
    }
    for (let i = 0; i < 3; i++) {
      copyFrameRow(open, columns, 6 + i, row);
      expect(row.every((word) => word === 0x11111111 * (i + 1))).toBe(true);
    }
    expect(() => copyFrameRow(open, columns, 9, row)).toThrow('in the frame');
  });

  test('a row of the group under way is the row that its frame will hold', () => {
    const group = sealedGroup();
    const frame = group.frame().slice();
    const open = {
      words: new Uint32Array(frame.buffer),
      halves: new Uint16Array(frame.buffer),
      inputs: 4,
      shards: 3,
    };
    for (let i = 0; i < 9; i++) {
      const one = new Uint32Array(ROW_WORDS);
      const other = new Uint32Array(ROW_WORDS);
      group.copyRow(i, 3, one);
      copyFrameRow(open, new Columns(), i, other);
      expect(one).toEqual(other);
    }
  });

  test('outcomes are left out when every row was created', () => {
    const group = new Group(BYTES);
    group.reset(1);
    const frame = accountsFrame([accountOf(1n), accountOf(2n)]);
    group.addRequest(frame, 0, frame.length);
    group.statuses.set([0, 0]);
    group.seal({ low: 1, high: 0 }, 0);
    expect(group.words[Head.outcomes]).toBe(0);
    expect(group.byteLength).toBe(HEAD_WORDS * 4 + frame.byteLength);
    group.reset(2);
    group.addRequest(frame, 0, frame.length);
    group.statuses.set([0, 21]);
    group.seal({ low: 1, high: 0 }, 0);
    expect(group.words[Head.outcomes]).toBe(HEAD_WORDS * 4 + frame.byteLength);
    expect([...group.halves.subarray(group.words[Head.outcomes]! / 2).subarray(0, 4)]).toEqual([
      0, 21, 0, 0,
    ]);
  });

  test('one with little room takes no more rows than it has, and loads none', () => {
    const group = new Group(BYTES, { inputRowsMax: 8 });
    group.reset(12);
    const frame = requestFrame(InputType.createTransfers, transfers(100n, 5), { request: 1 });
    group.addRequest(frame, 0, frame.length);
    expect([group.takes(8, 3), group.takes(8, 4)]).toEqual([true, false]);
    const large = sealedGroup().frame().slice();
    expect(new Group(BYTES, { inputRowsMax: 6 }).load(large, 12)).toBeNull();
    const refused = 'more rows than a group can have';
    expect(new Group(BYTES, { inputRowsMax: 5 }).load(large, 12)).toBe(refused);
  });

  test('takes its first input whatever its size, and then only what keeps it within its bounds', () => {
    const group = new Group();
    group.reset(1);
    expect(group.takes(GROUP_BYTES_TARGET * 2, GROUP_ROWS_MAX)).toBe(true);
    const frame = transfersFrame([transferOf(1n, 1n, 2n)]);
    group.addRequest(frame, 0, frame.length);
    expect(group.takes(GROUP_BYTES_TARGET, 1)).toBe(false);
    expect(group.takes(8, GROUP_ROWS_MAX)).toBe(false);
    expect(group.takes(8, 1)).toBe(true);
    expect(group.rowsLeft).toBe(GROUP_ROWS_MAX - 1);
    group.seal({ low: 0, high: 0 }, 0);
    expect(() => group.addRequest(frame, 0, frame.length)).toThrow('sealed');
  });
});

describe('a damaged frame', () => {
  const frame = sealedGroup().frame().slice();
  const load = (change: (words: Uint32Array) => void, bytes = frame.byteLength): string | null => {
    const damaged = frame.slice();
    change(new Uint32Array(damaged.buffer));
    return new Group(BYTES).load(damaged.subarray(0, bytes), 12);
  };
  const unchanged = (): void => undefined;

  test('is refused where a message announces what it has no room for, whatever it announces', () => {
    const message = frameMessage(frame);
    const announce = (kind: number, word: number, count: number): string | null =>
      load((words) => {
        words[message + LinkHead.kind] = kind;
        if (kind !== LinkKind.walk) words[message + LinkHead.rows] = 0;
        words[message + word] = count;
      });
    const more = 'a message announces more than it has';
    const walkCounts = [LinkHead.rows, WalkHead.accounts, WalkHead.records, WalkHead.failed];
    for (const word of [...walkCounts, WalkHead.newest]) {
      for (const count of [30, 0x8000_0000, 0xffff_ffff]) {
        expect(announce(LinkKind.walk, word, count), `${word}: ${count}`).toBe(more);
      }
    }
    for (const word of Object.values(ApplyHead)) {
      const isForm = word === ApplyHead.form;
      expect(announce(LinkKind.apply, word, 0x8000_0000), `word ${word}`).toBe(
        isForm ? null : more,
      );
    }
    // The last word is one more row than there are.
    expect(announce(LinkKind.apply, LinkHead.rows, 1)).toBe(more);
    expect(announce(LinkKind.ack, LinkHead.rows, 1)).toBe(more);
    expect(announce(LinkKind.ack, LinkHead.walk, 5)).toBeNull();
    expect(announce(LinkKind.expire, LinkHead.walk, 5)).toBeNull();
    expect(announce(7, LinkHead.walk, 5)).toBe('a message is of no known kind');
  });

  test('is refused with a sentence', () => {
    expect(load(unchanged)).toBeNull();
    expect(load(unchanged, 0)).toBe('not a frame');
    expect(load(unchanged, HEAD_WORDS * 4 - 8)).toBe('not a frame');
    expect(load(unchanged, frame.byteLength - 4)).toBe('not a frame');
    expect(load(unchanged, frame.byteLength - 8)).toBe('a frame of another length');
    expect(load((words) => (words[Head.magic]! ^= 1))).toBe('not a frame');
    expect(load((words) => (words[Head.version] = FRAME_VERSION + 1))).toBe(
      'a frame of another version',
    );
    const first = HEAD_WORDS;
    expect(load((words) => (words[first + Input.bytes] = 0))).toBe('an input is cut off');
    expect(load((words) => (words[first + Input.bytes] = 1 << 30))).toBe('an input is cut off');
    expect(load((words) => (words[first + Input.bytes]! -= 8))).toBe(
      'an input holds no well-formed batch',
    );
    expect(load((words) => (words[Head.inputs] = 0xffffffff))).not.toBeNull();
    expect(load((words) => (words[first + INPUT_WORDS] = 0))).toBe(
      'an input holds no well-formed batch',
    );
  });

  test('is never thrown about, whichever bit has flipped', () => {
    const words = frame.byteLength / 4;
    const group = new Group(BYTES);
    for (let bit = 0; bit < words * 32; bit += 3) {
      const damaged = frame.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const defect = group.load(damaged, 12);
      expect(defect === null || defect.length > 5).toBe(true);
    }
  });

  test('that is longer than any group is refused, not thrown about', () => {
    const long = new Uint8Array(BYTES + 8);
    const words = new Uint32Array(long.buffer);
    words.set(new Uint32Array(frame.buffer, 0, HEAD_WORDS));
    words[Head.bytes] = long.byteLength;
    expect(new Group(BYTES).load(long, 12)).not.toBeNull();
  });

  test('that holds more rows than any group is refused, not thrown about', () => {
    // One id, and nothing else, for every row: a full batch in a few bytes.
    const rows = new Uint32Array(BATCH_EVENTS_MAX * ROW_WORDS);
    for (let i = 0; i < BATCH_EVENTS_MAX; i++) rows[i * ROW_WORDS] = 1;
    const batch = batchOfRows(BatchKind.transfers, rows, BATCH_EVENTS_MAX);
    const one = requestFrame(InputType.createTransfers, batch);
    const count = Math.ceil((GROUP_ROWS_MAX + 1) / BATCH_EVENTS_MAX);
    const words = new Uint32Array(HEAD_WORDS + count * one.length);
    words.set(new Uint32Array(frame.buffer, 0, HEAD_WORDS));
    words[Head.inputs] = count;
    words[Head.bytes] = words.byteLength;
    for (let i = 0; i < count; i++) words.set(one, HEAD_WORDS + i * one.length);
    expect(new Group(BYTES).load(new Uint8Array(words.buffer), 12)).not.toBeNull();
  });
});
