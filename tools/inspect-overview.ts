/** The overview of `sycee inspect`: segments, snapshots as their manifests have them, the head witness, and the damage of shards. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type ArchivedSegment, ArchivedSegments } from '../persistence/archived-segments.ts';
import { SnapshotError } from '../persistence/errors.ts';
import type { WitnessPage } from '../persistence/head-witness.ts';
import { segmentName, segmentsAmong } from '../persistence/segment.ts';
import { readManifest } from '../persistence/snapshot-manifest.ts';
import { type Capture, isFromArchive } from './capture.ts';
import { damageIn, knownDamage } from './damaged-shard.ts';
import { formatTime } from './moment.ts';
import { damageText } from './replay.ts';
import { EXIT } from './run-tool.ts';
import type { ShardDamage } from './shard-task.ts';
import type { Sink, ToolOutput } from './sink.ts';
import { columnsOf, writeTable } from './table.ts';

interface SegmentLine {
  readonly shard: number;
  readonly file: string;
  readonly first: number;
  /** Null, as the times are, in a shard that cannot be read. */
  readonly last: number | null;
  readonly from: bigint | null;
  readonly to: bigint | null;
  readonly bytes: number;
  /** `away`: it is listed as archived, and the archive that was named does not have it. `unread`: the shard is damaged, and this file is there. */
  readonly state: 'sealed' | 'live' | 'archived' | 'away' | 'unread';
}

interface ShardSegments {
  readonly lines: readonly SegmentLine[];
  readonly damage: ShardDamage | undefined;
}

/** Shows what is there, whatever is damaged, and says the damage. */
export function inspectOverview(
  sink: Sink,
  capture: Capture,
  { json, output }: { readonly json: boolean; readonly output: ToolOutput },
): number {
  const found = capture.shards.map((_, shard) => segmentsOf(capture, shard));
  const damages = found.flatMap(({ damage }) => damage ?? []);
  const lines = found.flatMap((one) => one.lines);
  writeOverview(sink, capture, { json, lines, damages });
  for (const damage of damages) output.log(`sycee: ${damageText(damage)}`);
  return damages.length > 0 ? EXIT.damaged : EXIT.done;
}

interface Overview {
  readonly json: boolean;
  readonly lines: readonly SegmentLine[];
  readonly damages: readonly ShardDamage[];
}

function writeOverview(sink: Sink, capture: Capture, { json, lines, damages }: Overview): void {
  const { meta, directory, isLive } = capture;
  const snapshots = capture.shards.flatMap((_, shard) => snapshotLines(capture, shard));
  const witness = witnessLines(capture);
  if (json) {
    const segments = lines.map(({ from, to, ...line }) => ({
      ...line,
      from: from === null ? null : formatTime(from),
      to: to === null ? null : formatTime(to),
    }));
    const found = { segments, snapshots, witness, damages };
    sink.line(JSON.stringify({ type: 'inspect', directory, live: isLive, ...meta, ...found }));
    return;
  }
  sink.line(`${directory}${isLive ? ', which a process has (or had)' : ''}`);
  sink.line(
    `cluster ${meta.clusterId}, ${meta.shards} shards, format ${meta.format}, made ${meta.created}`,
  );
  sink.line('');
  writeTable(sink, columnsOf('shard# segment first# last# from to bytes# state'), () =>
    lines.map(({ shard, file, first, last, from, to, bytes, state }) => [
      String(shard),
      file,
      String(first),
      last === null || last < first ? '-' : String(last),
      from === null ? '-' : formatTime(from),
      to === null ? '-' : formatTime(to),
      String(bytes),
      state,
    ]),
  );
  sink.line('');
  writeSnapshots(sink, snapshots);
  writeTable(sink, columnsOf('witness shard# sequence# checksum state'), () =>
    witness.map(({ file, shard, sequence, checksum, state }) => [
      file,
      String(shard),
      sequence === null ? '-' : String(sequence),
      checksum ?? '-',
      state,
    ]),
  );
  sink.line('');
  sink.line(
    'more: --frame 0:1, --transfer ID, --pending, --links, --snapshot FILE; see "sycee inspect --help"',
  );
}

interface SnapshotLine {
  readonly shard: number;
  readonly sequence: number;
  /** Its manifest. */
  readonly file: string;
  readonly time: string | null;
  readonly bytes: number | null;
  readonly digest: string | null;
  readonly written: string | null;
  /** What is wrong with its manifest, or with the size of its image. */
  readonly rule: string | null;
}

function snapshotLines({ shards, meta }: Capture, shard: number): readonly SnapshotLine[] {
  const { clusterId, shards: count } = meta;
  return shards[shard]!.snapshots.flatMap((files): readonly SnapshotLine[] => {
    const line = { shard, sequence: files.sequence, file: basename(files.manifest) };
    try {
      const manifest = readManifest(files, { clusterId, shard, shards: count });
      const { timestamp, bytes, digest, written } = manifest;
      const time = formatTime(BigInt(timestamp));
      return [{ ...line, time, bytes, digest, written, rule: null }];
    } catch (error: unknown) {
      if (!(error instanceof SnapshotError)) throw error;
      // Retired by the process that has the directory, since it was listed.
      if (!existsSync(files.manifest)) return [];
      const rule = error.message;
      return [{ ...line, time: null, bytes: null, digest: null, written: null, rule }];
    }
  });
}

function writeSnapshots(sink: Sink, snapshots: readonly SnapshotLine[]): void {
  if (snapshots.length === 0) {
    sink.line('no snapshots');
    sink.line('');
    return;
  }
  writeTable(sink, columnsOf('shard# snapshot sequence# time bytes# digest state'), () =>
    snapshots.map(({ shard, file, sequence, time, bytes, digest, rule }) => [
      String(shard),
      file,
      String(sequence),
      time ?? '-',
      bytes === null ? '-' : String(bytes),
      digest ?? '-',
      rule ?? 'not read',
    ]),
  );
  sink.line('');
}

interface WitnessLine {
  readonly file: string;
  readonly shard: number;
  readonly sequence: number | null;
  /** Of that row, in hexadecimal digits, as a manifest has it. */
  readonly checksum: string | null;
  readonly state: WitnessPage['type'] | 'missing';
}

function witnessLines({ witness, meta }: Capture): readonly WitnessLine[] {
  return witness.flatMap(({ path, pages }) =>
    Array.from({ length: meta.shards }, (_, shard): WitnessLine => {
      const page = pages?.[shard];
      const line = { file: basename(path), shard };
      if (page?.type !== 'head') {
        return { ...line, sequence: null, checksum: null, state: page?.type ?? 'missing' };
      }
      const { sequence, checksum } = page.head;
      const text = checksum.toString(16).padStart(8, '0');
      return { ...line, sequence, checksum: text, state: 'head' };
    }),
  );
}

function segmentsOf(capture: Capture, shard: number): ShardSegments {
  const damage = knownDamage(capture, shard);
  const { directory, damage: isUnlisted } = capture.shards[shard]!;
  if (isUnlisted !== undefined) return { lines: fileLines(directory, shard), damage };
  try {
    return { lines: segmentLines(capture, shard), damage };
  } catch (error: unknown) {
    return { lines: fileLines(directory, shard), damage: damage ?? damageIn(error, shard) };
  }
}

/** The segments that are there, by their names. */
function fileLines(directory: string, shard: number): readonly SegmentLine[] {
  const names = readdirSync(directory).filter((name) => name.endsWith('.sqlite'));
  return segmentsAmong(names).map((first): SegmentLine => {
    const file = segmentName(first);
    const [bytes = 0, walBytes = 0] = [file, `${file}-wal`].map(
      (name) => statSync(join(directory, name), { throwIfNoEntry: false })?.size,
    );
    const unread = { last: null, from: null, to: null, state: 'unread' } as const;
    return { shard, file, first, bytes: bytes + walBytes, ...unread };
  });
}

function segmentLines(capture: Capture, shard: number): readonly SegmentLine[] {
  const captured = capture.shards[shard]!;
  const { view } = captured;
  using journal = capture.journal(shard, captured);
  const end = journal.lastSequence();
  const listed = listedSegments(capture, shard);
  const lines = view.map((segment, i): SegmentLine => {
    const { first, isInPlace, bytes } = segment;
    const said = listed.find((one) => one.first === first);
    const last = said?.last ?? (view[i + 1]?.first ?? end + 1) - 1;
    const isArchived = isFromArchive(captured, segment);
    return {
      shard,
      file: segmentName(first),
      first,
      last,
      from: last < first ? null : journal.timestamp(first),
      to: last < first ? null : journal.timestamp(last),
      bytes,
      state: isInPlace ? (isArchived ? 'archived' : 'sealed') : 'live',
    };
  });
  const away = listed.filter(({ first }) => !view.some((one) => one.first === first));
  const awayLines = away.map(({ first, last, bytes }): SegmentLine => {
    return {
      shard,
      file: segmentName(first),
      first,
      last,
      from: null,
      to: null,
      bytes,
      state: 'away',
    };
  });
  return [...lines, ...awayLines].toSorted((one, two) => one.first - two.first);
}

/** What `archived.json` says of segments, when an archive is named: it may lack some of them. */
function listedSegments(capture: Capture, shard: number): readonly ArchivedSegment[] {
  const captured = capture.shards[shard]!;
  if (!captured.view.some((segment) => isFromArchive(captured, segment))) return [];
  const { clusterId, shards } = capture.meta;
  const identity = { clusterId, shard, shards };
  return ArchivedSegments.read(captured.directory, identity)?.segments ?? [];
}
