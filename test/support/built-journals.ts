/**
 * Journals of several shards made up at random, frame by frame, without the engine: what readers of the journal are tested with. Beside the
 * frames it keeps, in plain objects, what they mean: each account's history, the transfers of each shard, and every change.
 */
import { batchOfRows, BatchKind, ROW_WORDS } from '../../engine/batch.ts';
import { AccountFlags, RESOLVING, TransferFlags } from '../../engine/flags.ts';
import { Derived, DERIVED_WORDS, DerivedKind, InputType } from '../../engine/frame.ts';
import { positionHigh } from '../../engine/ledger.ts';
import { shardOf } from '../../engine/placement.ts';
import { ChangeType } from '../../engine/query.ts';
import { writeUint128, writeUint64 } from '../../engine/uint128.ts';
import { Prng } from '../../lib/prng.ts';
import { buildFrame, type BuiltInput } from './frame-builder.ts';

export interface BuiltAccount {
  readonly id: bigint;
  readonly shard: number;
  readonly row: Uint32Array;
  readonly timestamp: bigint;
}

export interface BuiltTransfer {
  readonly id: bigint;
  readonly debit: bigint;
  readonly credit: bigint;
  readonly amount: bigint;
  readonly flags: number;
  readonly timestamp: bigint;
  readonly row: Uint32Array;
  readonly pending: BuiltTransfer | undefined;
}

export interface BuiltEntry {
  readonly transfer: BuiltTransfer;
  readonly isDebit: boolean;
  readonly effect: bigint;
  readonly balances: readonly bigint[];
}

export interface BuiltChange {
  readonly type: ChangeType;
  readonly key: bigint;
  readonly transfer: BuiltTransfer;
}

/** Where a transfer takes effect; `effect` is filled in there. */
interface Due {
  readonly transfer: BuiltTransfer;
  readonly kind: number;
}

const START = 1_700_000_000_000_000_000n;
const LEDGER = 7;

export class BuiltJournals {
  readonly shards: number;
  readonly frames: { readonly frame: Uint8Array; readonly timestamp: bigint }[][];
  readonly accounts: BuiltAccount[] = [];
  readonly accountsOf: BuiltAccount[][];
  /** Stored transfers at home there, in journal order, with their effect timestamps. */
  readonly transfersOf: { readonly transfer: BuiltTransfer; readonly effect: bigint }[][];
  readonly histories = new Map<bigint, BuiltEntry[]>();
  readonly changes: BuiltChange[] = [];
  readonly heads = new Map<bigint, { low: number; high: number }>();
  /** Decided, and not yet in every frame that it is to be in. */
  readonly #due: Due[][];
  readonly #clocks: bigint[];
  readonly #prng: Prng;
  readonly #balances = new Map<bigint, bigint[]>();
  readonly #open: BuiltTransfer[] = [];
  readonly #closed = new Set<bigint>();
  #lastId = 1000n;

  /** In a hundred frames: of these every transfer is created, and of a single phase. */
  plainPercent = 0;
  #isPlain = false;
  /** Frames have at least so many bytes: a link message that means nothing is in them. */
  readonly #frameBytesMin: number;

  constructor(seed: number, shards: number, frameBytesMin = 0) {
    this.#prng = new Prng(seed);
    this.#frameBytesMin = frameBytesMin;
    this.shards = shards;
    const lists = <T>(): T[][] => Array.from({ length: shards }, (): T[] => []);
    this.frames = lists();
    this.accountsOf = lists();
    this.transfersOf = lists();
    this.#due = lists();
    this.#clocks = Array.from({ length: shards }, (_, shard) => this.#align(START, shard));
  }

  /** Below it nothing is unresolved. */
  watermark(): bigint {
    let watermark = this.#clocks.reduce((one, two) => (one < two ? one : two)) + 1n;
    for (const { transfer } of this.#due.flat()) {
      if (transfer.timestamp < watermark) watermark = transfer.timestamp;
    }
    return watermark;
  }

  /** One more frame on a shard. */
  step(shard = this.#prng.below(this.shards)): void {
    const prng = this.#prng;
    this.#clocks[shard] = this.#align(this.#clocks[shard]! + BigInt(prng.below(5000)), shard);
    const frame = new FrameDraft(shard, this.frames[shard]!.length + 1, this.#frameBytesMin);
    const opened = this.#clocks[shard];
    this.#isPlain = this.plainPercent > 0 && prng.chance(this.plainPercent);
    for (let i = prng.below(4); i >= 0; i--) {
      if (this.accountsOf[shard]!.length < 3 || prng.chance(8)) this.#createAccounts(frame);
      else this.#createTransfers(frame);
    }
    if (!this.#isPlain && prng.chance(70))
      for (const due of this.#due[shard]!.splice(0)) this.#takeEffect(frame, due);
    if (!this.#isPlain && prng.chance(20)) this.#expire(frame);
    if (frame.isEmpty) this.#createAccounts(frame);
    frame.derive();
    const closed = this.#clocks[shard];
    this.frames[shard]!.push({ frame: frame.build(opened, closed), timestamp: closed });
  }

  tick(shard: number): bigint {
    this.#clocks[shard]! += BigInt(this.shards);
    return this.#clocks[shard]!;
  }

  #align(time: bigint, shard: number): bigint {
    const count = BigInt(this.shards);
    return time + ((BigInt(shard) - (time % count) + count) % count);
  }

  #createAccounts(frame: FrameDraft): void {
    const { shard } = frame;
    const rows: Uint32Array[] = [];
    const statuses: number[] = [];
    let stamp = 0n;
    for (let n = this.#prng.between(1, 4); n > 0; n--) {
      const id = this.#newId(shard);
      const row = this.#row(id);
      const flags = this.#prng.chance(50) ? AccountFlags.history : 0;
      row.fill(0, 4, 20);
      row[28] = LEDGER;
      row[29] = (row[29]! & 0xffff) | (flags << 16);
      const timestamp = this.tick(shard);
      if (stamp === 0n) stamp = timestamp;
      const isCreated = this.#isPlain || this.#prng.chance(90);
      rows.push(row.slice());
      statuses.push(isCreated ? 0 : 21);
      if (!isCreated) continue;
      writeUint64(timestamp, row, 30);
      const account = { id, shard, row, timestamp };
      this.accounts.push(account);
      this.accountsOf[shard]!.push(account);
      this.histories.set(id, []);
      this.heads.set(id, { low: 0, high: 0 });
      this.#balances.set(id, [0n, 0n, 0n, 0n]);
    }
    frame.addInput({
      type: InputType.createAccounts,
      kind: BatchKind.accounts,
      rows,
      statuses,
      stamp,
    });
  }

  #createTransfers(frame: FrameDraft): void {
    const { shard } = frame;
    const rows: Uint32Array[] = [];
    const statuses: number[] = [];
    const derived: Due[] = [];
    const decisions: (() => void)[] = [];
    const first = frame.rows;
    let stamp = 0n;
    for (let n = this.#prng.between(1, 12); n > 0; n--) {
      const timestamp = this.tick(shard);
      if (stamp === 0n) stamp = timestamp;
      const transfer = this.#draw(shard, timestamp);
      rows.push(transfer === undefined ? this.#row(this.#newId(shard)) : sent(transfer));
      if (transfer === undefined) {
        statuses.push(54);
        frame.noEntry();
        continue;
      }
      const decider = Math.max(shard, this.shardOf(transfer.credit));
      if (this.shardOf(transfer.credit) !== shard) {
        statuses.push(0xfffe);
        frame.noEntry();
        decisions.push(() => this.#decide(transfer, decider));
      } else if ((transfer.flags & RESOLVING) !== 0) {
        statuses.push(0);
        frame.noEntry();
        derived.push({ transfer, kind: DerivedKind.home });
        this.#note(transfer);
      } else {
        statuses.push(0);
        this.#note(transfer);
        this.#effect(frame, { transfer, kind: DerivedKind.home }, first + rows.length - 1);
      }
    }
    // Not before the batch has all its timestamps.
    for (const decide of decisions) decide();
    const type = this.#prng.chance(80)
      ? InputType.createTransfers
      : InputType.createTransfersTogether;
    frame.addInput({ type, kind: BatchKind.transfers, rows, statuses, stamp });
    frame.later(() => {
      for (const one of derived) this.#effect(frame, one, -1);
    });
  }

  /** A transfer over shards: decided by one, with its timestamp, and due on both. */
  #decide(wanted: BuiltTransfer, decider: number): void {
    // The walk has come past both, and brings their clocks along.
    for (const id of [wanted.debit, wanted.credit]) {
      const clock = this.#clocks[this.shardOf(id)]!;
      if (this.#clocks[decider]! < clock) this.#clocks[decider] = this.#align(clock, decider);
    }
    const timestamp = this.tick(decider);
    const row = wanted.row.slice();
    writeUint64(timestamp, row, 30);
    const transfer = { ...wanted, row, timestamp };
    const home = this.shardOf(transfer.debit);
    const other = this.shardOf(transfer.credit);
    this.#due[home]!.push({ transfer, kind: DerivedKind.home });
    if (other !== home) this.#due[other]!.push({ transfer, kind: 0 });
    this.#note(transfer);
  }

  #takeEffect(frame: FrameDraft, due: Due): void {
    frame.later(() => this.#effect(frame, due, -1));
  }

  #effect(frame: FrameDraft, { transfer, kind }: Due, inputRow: number): void {
    const { shard } = frame;
    let effect = transfer.timestamp;
    if (effect < this.#clocks[shard]! && inputRow < 0) effect = this.#clocks[shard]!;
    else if (effect > this.#clocks[shard]!) {
      this.#clocks[shard] = this.#align(effect, shard);
      effect = this.#clocks[shard];
    }
    if (kind === DerivedKind.home) this.transfersOf[shard]!.push({ transfer, effect });
    const words = new Uint32Array(DERIVED_WORDS);
    words.set(transfer.row);
    const row = inputRow < 0 ? frame.nextDerived() : inputRow;
    for (const side of [1, 2]) {
      const accountId = side === 1 ? transfer.debit : transfer.credit;
      if (this.shardOf(accountId) !== shard) continue;
      const head = this.heads.get(accountId)!;
      words.set([head.low, head.high], Derived.debitPrevious + side * 2 - 2);
      this.heads.set(accountId, {
        low: frame.sequence,
        high: positionHigh(frame.sequence, row, side),
      });
    }
    for (const side of [1, 2]) {
      const accountId = side === 1 ? transfer.debit : transfer.credit;
      if (this.shardOf(accountId) !== shard) continue;
      const balances = this.#balances.get(accountId)!;
      applyTransfer(balances, transfer, side === 1);
      this.histories
        .get(accountId)!
        .push({ transfer, isDebit: side === 1, effect, balances: [...balances] });
      const account = this.accounts.find((one) => one.id === accountId)!;
      if (((account.row[29]! >>> 16) & AccountFlags.history) !== 0)
        frame.addBalances(row, side, balances);
    }
    if (inputRow >= 0) {
      frame.previous.push(...words.subarray(Derived.debitPrevious, Derived.effect));
      return;
    }
    writeUint64(effect, words, Derived.effect);
    writeUint64(transfer.timestamp, words, Derived.decided);
    words[Derived.kind] = kind;
    frame.addDerived(words);
  }

  /** Only pending transfers whose both accounts live on this shard, and which nothing else is about to end. */
  #expire(frame: FrameDraft): void {
    const { shard } = frame;
    const at = this.#open.findIndex(
      (one) => this.shardOf(one.debit) === shard && this.shardOf(one.credit) === shard,
    );
    if (at < 0) return;
    const [transfer] = this.#open.splice(at, 1);
    frame.later(() => {
      const key = this.tick(shard);
      const words = new Uint32Array(DERIVED_WORDS);
      words.set(transfer!.row);
      writeUint64(key, words, Derived.effect);
      writeUint64(key, words, Derived.decided);
      words[Derived.kind] = DerivedKind.home | DerivedKind.expired;
      for (const [accountId, word] of [
        [transfer!.debit, 0],
        [transfer!.credit, 2],
      ] as const) {
        this.#balances.get(accountId)![word]! -= transfer!.amount;
      }
      this.#reopen(transfer!);
      frame.addDerived(words);
      this.changes.push({ type: ChangeType.two_phase_expired, key, transfer: transfer! });
    });
  }

  #note(transfer: BuiltTransfer): void {
    const { flags } = transfer;
    let type: ChangeType = ChangeType.single_phase;
    if ((flags & TransferFlags.pending) !== 0) {
      type = ChangeType.two_phase_pending;
      this.#open.push(transfer);
      if ((flags & TransferFlags.closingDebit) !== 0) this.#closed.add(transfer.debit);
    } else if ((flags & TransferFlags.postPendingTransfer) !== 0)
      type = ChangeType.two_phase_posted;
    else if ((flags & TransferFlags.voidPendingTransfer) !== 0) {
      type = ChangeType.two_phase_voided;
      this.#reopen(transfer.pending!);
    }
    this.changes.push({ type, key: transfer.timestamp, transfer });
  }

  #reopen(pending: BuiltTransfer): void {
    if ((pending.flags & TransferFlags.closingDebit) !== 0) this.#closed.delete(pending.debit);
  }

  /** Undefined: one that the ledger refuses. Its debit account is of the shard, but for one that ends a pending transfer. */
  #draw(shard: number, timestamp: bigint): BuiltTransfer | undefined {
    const prng = this.#prng;
    if (!this.#isPlain && prng.chance(10)) return undefined;
    const id = this.#newId(shard);
    // A pending transfer that is not in every frame yet is claimed, and so are its accounts.
    const due = new Set(this.#due.flat().map(({ transfer }) => transfer));
    const open = this.#open.filter((one) => !due.has(one) && this.shardOf(one.debit) === shard);
    if (open.length > 0 && !this.#isPlain && prng.chance(35)) {
      const pending = prng.pick(open);
      const mayPost = !this.#closed.has(pending.debit) && !this.#closed.has(pending.credit);
      const isPost = mayPost && prng.chance(60);
      this.#open.splice(this.#open.indexOf(pending), 1);
      const amount = isPost && prng.chance(40) ? pending.amount / 2n : pending.amount;
      const flags = isPost ? TransferFlags.postPendingTransfer : TransferFlags.voidPendingTransfer;
      const { debit, credit } = pending;
      return this.#transfer({ id, debit, credit, amount, flags, timestamp, pending });
    }
    const free = this.accounts.filter((one) => !this.#closed.has(one.id));
    const debits = free.filter((one) => one.shard === shard);
    if (debits.length === 0 || free.length < 2) return undefined;
    const debit = prng.pick(debits).id;
    let credit = prng.pick(free).id;
    while (credit === debit) credit = prng.pick(free).id;
    let flags = !this.#isPlain && prng.chance(30) ? TransferFlags.pending : 0;
    if (flags !== 0 && prng.chance(5)) flags |= TransferFlags.closingDebit;
    const amount = BigInt(prng.below(1000));
    return this.#transfer({ id, debit, credit, amount, flags, timestamp, pending: undefined });
  }

  #transfer(fields: Omit<BuiltTransfer, 'row'>): BuiltTransfer {
    const row = this.#row(fields.id);
    writeUint128(fields.debit, row, 4);
    writeUint128(fields.credit, row, 8);
    writeUint128(fields.amount, row, 12);
    writeUint128(fields.pending?.id ?? 0n, row, 16);
    row[28] = LEDGER;
    row[29] = ((row[29]! & 0xffff) | (fields.flags << 16)) >>> 0;
    writeUint64(fields.timestamp, row, 30);
    return { ...fields, row };
  }

  #row(id: bigint): Uint32Array {
    const row = new Uint32Array(ROW_WORDS);
    const prng = this.#prng;
    writeUint128(id, row, 0);
    if (prng.chance(50)) writeUint128(BigInt(prng.below(40)) << 70n, row, 20);
    writeUint64(prng.bits(64) >> BigInt(prng.pick([0, 60])), row, 24);
    row[26] = prng.below(6);
    row[29] = prng.between(1, 5);
    return row;
  }

  #newId(shard: number): bigint {
    const words = new Uint32Array(4);
    do writeUint128(++this.#lastId, words, 0);
    while (shardOf(words, 0, this.shards) !== shard);
    return this.#lastId;
  }

  shardOf(accountId: bigint): number {
    const words = new Uint32Array(4);
    writeUint128(accountId, words, 0);
    return shardOf(words, 0, this.shards);
  }
}

/** Adds a transfer to {debits pending, debits posted, credits pending, credits posted} of its debit or credit account. */
export function applyTransfer(balances: bigint[], transfer: BuiltTransfer, isDebit: boolean): void {
  const pending = isDebit ? 0 : 2;
  const { flags, amount } = transfer;
  if ((flags & TransferFlags.pending) !== 0) balances[pending]! += amount;
  else {
    if (transfer.pending !== undefined) balances[pending]! -= transfer.pending.amount;
    if ((flags & TransferFlags.voidPendingTransfer) === 0) balances[pending + 1]! += amount;
  }
}

/** The row as its caller sent it. */
function sent(transfer: BuiltTransfer): Uint32Array {
  const row = transfer.row.slice();
  row[30] = 0;
  row[31] = 0;
  return row;
}

/** What goes into one frame. Derived rows come behind all inputs, so what derives them waits until these are there. */
class FrameDraft {
  readonly shard: number;
  readonly sequence: number;
  readonly previous: number[] = [];
  rows = 0;
  readonly #inputs: BuiltInput[] = [];
  readonly #derived: Uint32Array[] = [];
  readonly #balances: number[] = [];
  readonly #later: (() => void)[] = [];

  readonly #bytesMin: number;

  constructor(shard: number, sequence: number, bytesMin: number) {
    this.shard = shard;
    this.sequence = sequence;
    this.#bytesMin = bytesMin;
  }

  get isEmpty(): boolean {
    return this.#inputs.length + this.#later.length === 0;
  }

  addInput(input: {
    readonly type: number;
    readonly kind: BatchKind;
    readonly rows: readonly Uint32Array[];
    readonly statuses: readonly number[];
    readonly stamp: bigint;
  }): void {
    const rows = new Uint32Array(input.rows.length * ROW_WORDS);
    for (const [i, row] of input.rows.entries()) {
      rows.set(row, i * ROW_WORDS);
      rows.fill(0, i * ROW_WORDS + 30, i * ROW_WORDS + 32);
    }
    const batch = batchOfRows(input.kind, rows, input.rows.length);
    this.#inputs.push({ type: input.type, batch, stamp: input.stamp, statuses: input.statuses });
    this.rows += input.rows.length;
    if (input.kind === BatchKind.accounts) for (const _ of input.rows) this.noEntry();
  }

  noEntry(): void {
    this.previous.push(0, 0, 0, 0);
  }

  later(work: () => void): void {
    this.#later.push(work);
  }

  nextDerived(): number {
    return this.rows + this.#derived.length;
  }

  addDerived(words: Uint32Array): void {
    this.#derived.push(words);
  }

  derive(): void {
    for (const work of this.#later) work();
  }

  addBalances(row: number, side: number, balances: readonly bigint[]): void {
    const words = new Uint32Array(16);
    for (const [i, balance] of balances.entries()) writeUint128(balance, words, i * 4);
    this.#balances.push(row, side, 0, 0, ...words);
  }

  build(opened: bigint, closed: bigint): Uint8Array {
    return buildFrame({
      inputs: this.#inputs,
      messageBytes: this.#bytesMin,
      previous: this.previous,
      derived: this.#derived,
      balances: this.#balances,
      opened,
      closed,
    });
  }
}
