/**
 * Look-ups on the actor's thread: accounts are copied from memory; transfers, and the newest transfer of an account, are answered with their
 * positions, which readers of the journal turn into records. Never wait for claims, change nothing, are not journalled.
 */
import { HEAD_HIGH, HEAD_LOW } from '../engine/account-table.ts';
import { assert } from '../engine/assert.ts';
import { BatchKind, Columns, ROW_WORDS } from '../engine/batch.ts';
import { Input, INPUT_WORDS } from '../engine/frame.ts';
import { positionState, TransferState } from '../engine/ledger.ts';
import { WordList } from '../engine/link-message.ts';
import { Reply, REPLY_HEAD_WORDS, ReplyKind } from '../engine/open-requests.ts';
import { PendingStatus } from '../engine/query.ts';
import type { StateMachine } from '../engine/state-machine.ts';
import { CODE_FLAGS } from '../engine/transfer-accounts.ts';
import type { ReplyOutbox } from './reply-outbox.ts';
import type { RingReader } from './ring.ts';
import { POSITION_WORDS, RequestType } from './shard-protocol.ts';

/** By `TransferState`. */
const STATUS_OF = [
  PendingStatus.none,
  PendingStatus.none,
  PendingStatus.none,
  PendingStatus.pending,
  PendingStatus.posted,
  PendingStatus.voided,
  PendingStatus.expired,
];

interface Read {
  readonly type: number;
  readonly request: number;
  readonly ids: Uint32Array;
}

export class ShardReads {
  readonly #machine: StateMachine;
  readonly #outbox: ReplyOutbox;
  #reads: Read[] = [];
  readonly #columns = new Columns();
  readonly #words = new WordList();

  constructor(machine: StateMachine, outbox: ReplyOutbox) {
    this.#machine = machine;
    this.#outbox = outbox;
  }

  get count(): number {
    return this.#reads.length;
  }

  /** Takes the read in front of the ring; its answer leaves when the group before it is durable. */
  take(ring: RingReader): void {
    const at = ring.at / 4;
    const type = ring.words[at]!;
    const request = ring.words[at + Input.request]!;
    if (type === RequestType.stateDigest || type === RequestType.watermark) {
      this.#reads.push({ type, request, ids: new Uint32Array(0) });
      return;
    }
    const columns = this.#columns;
    columns.openBatch(ring.words, ring.halves, (at + INPUT_WORDS) * 4, ring.zero);
    assert(columns.kind === BatchKind.ids, 'a look-up names ids');
    const ids = new Uint32Array(columns.n * 4);
    for (let i = 0; i < columns.n; i++) {
      const from = columns.at[0]! + i * columns.step[0]!;
      for (let w = 0; w < 4; w++) ids[i * 4 + w] = columns.words[from + w]!;
    }
    this.#reads.push({ type, request, ids });
  }

  /** A create request of which nothing is started: `late`, `overloaded`, `storageFull`, `archived` with the first sequence of the segment, or `damaged`. */
  refuse(request: number, kind: number, sequence = 0): void {
    const head = new Uint32Array(REPLY_HEAD_WORDS);
    head[Reply.kind] = kind;
    head[Reply.request] = request;
    head[Reply.sequence] = sequence >>> 0;
    head[Reply.sequence + 1] = Math.floor(sequence / 4294967296);
    this.#outbox.add(head, 0, head.length);
  }

  /** `sequence` is that of the last group that was executed, `now` the ledger's time, ns. */
  answer(sequence: number, session: number, now: bigint): void {
    for (const read of this.#reads) {
      const words = this.#words;
      words.length = 0;
      words.extend(REPLY_HEAD_WORDS);
      let n: number;
      let kind: number;
      if (read.type === RequestType.lookupAccounts) {
        n = this.#accounts(read.ids);
        kind = ReplyKind.accounts;
      } else if (read.type === RequestType.lookupTransfers) {
        n = this.#positions(read.ids);
        kind = ReplyKind.positions;
      } else if (read.type === RequestType.accountHeads) {
        n = this.#heads(read.ids);
        kind = ReplyKind.heads;
      } else if (read.type === RequestType.watermark) {
        n = 0;
        kind = ReplyKind.watermark;
        const watermark = this.#machine.watermark(now);
        const at = words.extend(2);
        words.words[at] = Number(watermark & 0xffffffffn);
        words.words[at + 1] = Number(watermark >> 32n);
      } else {
        n = 0;
        kind = ReplyKind.digest;
        const at = words.extend(2);
        words.words.set(this.#machine.digest(), at);
      }
      const head = words.words;
      head[Reply.kind] = kind;
      head[Reply.request] = read.request;
      head[Reply.n] = n;
      head[Reply.session] = session;
      head[Reply.sequence] = sequence >>> 0;
      head[Reply.sequence + 1] = Math.floor(sequence / 4294967296);
      head[Reply.clock] = this.#machine.ledger.clockLow;
      head[Reply.clock + 1] = this.#machine.ledger.clockHigh;
      this.#outbox.add(head, 0, words.length);
    }
    this.#reads = [];
  }

  /** {row of the request, 0} and 32 words for each account that there is. */
  #accounts(ids: Uint32Array): number {
    const { accountIndex, accounts } = this.#machine.ledger;
    let n = 0;
    for (let i = 0; i < ids.length / 4; i++) {
      const row = accountIndex.find(ids, i * 4, accountIndex.hash(ids, i * 4));
      if (row === -1) continue;
      const at = this.#words.extend(2);
      this.#words.words[at] = i;
      this.#words.words[at + 1] = 0;
      const to = this.#words.extend(ROW_WORDS);
      accounts.copyRow(row, this.#words.words, to);
      n++;
    }
    return n;
  }

  #positions(ids: Uint32Array): number {
    const { transferIndex, pendings } = this.#machine.ledger;
    let n = 0;
    for (let i = 0; i < ids.length / 4; i++) {
      const slot = transferIndex.find(ids, i * 4, transferIndex.hash(ids, i * 4));
      if (slot === -1) continue;
      const low = transferIndex.valueLow(slot);
      const high = transferIndex.valueHigh(slot);
      const state = positionState(high);
      if (state === TransferState.failed) continue;
      const isOpen = state === TransferState.pending;
      const at = this.#words.extend(POSITION_WORDS);
      this.#words.words[at] = i;
      this.#words.words[at + 1] = isOpen ? pendings.positionLow(low) : low;
      this.#words.words[at + 2] = isOpen ? pendings.positionHigh(low) : high;
      this.#words.words[at + 3] = STATUS_OF[state]!;
      n++;
    }
    return n;
  }

  #heads(ids: Uint32Array): number {
    const { accountIndex, accounts } = this.#machine.ledger;
    let n = 0;
    for (let i = 0; i < ids.length / 4; i++) {
      const row = accountIndex.find(ids, i * 4, accountIndex.hash(ids, i * 4));
      if (row === -1) continue;
      const chunk = accounts.words;
      const from = accounts.offset(row);
      const at = this.#words.extend(POSITION_WORDS);
      this.#words.words[at] = i;
      this.#words.words[at + 1] = chunk[from + HEAD_LOW]!;
      this.#words.words[at + 2] = chunk[from + HEAD_HIGH]!;
      this.#words.words[at + 3] = chunk[from + CODE_FLAGS]! >>> 16;
      n++;
    }
    return n;
  }
}
