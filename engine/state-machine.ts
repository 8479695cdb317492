/**
 * The deterministic state machine of one shard: (state, group of inputs, time) to (state', outcomes, messages). No I/O, no clock, no
 * randomness; the same groups give the same state, bit for bit, which `digest` proves.
 *
 * The actor fills a `Group`, asks which old records it needs (`want`), hands them in, and calls `execute`. Afterwards the group is sealed (it
 * is the journal frame), `replies` and `outgoing` hold what may be released once the frame is durable. Replay does the same with `load`ed
 * groups and compares the sealed frame with the stored one.
 *
 * Inputs are executed in order. A row whose keys are claimed by a walk, or awaited by somebody earlier, is parked; parked rows have their turn
 * at the end of a group in which claims were freed. Walks set out at the end of the group.
 */
import { assert } from './assert.ts';
import { Account, Columns, ROW_WORDS, Transfer } from './batch.ts';
import { Carried } from './carried.ts';
import { Claims, isOwnKey, KeyKind } from './claims.ts';
import { createAccount } from './create-account.ts';
import { BLOCK_ROWS, TransferRules } from './create-transfer.ts';
import { stateDigest } from './digest.ts';
import { type Group, Head, Input, INPUT_WORDS, InputType } from './group.ts';
import {
  Ledger,
  positionRow,
  positionSequence,
  positionState,
  TransferState,
  type LedgerOptions,
} from './ledger.ts';
import { BATCH_EVENTS_MAX, GROUP_ROWS_MAX } from './limits.ts';
import { LINK_HEAD_WORDS, LinkHead, LinkKind, type Outgoing } from './link-message.ts';
import { OpenRequests, type RequestHead } from './open-requests.ts';
import { ParkedKind } from './parked.ts';
import { shardOf } from './placement.ts';
import { RecordShelf } from './record-shelf.ts';
import { EventState } from './status.ts';
import { Waiting } from './waiting.ts';
import { Walks } from './walk.ts';

const STATUS_COUNTERS = 72;

export class StateMachine {
  readonly ledger: Ledger;
  readonly shelf: RecordShelf;
  readonly requests: OpenRequests;
  readonly #group: Group;
  readonly #claims: Claims;
  readonly #carried: Carried;
  readonly #rules: TransferRules;
  readonly #walks: Walks;
  readonly #waiting: Waiting;
  readonly #columns = new Columns();
  readonly #stamps = new Uint32Array(2 * BATCH_EVENTS_MAX);
  readonly #row = new Uint32Array(ROW_WORDS);
  /** Hashes of transfer ids, by frame row, from `want` to `execute`. */
  readonly #hashes = new Int32Array(GROUP_ROWS_MAX + 1);
  #decisions = 0;
  /** Numbers of the messages sent to and received from each shard. */
  readonly sent: Float64Array;
  readonly received: Float64Array;
  readonly acknowledged: Float64Array;
  /** Outcomes by status number since the start; for metrics only. */
  readonly accountOutcomes = new Float64Array(STATUS_COUNTERS);
  readonly transferOutcomes = new Float64Array(STATUS_COUNTERS);

  constructor(options: LedgerOptions, group: Group) {
    this.#group = group;
    this.ledger = new Ledger(options);
    this.requests = new OpenRequests(this.ledger);
    this.shelf = new RecordShelf(options.seed);
    this.#claims = new Claims(options.seed);
    this.#carried = new Carried(options.seed);
    this.sent = new Float64Array(options.shards);
    this.received = new Float64Array(options.shards);
    this.acknowledged = new Float64Array(options.shards);
    const { ledger, shelf, requests } = this;
    const carried = this.#carried;
    this.#rules = new TransferRules({ ledger, group, shelf, carried });
    const rules = this.#rules;
    const claims = this.#claims;
    const note = (status: number, low: number, high: number): void => {
      this.#decide(status, low, high);
    };
    const countAccount = (status: number): void => this.#count(this.accountOutcomes, status);
    const countTransfer = (status: number): void => this.#count(this.transferOutcomes, status);
    const decided = (status: number, low: number, high: number): void => {
      countTransfer(status);
      note(status, low, high);
    };
    this.#walks = new Walks({ ledger, group, claims, carried, rules, shelf, requests, decided });
    const walks = this.#walks;
    this.#waiting = new Waiting({
      ledger,
      group,
      claims,
      rules,
      walks,
      requests,
      note,
      countAccount,
      countTransfer,
    });
  }

  #count(outcomes: Float64Array, status: number): void {
    outcomes[status] = outcomes[status]! + 1;
  }

  /** The next group goes on with what waits, even without inputs. */
  get pumpAgain(): boolean {
    return this.#waiting.pumpAgain;
  }

  /** Messages of this group for other shards, in order. They are numbered: `sent` has been moved on. */
  get outgoing(): readonly Outgoing[] {
    return this.#walks.outgoing;
  }

  get parkedCount(): number {
    return this.#waiting.count;
  }

  get claimedCount(): number {
    return this.#claims.count;
  }

  get walksUnderWay(): number {
    return this.#walks.underWay;
  }

  /** Notes in `shelf` every record of an older frame that executing the group will need. */
  want(): void {
    this.shelf.clear();
    const { words } = this.#group;
    let frees = this.pumpAgain;
    for (const at of this.#group.inputAt) {
      const type = words[at]!;
      if (type === InputType.createTransfers || type === InputType.createTransfersTogether) {
        this.#group.openBatch(at, this.#columns);
        this.#wantRows(this.#columns, words[at + Input.firstRow]!);
      } else if (type === InputType.link) {
        const body = at + INPUT_WORDS;
        if (words[body + LinkHead.kind] === LinkKind.apply) frees = true;
        if (words[body + LinkHead.kind] === LinkKind.walk) {
          this.#wantEvents(words, body + LINK_HEAD_WORDS, words[body + LinkHead.rows]!);
        }
      }
    }
    if (frees) this.#waiting.forEachId((ids, at) => this.#wantId(ids, at));
  }

  /** Looks all ids of a request up: hashes and cache misses first, block by block, then what was found. */
  // Hot path.
  #wantRows(columns: Columns, firstRow: number): void {
    const { words, n } = columns;
    const hashes = this.#hashes;
    const index = this.ledger.transferIndex;
    const start = columns.at[Transfer.id]!;
    const step = columns.step[Transfer.id]!;
    for (let from = 0; from < n; from += BLOCK_ROWS) {
      const to = Math.min(from + BLOCK_ROWS, n);
      for (let i = from; i < to; i++) hashes[firstRow + i] = index.hash(words, start + i * step);
      let touched = this.#rules.touched;
      for (let i = from; i < to; i++) touched = (touched + index.touch(hashes[firstRow + i]!)) | 0;
      this.#rules.touched = touched;
      for (let i = from; i < to; i++) {
        const slot = index.find(words, start + i * step, hashes[firstRow + i]!);
        if (slot !== -1) this.#wantSlot(words, start + i * step, slot);
      }
    }
  }

  #wantEvents(words: Uint32Array, at: number, n: number): void {
    for (let i = 0; i < n; i++) this.#wantId(words, at + i * ROW_WORDS);
  }

  // Hot path.
  #wantId(words: Uint32Array, at: number): void {
    const index = this.ledger.transferIndex;
    const slot = index.find(words, at, index.hash(words, at));
    if (slot !== -1) this.#wantSlot(words, at, slot);
  }

  #wantSlot(words: Uint32Array, at: number, slot: number): void {
    const index = this.ledger.transferIndex;
    const high = index.valueHigh(slot);
    if (positionState(high) !== TransferState.created) return;
    this.shelf.want(words, at, positionSequence(index.valueLow(slot), high), positionRow(high));
  }

  /** Executes the group at a time (ns since the epoch, two words), and seals it. */
  execute(low: number, high: number): void {
    const group = this.#group;
    const { words } = group;
    this.ledger.advance(low, high);
    words[Head.opened] = this.ledger.clockLow;
    words[Head.opened + 1] = this.ledger.clockHigh;
    this.#decisions = 0;
    this.#walks.outgoing.length = 0;
    this.requests.beginGroup(group.sequence);
    for (const at of group.inputAt) this.#execute(at);
    if (this.#walks.freed || this.pumpAgain) this.#waiting.pump();
    this.#walks.setOut();
    for (const { to } of this.#walks.outgoing) this.sent[to] = this.sent[to]! + 1;
    const { clockLow, clockHigh } = this.ledger;
    group.seal({ low: clockLow, high: clockHigh }, this.#decisions >>> 0);
  }

  #execute(at: number): void {
    const { words } = this.#group;
    switch (words[at] as InputType) {
      case InputType.createAccounts:
        this.#createAccounts(at);
        return;
      case InputType.createTransfers:
        this.#createTransfers(at);
        return;
      case InputType.createTransfersTogether:
        this.#createTogether(at);
        return;
      case InputType.link:
        this.#receive(at);
        return;
      case InputType.acknowledged: {
        const peer = words[at + Input.peer]!;
        const number = words[at + Input.number]! + words[at + Input.number + 1]! * 4294967296;
        assert(number <= this.sent[peer]!, 'only what was sent is acknowledged');
        this.acknowledged[peer] = Math.max(this.acknowledged[peer]!, number);
        return;
      }
      case InputType.digest: {
        const digest = this.digest();
        words[at + Input.digest] = digest[0];
        words[at + Input.digest + 1] = digest[1];
        return;
      }
      default:
        assert(false, 'a journalled input has a known type');
    }
  }

  // ---- Requests.

  #head(at: number, n: number): RequestHead {
    const { words } = this.#group;
    return {
      session: words[at + Input.session]!,
      request: words[at + Input.request]!,
      n,
      deadlineLow: words[at + Input.deadline]!,
      deadlineHigh: words[at + Input.deadline + 1]!,
    };
  }

  #createAccounts(at: number): void {
    const group = this.#group;
    const columns = this.#columns;
    group.openBatch(at, columns);
    const firstRow = group.words[at + Input.firstRow]!;
    const head = this.#head(at, columns.n);
    const isContended = this.#claims.count > 0;
    let slot = -1;
    let waiting = 0;
    for (let i = 0; i < columns.n; i++) {
      this.ledger.tick();
      if (i === 0) this.#stampRequest(at);
      const id = columns.at[Account.id]! + i * columns.step[Account.id]!;
      let status: number = EventState.waiting;
      if (isContended && !this.#claims.isFree(columns.words, id, KeyKind.account, false)) {
        if (slot === -1) slot = this.requests.open(head);
        columns.copyRow(i, this.#row, 0);
        this.#waiting.park(ParkedKind.account, this.#row, slot, i);
        waiting++;
      } else {
        status = createAccount(this.ledger, columns, i);
        this.accountOutcomes[status] = this.accountOutcomes[status]! + 1;
      }
      this.#settleRow(firstRow, i, status);
    }
    this.#answer(head, firstRow, slot, waiting);
  }

  // Hot path.
  #createTransfers(at: number): void {
    const group = this.#group;
    const columns = this.#columns;
    group.openBatch(at, columns);
    const firstRow = group.words[at + Input.firstRow]!;
    const head = this.#head(at, columns.n);
    const rules = this.#rules;
    const ledger = this.ledger;
    rules.open(columns, false);
    const isPlain = ledger.shards === 1;
    const index = ledger.transferIndex;
    const idStart = columns.at[Transfer.id]!;
    const idStep = columns.step[Transfer.id]!;
    let slot = -1;
    let waiting = 0;
    for (let i = 0; i < columns.n; i++) {
      ledger.tick();
      if (i === 0) this.#stampRequest(at);
      if (i % BLOCK_ROWS === 0) rules.lookAhead(i, Math.min(i + BLOCK_ROWS, columns.n));
      if (!isPlain && this.#mustWait(columns, i)) {
        if (slot === -1) slot = this.requests.open(head);
        this.#enter(columns, i, slot);
        waiting++;
        this.#settleRow(firstRow, i, EventState.waiting);
        continue;
      }
      const id = idStart + i * idStep;
      const hash = this.#hashes[firstRow + i]!;
      const place = index.search(columns.words, id, hash);
      const status = rules.create(i, firstRow + i, hash, place);
      this.transferOutcomes[status] = this.transferOutcomes[status]! + 1;
      this.#settleRow(firstRow, i, status);
    }
    this.#answer(head, firstRow, slot, waiting);
  }

  /** Whether the row crosses shards, or one of its keys is claimed or awaited. */
  // Hot path.
  #mustWait(columns: Columns, i: number): boolean {
    const { words, at, step } = columns;
    const { shard, shards } = this.ledger;
    const dr = at[Transfer.debitAccountId]! + i * step[Transfer.debitAccountId]!;
    const cr = at[Transfer.creditAccountId]! + i * step[Transfer.creditAccountId]!;
    if (shardOf(words, dr, shards) !== shard || shardOf(words, cr, shards) !== shard) return true;
    const claims = this.#claims;
    if (claims.count === 0) return false;
    const id = at[Transfer.id]! + i * step[Transfer.id]!;
    return !(
      claims.isFree(words, id, KeyKind.transfer, false) &&
      claims.isFree(words, dr, KeyKind.account, false) &&
      claims.isFree(words, cr, KeyKind.account, false)
    );
  }

  /** A row that cannot be executed at once: into a walk that begins, or among the parked. */
  #enter(columns: Columns, i: number, slot: number): void {
    const row = this.#row;
    columns.copyRow(i, row, 0);
    if (isOwnKey(this.ledger, row, 0, 1) && isOwnKey(this.ledger, row, 0, 2)) {
      this.#waiting.park(ParkedKind.transfer, row, slot, i);
    } else if (!this.#walks.start(row, 0, 1, { slot, row: i, isScan: false })) {
      this.#waiting.park(ParkedKind.start, row, slot, i);
    }
  }

  #createTogether(at: number): void {
    const group = this.#group;
    const columns = this.#columns;
    group.openBatch(at, columns);
    const { n } = columns;
    const firstRow = group.words[at + Input.firstRow]!;
    const head = this.#head(at, n);
    const events = new Uint32Array(n * ROW_WORDS);
    for (let i = 0; i < n; i++) {
      this.ledger.tick();
      if (i === 0) this.#stampRequest(at);
      columns.copyRow(i, events, i * ROW_WORDS);
      this.#settleRow(firstRow, i, EventState.waiting);
    }
    const slot = this.requests.open(head);
    if (!this.#walks.start(events, 0, n, { slot, row: 0, isScan: false })) {
      this.#waiting.parkTogether(events, slot);
    }
    this.#answer(head, firstRow, slot, n);
  }

  #stampRequest(at: number): void {
    this.#group.words[at + Input.stamp] = this.ledger.clockLow;
    this.#group.words[at + Input.stamp + 1] = this.ledger.clockHigh;
  }

  // Hot path.
  #settleRow(firstRow: number, i: number, status: number): void {
    const { stampLow, stampHigh } = this.ledger;
    this.#group.statuses[firstRow + i] = status;
    this.#stamps[2 * i] = stampLow;
    this.#stamps[2 * i + 1] = stampHigh;
    this.#decide(status, stampLow, stampHigh);
  }

  /** Answers a request at once, or keeps it open for the rows that wait. */
  #answer(head: RequestHead, firstRow: number, slot: number, waiting: number): void {
    if (slot === -1) {
      this.requests.reply(head, this.#group.statuses, firstRow, this.#stamps);
      return;
    }
    this.requests.keep(slot, this.#group.statuses, firstRow, this.#stamps);
    this.requests.addWaiting(slot, waiting);
  }

  // Hot path.
  #decide(status: number, low: number, high: number): void {
    let hash = Math.imul(this.#decisions ^ status, 0x01000193);
    hash = Math.imul(hash ^ low, 0x01000193);
    this.#decisions = Math.imul(hash ^ high, 0x01000193) ^ (hash >>> 15);
  }

  // ---- Links.

  #receive(at: number): void {
    const { words } = this.#group;
    const from = words[at + Input.peer]!;
    const number = words[at + Input.number]! + words[at + Input.number + 1]! * 4294967296;
    assert(number === this.received[from]! + 1, 'link messages are taken once and in order');
    this.received[from] = number;
    // Causes precede effects: this shard's clock moves past its sender's.
    this.ledger.advance(words[at + Input.stamp]!, words[at + Input.stamp + 1]!);
    const message = at + INPUT_WORDS;
    const kind = words[message + LinkHead.kind]!;
    if (kind === LinkKind.apply) this.#walks.apply(words, message);
    else if (kind === LinkKind.ack) this.#walks.acknowledge(words, message);
    else {
      assert(kind === LinkKind.walk, 'a link message has a known kind');
      const end = at + words[at + Input.bytes]! / 4;
      const body = words.slice(message, end);
      const hasRoom = this.#group.rowsLeft > BATCH_EVENTS_MAX;
      if (hasRoom && this.#walks.canVisit(body, 0, false)) {
        this.#walks.visit(body);
        return;
      }
      this.#waiting.parkWalk(body);
      if (!hasRoom) this.#waiting.pumpAgain = true;
    }
  }

  // ---- Digest.

  /** Two words over the whole state: accounts, ids, links, and what waits. Takes time in proportion to the state. */
  digest(): readonly [number, number] {
    return stateDigest({
      ledger: this.ledger,
      claims: this.#claims,
      walks: this.#walks,
      counters: [this.sent, this.received],
      parked: this.#waiting.count,
    });
  }
}
