import { describe, expect, test } from 'vitest';
import { BatchKind, ROW_WORDS } from '../engine/batch.ts';
import { Input, InputType } from '../engine/frame.ts';
import type { Group } from '../engine/group.ts';
import { LINK_HEAD_WORDS, LinkHead, LinkKind, WalkHead } from '../engine/link-message.ts';
import { ReplyKind } from '../engine/open-requests.ts';
import { writeUint128 } from '../engine/uint128.ts';
import { journalCorrupt, SegmentArchivedError } from '../persistence/errors.ts';
import {
  accountOf,
  accountsFrame,
  idOn,
  OneShard,
  transferOf,
  transfersFrame,
} from '../test/support/one-shard.ts';
import { ArchivedRecords } from './archived-records.ts';
import { Link } from './link.ts';
import { RecordReader } from './record-reader.ts';
import { ringBuffer } from './ring.ts';

const [DEBIT, CREDIT] = [idOn(0, 2, 1), idOn(0, 2, 2)];

const RULE = 'its checksum does not fit';

/** Shard 0 of two, with transfer 1 in its second row, and an archive that can be taken away. */
class Bench {
  readonly shard = new OneShard({ shard: 0, shards: 2 });
  readonly group: Group;
  readonly link: Link;
  readonly refused: (readonly [request: number, kind: number, sequence: number])[] = [];
  readonly damage: string[] = [];
  readonly archived: ArchivedRecords;
  isAway = false;
  isDamaged = false;

  constructor() {
    const { shard } = this;
    this.group = shard.group;
    shard.run([accountsFrame([accountOf(DEBIT), accountOf(CREDIT)])], 1000n);
    shard.run([transfersFrame([transferOf(1n, DEBIT, CREDIT)])], 2000n);
    shard.run([transfersFrame([transferOf(2n, DEBIT, CREDIT)])], 3000n);
    const read = (sequence: number): Uint8Array => {
      if (this.isAway && sequence === 2) throw new SegmentArchivedError(2, 'a segment');
      if (this.isDamaged && sequence === 2)
        throw journalCorrupt({ file: 'a segment', sequence }, RULE);
      return shard.journal.read(sequence);
    };
    const rings = { peer: 1, incoming: ringBuffer(1 << 12), outgoing: ringBuffer(1 << 12) };
    this.link = new Link(0, rings);
    this.archived = new ArchivedRecords({
      machine: () => shard.machine,
      group: shard.group,
      records: new RecordReader({ read }, 2),
      links: [undefined, this.link],
      beat: () => undefined,
      refuse: (request, { kind, sequence }) => void this.refused.push([request, kind, sequence]),
      onDamage: ({ message }) => void this.damage.push(message),
    });
    this.group.reset(4);
  }

  ask(request: number, ...ids: readonly bigint[]): void {
    const transfers = ids.map((id) => transferOf(id, DEBIT, CREDIT));
    const frame = transfersFrame(transfers, request);
    this.group.addRequest(frame, 0, frame.length);
  }

  /** A walk with one transfer, as it would have been taken from the link. */
  arrive(number: number, id: bigint): void {
    const body = new Uint32Array(LINK_HEAD_WORDS + ROW_WORDS + 2);
    body[LinkHead.kind] = LinkKind.walk;
    body[LinkHead.rows] = 1;
    body[WalkHead.batchKind] = BatchKind.transfers;
    writeUint128(id, body, LINK_HEAD_WORDS);
    this.link.putBack({ number, clockLow: 5, clockHigh: 0, body });
    const at = this.group.addMessage(InputType.link, 1, body);
    this.group.words[at + Input.number] = number;
    this.group.words[at + Input.stamp] = 5;
    this.link.take();
  }

  /** Requests and numbers of messages in the group. */
  inputs(): readonly string[] {
    const { words, inputAt } = this.group;
    return inputAt.map((at) =>
      words[at] === InputType.link
        ? `message ${words[at + Input.number]}`
        : `request ${words[at + Input.request]}`,
    );
  }
}

describe('when the archive is away', () => {
  test('requests that need it are refused with the segment, the others stay in their order', () => {
    const bench = new Bench();
    bench.isAway = true;
    bench.ask(5, 10n);
    bench.ask(6, 11n, 1n);
    bench.ask(7, 2n);
    expect(bench.archived.load()).toBe(true);
    expect(bench.refused).toEqual([[6, ReplyKind.archived, 2]]);
    expect(bench.inputs()).toEqual(['request 5', 'request 7']);
    expect(bench.group.inputRows).toBe(2);
    expect(bench.shard.machine.shelf.count).toBe(1);
  });

  test('messages that need it, and those behind them, go back to their link', () => {
    const bench = new Bench();
    bench.isAway = true;
    bench.arrive(1, 20n);
    bench.arrive(2, 1n);
    bench.arrive(3, 21n);
    bench.ask(5, 10n);
    expect(bench.archived.load()).toBe(true);
    expect(bench.inputs()).toEqual(['message 1', 'request 5']);
    expect(bench.refused).toEqual([]);
    expect(bench.archived.isHeld(1)).toBe(true);
    bench.link.committed();
    expect(bench.link.peek(0)?.number).toBe(2);
    bench.link.take();
    expect(bench.link.peek(0)?.number).toBe(3);
  });

  test('a group of which nothing is left is not executed', () => {
    const bench = new Bench();
    bench.isAway = true;
    bench.ask(6, 1n);
    expect(bench.archived.load()).toBe(false);
    expect(bench.refused).toEqual([[6, ReplyKind.archived, 2]]);
    bench.group.reset(4);
    bench.isAway = false;
    bench.ask(7, 1n);
    expect(bench.archived.load()).toBe(true);
    expect(bench.inputs()).toEqual(['request 7']);
  });
});

describe('when the row of a record is damaged', () => {
  test('requests that need it are refused, said, and nothing else is disturbed', () => {
    const bench = new Bench();
    bench.isDamaged = true;
    bench.ask(5, 10n);
    bench.ask(6, 11n, 1n);
    bench.ask(7, 2n);
    expect(bench.archived.load()).toBe(true);
    expect(bench.refused).toEqual([[6, ReplyKind.damaged, 2]]);
    expect(bench.inputs()).toEqual(['request 5', 'request 7']);
    expect(bench.damage).toEqual([expect.stringContaining(RULE)]);
  });

  test('what another shard has sent cannot be refused: the damage is thrown', () => {
    const bench = new Bench();
    bench.isDamaged = true;
    bench.arrive(1, 1n);
    bench.ask(5, 10n);
    expect(() => bench.archived.load()).toThrow(RULE);
  });
});
