import { expect, test } from 'vitest';
import { BatchKind, Columns } from './batch.ts';
import { addPath, EventKeys, KeyKind, KeysAhead } from './event-keys.ts';
import { EventMark } from './event-marks.ts';
import { EventShards } from './event-shards.ts';
import { TransferFlags } from './flags.ts';
import { hashId, shardOf } from './placement.ts';

const SHARDS = 2;
const SEED = 5;
const { account, transfer, importAccounts, importTransfers } = KeyKind;

/** The first id above another one on a shard. */
function idOn(shard: number, above = 0): number {
  let id = above + 1;
  while (shardOf(Uint32Array.of(id, 0, 0, 0), 0, SHARDS) !== shard) id++;
  return id;
}

const HERE = idOn(0);
const HERE_TOO = idOn(0, HERE);
const AWAY = idOn(1);
const ID = 900;
const PENDING = 901;

function eventOf(debit: number, credit: number, flags = 0, pendingId = 0): Uint32Array {
  const event = new Uint32Array(32);
  event[0] = ID;
  event[4] = debit;
  event[8] = credit;
  event[16] = pendingId;
  event[29] = (flags << 16) | 1;
  return event;
}

function keysOf(shard: number, kind: BatchKind, event: Uint32Array, mark: number = EventMark.end) {
  const ahead = new KeysAhead(SEED);
  const keys = new EventKeys({ shard, shards: SHARDS }, SEED, ahead);
  keys.collect(kind, event, 0, mark);
  const found = listOf(keys);
  // The same event as a row of a batch has the same keys.
  const columns = new Columns();
  columns.openRows(kind, event, new Uint16Array(event.buffer), 0, 1);
  const shards = new EventShards();
  shards.compute(columns, SHARDS);
  keys.collectRow(columns, 0, mark, shards);
  expect(listOf(keys)).toEqual(found);
  if (kind === BatchKind.accounts) return found;
  // Looked ahead at, it has the same hashes too, and the row of another batch has not.
  ahead.look(columns, 0, 1, shards.home, shard);
  expect([...ahead.hashes.subarray(0, ahead.count)].every((hash) => hash !== 0)).toBe(true);
  keys.collectRow(columns, 0, mark, shards);
  expect(listOf(keys)).toEqual(found);
  ahead.byRow.fill(0);
  ahead.close();
  keys.collectRow(columns, 0, mark, shards);
  expect(listOf(keys)).toEqual(found);
  return found;
}

function listOf(keys: EventKeys) {
  const list = Array.from({ length: keys.count }, (_, i) => {
    const hash = hashId(keys.words[i]!, keys.at[i]!, SEED ^ keys.kinds[i]!);
    if (keys.kinds[i] !== account) expect(keys.hashes[i]).toBe(hash);
    return [keys.kinds[i], keys.words[i]![keys.at[i]!]];
  });
  return list.toSorted(([a = 0, x = 0], [b = 0, y = 0]) => a - b || x - y);
}

const transfers = (shard: number, event: Uint32Array, mark?: number) =>
  keysOf(shard, BatchKind.transfers, event, mark);

test('the home of a transfer has its id and debit account, the other shard its credit account', () => {
  const event = eventOf(HERE, AWAY);
  expect(transfers(0, event)).toEqual([
    [account, HERE],
    [transfer, ID],
  ]);
  expect(transfers(1, event)).toEqual([[account, AWAY]]);
  expect(transfers(0, eventOf(HERE, HERE_TOO)).length).toBe(3);
});

test('a post or void has its pending transfer too, at home', () => {
  for (const flags of [TransferFlags.postPendingTransfer, TransferFlags.voidPendingTransfer]) {
    const event = eventOf(HERE, AWAY, flags, PENDING);
    expect(transfers(0, event)).toEqual([
      [account, HERE],
      [transfer, ID],
      [transfer, PENDING],
    ]);
    expect(transfers(1, event)).toEqual([[account, AWAY]]);
  }
  expect(transfers(0, eventOf(HERE, AWAY, 0, PENDING)).length).toBe(2);
});

test('a post that leaves its credit account open has none, nor a shard for it', () => {
  const event = eventOf(HERE, 0, TransferFlags.postPendingTransfer, PENDING);
  expect([...transfers(0, event), ...transfers(1, event)].length).toBe(3);
  const path = { low: 0, high: 0 };
  addPath(path, BatchKind.transfers, event, { at: 0, shards: SHARDS });
  expect(path).toEqual({ low: 1, high: 0 });
});

test('imported events share the order of imports of their home', () => {
  const mark = EventMark.end | EventMark.imported;
  expect(transfers(0, eventOf(HERE, AWAY), mark)).toContainEqual([importTransfers, 0]);
  expect(transfers(1, eventOf(HERE, AWAY), mark)).toEqual([[account, AWAY]]);
  const created = new Uint32Array(32);
  created[0] = AWAY;
  expect(keysOf(1, BatchKind.accounts, created, mark)).toEqual([
    [account, AWAY],
    [importAccounts, 0],
  ]);
  expect(keysOf(0, BatchKind.accounts, created, mark)).toEqual([]);
});
