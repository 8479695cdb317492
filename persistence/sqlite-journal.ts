/**
 * The journal of one shard in SQLite segments: appends to the live one, goes on in the next when its WAL is full. Owned by the one
 * thread that appends; needs no event loop. Reads go through a `JournalReader` of its own.
 *
 * I1 `append` returns, and `settle` says so, after the fsync of a row. When they throw, the outcome is unknown, and the instance refuses everything
 *    but `close`: the shard is to be rebuilt from a new instance.
 * I2 This thread never checkpoints while there is a sealer, which moves the live WAL in parts (live-checkpoint.ts). The full segment stays open
 *    here until the sealer has moved the rest, because the last connection to close is the one that does it; at most
 *    SEGMENTS_UNSEALED_MAX wait so.
 * I3 The sealer is an accelerator, not a part of durability: when it is late, slow, or gone, this thread makes the segments itself, and a
 *    full one that nobody sealed is whole with its WAL, and sealed at the next opening.
 * I4 Nothing in the directory is changed before `begin`: not by opening, and not by reading. So a start that is refused leaves it as it was.
 *
 * Files while it runs: segments, a side `-wal` and `-shm` for each that is open, at most one prepared segment without rows, one kept
 * WAL (wal-room.ts), what is left of a WAL that is being removed, and second names of WALs after a failed sync (doubtful-wal.ts).
 */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../engine/assert.ts';
import { Appender, type BellPlace } from './appender.ts';
import { assertAppendable, type JournalIdentity, rowChecksum } from './checksum-chain.ts';
import { fsyncDirectory, LARGE_PAGE_BYTES, PAGE_BYTES, removeDatabase } from './database.ts';
import { journalCorrupt, JournalError } from './errors.ts';
import { checkHead, type HeadWitness, newestHead, readWitness } from './head-witness.ts';
import { JournalReader } from './journal-reader.ts';
import type { Journal, JournalRow } from './journal.ts';
import type { FromSealer, ToSealer } from './segment-sealer.ts';
import {
  cutUnpublished,
  isUnfinishedSegment,
  LiveSegment,
  removeSpentWals,
  SEGMENT_BYTES_MAX,
  segmentName,
  segmentsIn,
  takePreparedSegment,
} from './segment.ts';
import { preflightWals, type WalCheckResult } from './wal-preflight.ts';
import { takeKeptWal, WalFill } from './wal-room.ts';
import { syncLastAppend } from './wal-sync.ts';

/**
 * Full segments that are kept open for the sealer. Beyond that the eldest is closed, and whoever is the last to close it moves its WAL: a
 * sealer that is late or gone may so delay one group.
 */
const SEGMENTS_UNSEALED_MAX = 4;

/** The sealer is asked to move what is in the live WAL when at most so much has been added: what a disk writes in a few milliseconds. */
const FLUSH_BYTES_MAX = 4 << 20;
/** What counts for an append there besides twice its frame: four pages of the larger kind, whatever it has. */
const FLUSH_APPEND_BYTES = 4 * (LARGE_PAGE_BYTES + 24);

/**
 * Where the frames of a segment have so many bytes and more on average, the next one has large pages; they stay large until it is a quarter of
 * that. A segment whose pages are not what its frames ask for ends at an eighth of its size.
 */
const LARGE_FRAME_BYTES = 256 << 10;
const UNFIT_PART = 1 / 8;

/** How full a segment is when the next one is to be prepared: early enough, and not in each of the many lives that never need it. */
const PREPARED_AT = 0.5;

/**
 * A row from this size on is appended by a thread beside, when there is one, which begins after so many of them: a smaller one is durable before
 * two threads have told each other of it, and many a life of a process has none that is larger.
 */
const BESIDE_BYTES_MIN = 64 << 10;
const ROWS_BEFORE_BESIDE = 4;

/** Appends by a thread beside. */
export interface AppendBeside {
  /** What the owner of the journal sleeps on: it is rung when a row is durable. */
  readonly bell: BellPlace;
  /** Tests only: other bounds, and whether the first row waits for the thread to be there. */
  readonly bytesMin?: number;
  readonly rowsBefore?: number;
  readonly isAwaited?: boolean;
}

interface UnderWay {
  readonly sequence: number;
  readonly frameBytes: number;
  /** Of the row; null: it is appended beside, by a thread that computes it too. */
  readonly checksum: number | null;
}

export interface SqliteJournalOptions extends JournalIdentity {
  /** The directory of this shard alone. */
  readonly directory: string;
  /** From `SegmentSealer.connect`; closed with the journal. Without one, this thread prepares and seals by itself. */
  readonly sealer?: MessagePort | undefined;
  /** These are smaller in tests. */
  readonly segmentBytesMax?: number | undefined;
  readonly largeFrameBytes?: number | undefined;
  /** Says how far this journal was, and is told how far it is; closed with the journal. */
  readonly witness?: HeadWitness | undefined;
  /** Without it, this thread appends everything by itself, and `submit` returns when the row is durable. */
  readonly beside?: AppendBeside | undefined;
  /** Whether the directory stays as it is until `begin` is called. */
  readonly isHeld?: boolean | undefined;
}

export class SqliteJournal implements Journal {
  readonly #options: SqliteJournalOptions;
  readonly #reader: JournalReader;
  readonly #segmentBytesMax: number;
  readonly #names: ReadonlySet<string>;
  /** What was found in the WAL of the last segment, if it has one. */
  readonly #lastWal: WalCheckResult | undefined;
  #isSecure = false;
  /** By path, the eldest first. */
  readonly #unsealed = new Map<string, LiveSegment>();
  /** Undefined until `begin`. */
  #live: LiveSegment | undefined;
  #lastSequence: number;
  #fill: WalFill | undefined;
  /** What at most has been written since the sealer was asked to move what is there. */
  #unflushedMax = 0;
  #isNextAsked = false;
  /** Rows and bytes of frames in the live segment. */
  #liveRows = 0;
  #liveBytes = 0;
  #lastChecksum: number;
  #underWay: UnderWay | undefined;
  #appender: Appender | undefined;
  /** Rows so far that a thread beside would have appended. */
  #rowsForBeside = 0;
  #failure: JournalError | undefined;
  #isClosed = false;

  private constructor(
    options: SqliteJournalOptions,
    reader: JournalReader,
    found: { readonly names: ReadonlySet<string>; readonly lastWal: WalCheckResult | undefined },
  ) {
    this.#options = options;
    this.#names = found.names;
    this.#lastWal = found.lastWal;
    this.#reader = reader;
    this.#segmentBytesMax = options.segmentBytesMax ?? SEGMENT_BYTES_MAX;
    this.#lastSequence = reader.lastSequence();
    this.#lastChecksum = reader.checksum(this.#lastSequence);
  }

  /**
   * Opens the journal in an existing directory, which may be empty. Checks the WALs, that the segments follow each other, and that nothing is
   * missing which the witness knows of; the rows are checked as they are read.
   */
  static open(options: SqliteJournalOptions): SqliteJournal {
    const lastWal = preflightWals(options.directory);
    const names = new Set(readdirSync(options.directory));
    let reader: JournalReader | undefined;
    try {
      reader = JournalReader.open({ ...options, lendsFrames: true });
      openCheckUnfinished(options, reader);
      reader.checkSegments();
      openCheckWitness(options, reader);
      const journal = new SqliteJournal(options, reader, { names, lastWal });
      if (options.isHeld !== true) journal.begin();
      return journal;
    } catch (error: unknown) {
      reader?.close();
      if (options.isHeld === true) removeSideFiles(options.directory, names);
      throw error;
    }
  }

  /** A row that a killed process wrote and did not sync is readable now. It must not be lost after somebody was told of it. */
  secure(): void {
    if (this.#isSecure) return;
    const { directory } = this.#options;
    const last = segmentsIn(directory).at(-1);
    if (last !== undefined) {
      const wal = `${join(directory, segmentName(last))}-wal`;
      if (this.#lastWal !== undefined && existsSync(wal)) syncLastAppend(wal, this.#lastWal);
      fsyncDirectory(directory);
    }
    this.#isSecure = true;
  }

  /**
   * Makes it ready to append: what a crash left is taken up, so that a segment without rows is removed and full ones are sealed, and the next
   * segment is made. The first append does so if nobody has.
   */
  begin(): void {
    if (this.#live !== undefined) return;
    this.secure();
    const { directory, witness } = this.#options;
    beginRemoveUnfinished(this.#options, this.#reader);
    removeSpentWals(directory);
    const firsts = segmentsIn(directory);
    for (const first of firsts.slice(0, -1)) sealLeftover(this.#options, first);
    this.#setLive(beginLive(this.#options, this.#reader, firsts.at(-1)));
    witness?.open();
    witness?.write(this.#lastSequence, this.#lastChecksum);
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  get firstSequence(): number {
    return this.#reader.firstSequence;
  }

  checksum(sequence: number): number {
    this.#assertUsable();
    return sequence === this.#lastSequence ? this.#lastChecksum : this.#reader.checksum(sequence);
  }

  append(row: JournalRow): void {
    this.submit(row);
    this.settle(true);
  }

  submit(row: JournalRow): void {
    this.#assertUsable();
    assert(this.#underWay === undefined, 'one row is under way at a time');
    assertAppendable(row, this.#lastSequence);
    const { sequence, frame } = row;
    const previous = this.#lastChecksum;
    try {
      this.begin();
      if (this.#fill!.has(this.#liveBytesMax)) this.#goOn();
      const appender = this.#appenderFor(frame.byteLength);
      const checksum = appender === undefined ? rowChecksum(previous, row) : null;
      this.#underWay = { sequence, frameBytes: frame.byteLength, checksum };
      if (checksum !== null) this.#live!.append(row, checksum);
      else appender!.begin(this.#live!.path, row, previous);
    } catch (error: unknown) {
      this.#fail(sequence, error);
    }
  }

  settle(isWaiting: boolean): boolean {
    this.#assertUsable();
    const underWay = this.#underWay;
    if (underWay === undefined) return true;
    const { sequence, frameBytes } = underWay;
    try {
      if (underWay.checksum === null && !this.#appender!.end(isWaiting)) return false;
      this.#fill!.wrote(this.#live!.walBytesMax(frameBytes));
      this.#flush(2 * frameBytes + FLUSH_APPEND_BYTES);
    } catch (error: unknown) {
      this.#fail(sequence, error);
    }
    this.#underWay = undefined;
    this.#liveRows++;
    this.#liveBytes += frameBytes;
    const checksum = underWay.checksum ?? this.#appender!.checksum;
    this.#lastSequence = sequence;
    this.#lastChecksum = checksum;
    this.#options.witness?.write(sequence, checksum);
    this.#closeSealed();
    this.#askForNext();
    return true;
  }

  /** Who appends a row beside; undefined: this thread does it. */
  #appenderFor(bytes: number): Appender | undefined {
    const { beside } = this.#options;
    if (beside === undefined || bytes < (beside.bytesMin ?? BESIDE_BYTES_MIN)) return undefined;
    if (this.#rowsForBeside++ < (beside.rowsBefore ?? ROWS_BEFORE_BESIDE)) return undefined;
    this.#appender ??= new Appender(beside.bell);
    if (beside.isAwaited === true) this.#appender.waitUntilReady();
    return this.#appender.isReady ? this.#appender : undefined;
  }

  #fail(sequence: number, error: unknown): never {
    const file = basename(this.#live?.path ?? segmentName(sequence));
    this.#failure = new JournalError(
      'JOURNAL_WRITE_FAILED',
      `The outcome of appending sequence ${sequence} to ${file} is unknown: ${String(error)}. ` +
        'Check the free space and the health of the disk, then open the journal anew.',
      error,
    );
    throw this.#failure;
  }

  read(sequence: number): Uint8Array {
    this.#assertUsable();
    if (sequence === this.#underWay?.sequence) this.settle(true);
    return this.#reader.read(sequence);
  }

  *rows(first: number): Generator<JournalRow, void, undefined> {
    this.#assertUsable();
    if (first > this.#lastSequence) return;
    for (const row of this.#reader.rows(first)) {
      yield row;
      this.#assertUsable();
      if (row.sequence === this.#lastSequence) return;
    }
    const file = segmentName(this.#reader.firsts.at(-1) ?? 1);
    const where = { file, sequence: this.#lastSequence, shard: this.#options.shard };
    throw journalCorrupt(where, 'a row that was durable is missing');
  }

  /** For tests and the start of a shard: what SQLite says of its own setting; 2 is FULL. */
  synchronous(): unknown {
    return this.#live?.synchronous();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // Before this thread's own: the last one to close a segment has work to do.
    this.#appender?.close();
    this.#reader.close();
    for (const segment of this.#unsealed.values()) segment.close();
    this.#unsealed.clear();
    this.#live?.close();
    if (this.#live === undefined) removeSideFiles(this.#options.directory, this.#names);
    this.#options.witness?.close();
    this.#options.sealer?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #setLive(live: LiveSegment): void {
    this.#live = live;
    this.#fill = new WalFill(() => live.walBytes(), live.walRoomBytes(), this.#segmentBytesMax);
  }

  #askForNext(): void {
    if (this.#isNextAsked || !this.#fill!.has(this.#liveBytesMax * PREPARED_AT)) return;
    this.#isNextAsked = true;
    const pageBytes = this.#nextPageBytes();
    this.#tellSealer({ type: 'prepare', directory: this.#options.directory, pageBytes });
  }

  /** Of a segment that follows the live one, as far as is known of that by now. */
  #nextPageBytes(): number {
    const { largeFrameBytes = LARGE_FRAME_BYTES } = this.#options;
    const least = this.#live!.pageBytes === PAGE_BYTES ? largeFrameBytes : largeFrameBytes / 4;
    return this.#liveBytes >= this.#liveRows * least ? LARGE_PAGE_BYTES : PAGE_BYTES;
  }

  /** How large the live segment becomes. */
  get #liveBytesMax(): number {
    const isFit = this.#liveRows === 0 || this.#nextPageBytes() === this.#live!.pageBytes;
    return isFit ? this.#segmentBytesMax : this.#segmentBytesMax * UNFIT_PART;
  }

  /** So many bytes more count for the WAL. Large rows get no room ahead: the disk's throughput bounds them. */
  #flush(bytes: number): void {
    if (this.#options.sealer === undefined) return;
    const isGrowing = this.#nextPageBytes() === PAGE_BYTES && this.#fill!.wantsRoom();
    if (isGrowing) this.#tellSealer({ type: 'grow', path: this.#live!.path });
    this.#unflushedMax += bytes;
    if (this.#unflushedMax < Math.min(FLUSH_BYTES_MAX, this.#segmentBytesMax)) return;
    this.#unflushedMax = 0;
    this.#tellSealer({ type: 'flush', path: this.#live!.path });
  }

  #goOn(): void {
    const full = this.#live!;
    this.#unflushedMax = 0;
    this.#isNextAsked = false;
    if (this.#appender?.isReady === true) this.#appender.leave();
    // Lets go of files that were moved to the archive.
    this.#reader.refresh();
    const pageBytes = this.#nextPageBytes();
    this.#setLive(createLive(this.#options, this.#lastSequence + 1, this.#lastChecksum, pageBytes));
    this.#liveRows = 0;
    this.#liveBytes = 0;
    if (this.#options.sealer === undefined) {
      this.#reader.release(basename(full.path));
      full.seal();
      return;
    }
    this.#unsealed.set(full.path, full);
    this.#tellSealer({ type: 'seal', path: full.path });
    this.#tellSealer({ type: 'sync', paths: this.#options.witness?.paths ?? [] });
    if (this.#unsealed.size > SEGMENTS_UNSEALED_MAX) {
      const [eldest] = this.#unsealed.keys();
      this.#closeUnsealed(eldest!);
    }
    assert(this.#unsealed.size <= SEGMENTS_UNSEALED_MAX, 'unsealed segments within their bound');
  }

  #closeSealed(): void {
    if (this.#unsealed.size === 0) return;
    for (;;) {
      const received = receiveMessageOnPort(this.#options.sealer!);
      if (received === undefined) return;
      this.#closeUnsealed((received.message as FromSealer).path);
    }
  }

  #closeUnsealed(path: string): void {
    this.#reader.release(basename(path));
    this.#unsealed.get(path)?.close();
    this.#unsealed.delete(path);
  }

  #tellSealer(message: ToSealer): void {
    this.#options.sealer?.postMessage(message, []);
  }

  #assertUsable(): void {
    assert(!this.#isClosed, 'the journal is open');
    if (this.#failure === undefined) return;
    throw new JournalError(
      'JOURNAL_WRITE_FAILED',
      'An earlier append failed, so memory and disk may differ; open the journal anew.',
      this.#failure,
    );
  }
}

/** What reading has left beside segments: a read-only connection may not remove it. `names` are those that were there before. */
function removeSideFiles(directory: string, names: ReadonlySet<string>): void {
  for (const name of readdirSync(directory)) {
    if (names.has(name) || !/-(wal|shm)$/.test(name)) continue;
    const path = join(directory, name);
    if (name.endsWith('-shm') || statSync(path).size === 0) rmSync(path);
  }
}

/** The last segment when it has no `meta`. Only that one can be unfinished, and only where the next sequence would begin. */
function openCheckUnfinished(
  { directory }: SqliteJournalOptions,
  reader: JournalReader,
): { readonly path: string } | null {
  const last = segmentsIn(directory).at(-1);
  const lastSequence = reader.lastSequence();
  if (last === undefined || last <= lastSequence || reader.hasSegment(last)) return null;
  if (last !== lastSequence + 1) throw reader.rowsMissing(lastSequence + 1, last - 1);
  const path = join(directory, segmentName(last));
  assert(isUnfinishedSegment(path, last), 'a segment without meta is unfinished');
  return { path };
}

function openCheckWitness(
  { witness, clusterId, shard, shards }: SqliteJournalOptions,
  reader: JournalReader,
): void {
  if (witness === undefined) return;
  const head = newestHead(readWitness(witness.directory, { clusterId, shards }), shard);
  const journal = { shard, lastSequence: reader.lastSequence() };
  checkHead(head, journal, (sequence) => reader.checksum(sequence));
}

function beginRemoveUnfinished(options: SqliteJournalOptions, reader: JournalReader): void {
  const unfinished = openCheckUnfinished(options, reader);
  if (unfinished === null) return;
  removeDatabase(unfinished.path);
  fsyncDirectory(options.directory);
}

function sealLeftover(options: SqliteJournalOptions, first: number): void {
  const path = join(options.directory, segmentName(first));
  const wal = statSync(`${path}-wal`, { throwIfNoEntry: false });
  if (wal === undefined || wal.size === 0) return;
  if (options.sealer === undefined) LiveSegment.open(path).seal();
  else options.sealer.postMessage({ type: 'seal', path } satisfies ToSealer, []);
}

function beginLive(
  options: SqliteJournalOptions,
  reader: JournalReader,
  first: number | undefined,
): LiveSegment {
  if (first === undefined) return createLive(options, 1, reader.checksum(0));
  const lastSequence = reader.lastSequence();
  if (lastSequence < first) return LiveSegment.open(join(options.directory, segmentName(first)));
  cutUnpublished(join(options.directory, segmentName(first)));
  // What an earlier life wrote is sealed: then it lies where large frames can be read in part.
  sealLeftover(options, first);
  return createLive(options, lastSequence + 1, reader.checksum(lastSequence));
}

function createLive(
  options: SqliteJournalOptions,
  firstSequence: number,
  previousChecksum: number,
  pageBytes = PAGE_BYTES,
): LiveSegment {
  const { directory, clusterId, shard, shards } = options;
  const path = join(directory, segmentName(firstSequence));
  const problem = takePreparedSegment(directory, path) ? takeKeptWal(directory, path) : undefined;
  if (problem !== undefined) {
    options.sealer?.postMessage({ type: 'report', problem } satisfies ToSealer, []);
  }
  const meta = { clusterId, shard, shards, firstSequence, previousChecksum };
  const segment = LiveSegment.create(path, meta, pageBytes);
  fsyncDirectory(directory);
  return segment;
}
