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
import { BatchKind, Columns, ROW_WORDS } from './batch.ts';
import type { ImageMemory } from './before-images.ts';
import { Carried } from './carried.ts';
import { Claims, NEWCOMER } from './claims.ts';
import { CreateRequests } from './create-requests.ts';
import { digestTail, StateDigest, stateDigest } from './digest.ts';
import { EventMark } from './event-marks.ts';
import { Head, Input, INPUT_WORDS, InputType } from './frame.ts';
import { type Group } from './group.ts';
import { imageParts, ImageSection, imageSizes, tablePieces } from './image.ts';
import type { ImageParts, TablePiece } from './image.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';
import { BATCH_EVENTS_MAX, EXPIRIES_MAX } from './limits.ts';
import { LINK_HEAD_WORDS, LinkHead, LinkKind, type Outgoing } from './link-message.ts';
import { MessagePool } from './message-pool.ts';
import { NO_REQUEST, OpenRequests } from './open-requests.ts';
import { Outcomes } from './outcomes.ts';
import { shardOf } from './placement.ts';
import { RecordShelf } from './record-shelf.ts';
import { StateReader, StateWriter } from './state-words.ts';
import { Units } from './units.ts';
import { Waiting } from './waiting.ts';
import { WalkBody } from './walk-body.ts';
import { Walks, type WalkingUnit } from './walk.ts';
import { WantedRecords } from './wanted-records.ts';

export class StateMachine {
  readonly ledger: Ledger;
  readonly shelf: RecordShelf;
  readonly requests: OpenRequests;
  readonly outcomes = new Outcomes();
  /** Bodies of `outgoing` come from here; who keeps them gives them back when the peer has them. */
  readonly messages = new MessagePool();
  readonly #group: Group;
  readonly #claims: Claims;
  readonly #units: Units;
  readonly #walks: Walks;
  readonly #walkBody: WalkBody;
  readonly #waiting: Waiting;
  readonly #wanted: WantedRecords;
  readonly #creates: CreateRequests;
  readonly #columns = new Columns();
  readonly #expiring = new Uint32Array(ROW_WORDS);
  /** Numbers of the messages sent to and received from each shard. */
  readonly sent: Float64Array;
  readonly received: Float64Array;
  readonly acknowledged: Float64Array;
  /**
   * For a replay that asks `hasRepeatedIds` at its end: ids that the journal says were new are not looked for one by one. `always`: even where
   * that seldom pays, since others have to be looked for.
   */
  defersIds: boolean | 'always' = false;

  constructor(options: LedgerOptions, group: Group) {
    this.#group = group;
    this.ledger = new Ledger(options);
    this.requests = new OpenRequests(this.ledger);
    this.shelf = new RecordShelf(options.seed);
    this.sent = new Float64Array(options.shards);
    this.received = new Float64Array(options.shards);
    this.acknowledged = new Float64Array(options.shards);
    const keysAtFirst = 2 ** Math.floor(Math.log2(group.batchRowsMax));
    this.#claims = new Claims(this.ledger, options.seed, keysAtFirst);
    const { ledger, shelf, requests, outcomes } = this;
    const claims = this.#claims;
    const carried = new Carried(options.seed);
    const units = new Units({ ledger, group, shelf, carried });
    const shared = { ledger, group, claims, units, requests, outcomes };
    const walkBody = new WalkBody(group);
    const walks = new Walks({ ...shared, carried, messages: this.messages, walkBody });
    const waiting = new Waiting({ ...shared, walks });
    this.#units = units;
    this.#walks = walks;
    this.#walkBody = walkBody;
    this.#waiting = waiting;
    this.#wanted = new WantedRecords(ledger, shelf, group.inputRowsMax);
    const { hashes } = this.#wanted;
    const wanted = this.#wanted;
    this.#creates = new CreateRequests({ ...shared, walks, waiting, shelf, hashes, wanted });
  }

  /** The next group goes on with what waits, even without inputs. */
  get pumpAgain(): boolean {
    return this.#waiting.pumpAgain;
  }

  /** Messages of this group for other shards, in order. They are numbered: `sent` has been moved on. */
  get outgoing(): readonly Outgoing[] {
    return this.#walks.outgoing;
  }

  /** Memory of the ledger's tables. */
  get tableBytes(): number {
    const { accounts, accountIndex, transferIndex, pendings } = this.ledger;
    return (
      accounts.byteLength + accountIndex.byteLength + transferIndex.byteLength + pendings.byteLength
    );
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

  /** Calls back with the record of every open pending transfer of this shard, 32 words that are valid during the call. */
  forEachPending(visit: (record: Uint32Array, isExpiring: boolean) => void): void {
    const record = new Uint32Array(ROW_WORDS);
    this.ledger.pendings.forEach((entry, isExpiring) => {
      this.#units.transferRules.store.copyOpen(entry, record);
      visit(record, isExpiring);
    });
  }

  /** Whatever will be decided of this shard has at least this timestamp, ns, if the time is `now`. */
  watermark(now: bigint): bigint {
    const { clockLow, clockHigh } = this.ledger;
    const clock = (BigInt(clockHigh) << 32n) | BigInt(clockLow);
    return (this.#walks.since ?? (clock > now ? clock : now)) + 1n;
  }

  /** Notes in `shelf` every record of an older frame that executing the group will need. */
  want(): void {
    this.shelf.clear();
    const { words } = this.#group;
    let frees = this.pumpAgain;
    // A frame that is loaded still has its outcomes: none means that every row was created.
    const areNew = this.requests.isReplay && words[Head.outcomes] === 0;
    this.#wanted.begin(areNew, this.defersIds);
    for (const at of this.#group.inputAt) {
      const type = words[at]!;
      if (type === InputType.createTransfers || type === InputType.createTransfersTogether) {
        this.#group.openBatch(at, this.#columns);
        this.#wanted.addRequest(this.#columns, words[at + Input.firstRow]!);
      } else if (type === InputType.link) {
        const body = at + INPUT_WORDS;
        if (words[body + LinkHead.kind] === LinkKind.apply) frees = true;
        this.#wanted.addMessage(words, body);
      }
    }
    if (frees) this.#waiting.forEachTransfer((events, at) => this.#wanted.addEvent(events, at));
  }

  /** Whether an id that the journal says was new had been there, of those that were not looked for. Which row it came with is not known. */
  hasRepeatedIds(): boolean {
    return this.ledger.transferIndex.hasRepeats();
  }

  /** Executes the group at a time (ns since the epoch, two words), and seals it. */
  execute(low: number, high: number): void {
    const group = this.#group;
    const { words } = group;
    this.ledger.advance(low, high);
    words[Head.opened] = this.ledger.clockLow;
    words[Head.opened + 1] = this.ledger.clockHigh;
    this.outcomes.decisions = 0;
    this.#walks.outgoing.length = 0;
    this.requests.beginGroup(group.sequence);
    for (const at of group.inputAt) this.#execute(at);
    if (this.#walks.freed || this.pumpAgain) this.#waiting.pump();
    this.#walks.setOut();
    for (const { to } of this.#walks.outgoing) this.sent[to] = this.sent[to]! + 1;
    const { clockLow, clockHigh } = this.ledger;
    group.seal({ low: clockLow, high: clockHigh }, this.outcomes.decisions >>> 0);
  }

  #execute(at: number): void {
    const { words } = this.#group;
    this.#group.onBlock();
    switch (words[at] as InputType) {
      case InputType.createAccounts:
        this.#creates.createAccounts(at);
        return;
      case InputType.createTransfers:
        this.#creates.createTransfers(at);
        return;
      case InputType.createTransfersTogether:
      case InputType.createAccountsTogether:
        this.#creates.createTogether(at);
        return;
      case InputType.expire:
        this.#expire();
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

  // ---- Expiry.

  /** Pending transfers whose time is over begin to expire, in order, as many as one input takes. */
  #expire(): void {
    const { ledger } = this;
    const { pendings } = ledger;
    this.ledger.tick();
    for (let n = 0; n < EXPIRIES_MAX && this.#group.rowsLeft > BATCH_EVENTS_MAX; n++) {
      if (!pendings.isDue(ledger.clockLow, ledger.clockHigh)) return;
      const entry = pendings.beginExpiry();
      const record = this.#expiring;
      this.#units.transferRules.store.copyOpen(entry, record);
      const creditShard = shardOf(record, 8, ledger.shards);
      const unit = expiryOf(record, 0);
      if (creditShard === ledger.shard) this.#expireHere(unit);
      else if (creditShard > ledger.shard) this.#beginExpiry(unit);
      else {
        const body = new Uint32Array(LINK_HEAD_WORDS + ROW_WORDS);
        body[LinkHead.kind] = LinkKind.expire;
        body.set(record, LINK_HEAD_WORDS);
        this.#walks.outgoing.push({ to: creditShard, body });
      }
    }
  }

  #expireHere(unit: WalkingUnit): void {
    const request = { slot: NO_REQUEST, row: 0 };
    if (this.#claims.count === 0 || this.#waiting.isFree(unit, NEWCOMER)) {
      this.#waiting.executeHere(unit, request);
    } else this.#waiting.park(unit, request, false);
  }

  #beginExpiry(unit: WalkingUnit): void {
    const request = { slot: NO_REQUEST, row: 0 };
    if (!this.#walks.start(unit, request, NEWCOMER)) this.#waiting.park(unit, request, true);
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
    else if (kind === LinkKind.expire) {
      this.#beginExpiry(expiryOf(words, message + LINK_HEAD_WORDS));
    } else {
      assert(kind === LinkKind.walk, 'a link message has a known kind');
      const end = at + words[at + Input.bytes]! / 4;
      const body = this.#walkBody.open(message, end);
      const hasRoom = this.#group.rowsLeft > BATCH_EVENTS_MAX;
      if (hasRoom && this.#walks.canVisit(body, NEWCOMER)) {
        this.#walks.visit(body);
        return;
      }
      this.#waiting.parkWalk(body.slice(), !hasRoom);
      if (!hasRoom) this.#waiting.pumpAgain = true;
    }
  }

  // ---- Digest and image.

  /** Two words over the whole state: accounts, ids, links, and what waits. Takes time in proportion to the state. */
  digest(): readonly [number, number] {
    return stateDigest(this.ledger, this.#digestTail());
  }

  #digestTail(): Uint32Array {
    return digestTail({
      ledger: this.ledger,
      claims: this.#claims,
      walks: this.#walks,
      counters: [this.sent, this.received],
      parked: this.#waiting.count,
    });
  }

  /**
   * Begins an image of the state as it is between two groups. From now on changes leave what was there before in `ledger.images`, until
   * `endImage`. Takes time in proportion to what is in flight; and of the tables their directory; without `memory` also to their marks.
   */
  beginImage(memory?: ImageMemory): ImageParts {
    const { ledger } = this;
    ledger.transferIndex.enterDeferred();
    const out = new StateWriter(memory && new Uint32Array(memory.state));
    out.putList(this.#digestTail());
    for (const part of this.#parts()) part.save(out);
    for (const list of [this.sent, this.received, this.acknowledged]) {
      for (const number of list) out.putNumber(number);
    }
    ledger.images.begin(imageSizes(ledger), memory?.marks);
    return imageParts(ledger, out.words());
  }

  /** `isRead`: see `BeforeImages.end`. */
  endImage(isRead: boolean): void {
    this.ledger.images.end(isRead);
  }

  /**
   * Takes an image over into this new state machine: first the words of its state, then the pieces of the tables, all of which `fill` fills and yields, in
   * order. Says the digest of what was loaded.
   */
  loadImage(
    state: Uint32Array,
    fill: (pieces: readonly TablePiece[]) => Iterable<TablePiece>,
  ): readonly [number, number] {
    const { ledger } = this;
    const from = new StateReader(state);
    const tail = from.takeList();
    for (const part of this.#parts()) part.load(from);
    for (const list of [this.sent, this.received, this.acknowledged]) {
      for (let shard = 0; shard < list.length; shard++) list[shard] = from.takeNumber();
    }
    assert(from.isAtEnd, 'the state of an image is read to its end');
    const digest = new StateDigest(tail);
    const pieces = tablePieces(ledger);
    let filled = 0;
    for (const piece of fill(pieces)) {
      assert(piece === pieces[filled++], 'pieces come in the order of the image');
      const { section, chunk, target } = piece;
      digest.add(section, target);
      if (section === ImageSection.accounts) ledger.accountIndex.loaded(chunk);
      if (section === ImageSection.slots) ledger.transferIndex.loaded(chunk);
    }
    assert(filled === pieces.length, 'an image fills all tables');
    ledger.pendings.loaded();
    return digest.finish();
  }

  #parts(): readonly StatePart[] {
    return [this.ledger, this.#claims, this.#walks, this.#waiting, this.requests];
  }
}

/** What the state is made of besides the tables' words. */
interface StatePart {
  save(out: StateWriter): void;
  load(from: StateReader): void;
}

const EXPIRY_MARKS = Uint8Array.of(EventMark.end | EventMark.expire);

/** The expiry of a pending transfer whose record is given, as a unit. */
function expiryOf(events: Uint32Array, at: number): WalkingUnit {
  return { kind: BatchKind.transfers, events, at, marks: EXPIRY_MARKS, n: 1 };
}
