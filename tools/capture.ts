/**
 * A data directory as it was at one moment: a copy, a stopped one, or one that a process is writing. No lock is taken and nothing in it is
 * changed.
 *
 * I1 Over several shards the moment is a consistent cut: no shard has taken a message whose sending is not in it. In a directory at rest
 *    that is the end of all journals. In a live one the shards are looked at twice. Whatever a row of the first look follows from was
 *    committed before the second; of what came between, only the rows are kept that follow from rows which are kept as well: a message
 *    that was taken from the row that sent it, an acknowledgement from the row that took what it acknowledges.
 */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Input, InputType } from '../engine/frame.ts';
import { Group } from '../engine/group.ts';
import { archiveDirectory } from '../persistence/archived-segments.ts';
import type { JournalIdentity } from '../persistence/checksum-chain.ts';
import { type DirectoryMeta, inspectDirectory, shardName } from '../persistence/data-directory.ts';
import { type JournalDamage, JournalError } from '../persistence/errors.ts';
import { readWitness, type WitnessFile } from '../persistence/head-witness.ts';
import { JournalReader } from '../persistence/journal-reader.ts';
import {
  joinViews,
  viewArchive,
  type ViewedSegment,
  viewJournal,
} from '../persistence/journal-view.ts';
import { segmentName } from '../persistence/segment.ts';
import { listSnapshots, type SnapshotFiles } from '../persistence/snapshot-manifest.ts';
import { expectArchive } from './named-archive.ts';
import { Scratch } from './scratch.ts';

const LOCK_PID_NAME = 'lock.pid';

export interface CapturedShard {
  readonly directory: string;
  readonly view: readonly ViewedSegment[];
  /** Those that are of rows which count, the newest first. A process that goes on may remove the older one. */
  readonly snapshots: readonly SnapshotFiles[];
  /** The last row that counts; undefined when the journal is damaged so that its end cannot be told. */
  readonly last: number | undefined;
  /** Its files cannot even be listed. */
  readonly damage?: JournalDamage;
}

/** Whether a segment is read in an archive, and not where the shard is. */
export function isFromArchive(
  { directory }: Pick<CapturedShard, 'directory'>,
  { isInPlace, path }: ViewedSegment,
): boolean {
  return isInPlace && dirname(path) !== directory;
}

/** What a named archive has of a shard. */
export function viewArchived(
  archive: string | undefined,
  whose: Pick<JournalIdentity, 'clusterId' | 'shard'>,
): readonly ViewedSegment[] {
  if (archive === undefined) return [];
  const directory = archiveDirectory(archive, whose);
  return existsSync(directory) ? viewArchive(directory) : [];
}

/** A sealed segment may be moved before it is read: the place where it is looked for then, when an archive is named. */
function movable(
  segment: ViewedSegment,
  archive: string | undefined,
  whose: Pick<JournalIdentity, 'clusterId' | 'shard'>,
): ViewedSegment {
  if (archive === undefined || !segment.isInPlace) return segment;
  const movesTo = join(archiveDirectory(archive, whose), segmentName(segment.first));
  return { ...segment, movesTo };
}

export class Capture implements Disposable {
  readonly directory: string;
  readonly meta: DirectoryMeta;
  /** A process has it, or had it when it was killed. */
  readonly isLive: boolean;
  readonly scratch: Scratch;
  /** How far the journals were known to be before they were looked at. */
  readonly witness: readonly WitnessFile[];
  readonly shards: readonly CapturedShard[];
  readonly #archive: string | undefined;

  /** With an archive, sealed segments that are not in the directory any more are looked for there. */
  constructor(directory: string, archive?: string) {
    this.#archive = archive;
    this.directory = resolve(directory);
    this.meta = inspectDirectory(this.directory);
    if (archive !== undefined) expectArchive(archive, this.directory, this.meta);
    this.scratch = new Scratch();
    // Before the journals: it is never ahead of them.
    this.witness = readWitness(this.directory, this.meta);
    this.isLive = existsSync(join(this.directory, LOCK_PID_NAME));
    try {
      this.shards = this.#look();
    } catch (error: unknown) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  #look(): readonly CapturedShard[] {
    const numbers = Array.from({ length: this.meta.shards }, (_, shard) => shard);
    const look = (name: string): CapturedShard[] =>
      numbers.map((shard) => this.#lookAt(shard, name));
    if (!this.isLive || this.meta.shards === 1) return look('only');
    const first = look('first');
    const second = look('second');
    const ends = second.map(({ last }) => last);
    // What the first look has seen of snapshots is not ahead of any cut.
    const seen = second.map((one, shard) => ({ ...one, snapshots: first[shard]!.snapshots }));
    if (!areNumbers(ends) || first.some(({ last }) => last === undefined)) return seen;
    const between = numbers.map((shard) =>
      this.#rowsBehind(shard, second[shard]!, first[shard]!.last!),
    );
    const cut = consistentCut(between);
    return seen.map((one, shard) => ({ ...one, last: cut[shard]! }));
  }

  #lookAt(shard: number, name: string): CapturedShard {
    const directory = join(this.directory, shardName(shard));
    let view: readonly ViewedSegment[] = [];
    // Before the journal: they are never ahead of it.
    const snapshots = listSnapshots(directory);
    try {
      const own = viewJournal(directory, join(this.scratch.path, `${name}-${shardName(shard)}`));
      const whose = { clusterId: this.meta.clusterId, shard };
      view = joinViews(
        own.map((segment) => movable(segment, this.#archive, whose)),
        viewArchived(this.#archive, whose),
      );
      using journal = this.journal(shard, { directory, view });
      return { directory, view, snapshots, last: journal.lastSequence() };
    } catch (error: unknown) {
      if (!(error instanceof JournalError) || error.code === 'NO_ROOM_TO_READ') throw error;
      const isListed = view.length > 0 || error.damage === undefined;
      const damage = isListed ? {} : { damage: error.damage };
      return { directory, view, snapshots, last: undefined, ...damage };
    }
  }

  /** Reads a shard's journal as it was at that moment. The caller closes it. */
  journal(
    shard: number,
    { directory, view }: Pick<CapturedShard, 'directory' | 'view'>,
  ): JournalReader {
    const { clusterId, shards } = this.meta;
    return JournalReader.open({ directory, clusterId, shard, shards, view });
  }

  /** The row after `last` and those behind it; the first of the list is `last` itself, which counts in any case. */
  #rowsBehind(shard: number, captured: CapturedShard, last: number): ShardLook {
    const group = new Group();
    using journal = this.journal(shard, captured);
    const rows: RowLinks[] = [{ sequence: last, timestamp: journal.timestamp(last), ...NO_LINKS }];
    for (const { sequence, timestamp, frame } of journal.rows(last + 1)) {
      rows.push({ sequence, timestamp, ...linksOf(group, frame, sequence) });
    }
    return { rows, takenBefore: (from) => this.#takenUpTo(last, from, { shard, captured }) };
  }

  /** The last message of a peer that a shard had taken with a row or before it. */
  #takenUpTo(
    last: number,
    from: number,
    { shard, captured }: { readonly shard: number; readonly captured: CapturedShard },
  ): number {
    const group = new Group();
    using journal = this.journal(shard, captured);
    for (let sequence = last; sequence >= this.#firstOf(captured); sequence--) {
      const { taken } = linksOf(group, journal.read(sequence), sequence);
      const found = taken.findLast((one) => one.from === from);
      if (found !== undefined) return found.number;
    }
    return 0;
  }

  #firstOf({ view }: CapturedShard): number {
    return view[0]?.first ?? 1;
  }

  [Symbol.dispose](): void {
    this.scratch[Symbol.dispose]();
  }
}

const NO_LINKS = { taken: [], acknowledged: [] };

/** A row and what it follows from on other shards. */
export interface RowLinks {
  readonly sequence: number;
  readonly timestamp: bigint;
  /** Messages that it took: from whom, which, and when it was sent, which is the timestamp of the row that did. */
  readonly taken: readonly {
    readonly from: number;
    readonly number: number;
    readonly sent: bigint;
  }[];
  /** What peers are said to have taken. */
  readonly acknowledged: readonly { readonly by: number; readonly number: number }[];
}

/** The rows of a shard between two looks, and what it had taken before them. */
export interface ShardLook {
  readonly rows: readonly RowLinks[];
  readonly takenBefore: (from: number) => number;
}

function linksOf(
  group: Group,
  frame: Uint8Array,
  sequence: number,
): Pick<RowLinks, 'taken' | 'acknowledged'> {
  // What cannot be loaded is found by whoever executes it.
  if (group.load(frame, sequence) !== null) return NO_LINKS;
  const { inputAt, words } = group;
  const numberOf = (at: number): number =>
    words[at + Input.number]! + words[at + Input.number + 1]! * 4294967296;
  const ofType = (type: number): number[] =>
    inputAt.filter((at) => words[at + Input.type] === type);
  return {
    taken: ofType(InputType.link).map((at) => ({
      from: words[at + Input.peer]!,
      number: numberOf(at),
      sent: (BigInt(words[at + Input.stamp + 1]!) << 32n) | BigInt(words[at + Input.stamp]!),
    })),
    acknowledged: ofType(InputType.acknowledged).map((at) => ({
      by: words[at + Input.peer]!,
      number: numberOf(at),
    })),
  };
}

/** The last sequences that count: what follows from a row that nobody has looked at is left out (I1). */
export function consistentCut(shards: readonly ShardLook[]): readonly number[] {
  const kept = shards.map(({ rows }) => rows.length);
  const hasTaken = (by: number, from: number, number: number): boolean => {
    const { rows, takenBefore } = shards[by]!;
    for (let i = kept[by]! - 1; i >= 0; i--) {
      const last = rows[i]!.taken.findLast((one) => one.from === from);
      if (last !== undefined) return last.number >= number;
    }
    return takenBefore(from) >= number;
  };
  const isFounded = ({ taken, acknowledged }: RowLinks, shard: number): boolean =>
    taken.every(({ from, sent }) => sent <= shards[from]!.rows[kept[from]! - 1]!.timestamp) &&
    acknowledged.every(({ by, number }) => hasTaken(by, shard, number));
  for (let isStable = false; !isStable;) {
    isStable = true;
    for (const [shard, { rows }] of shards.entries()) {
      const bad = rows.findIndex((row, i) => i < kept[shard]! && !isFounded(row, shard));
      if (bad === -1) continue;
      kept[shard] = bad;
      isStable = false;
    }
  }
  return shards.map(({ rows }, shard) => rows[kept[shard]! - 1]!.sequence);
}

function areNumbers(values: readonly (number | undefined)[]): values is readonly number[] {
  return values.every((value) => value !== undefined);
}
