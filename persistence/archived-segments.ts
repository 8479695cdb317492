/**
 * Which segments of a shard lie in the archive: `archived.json` in the shard's directory, written before the first of them is dropped from it.
 * It says what is known of each segment without the archive at hand, so that a missing file can be told from one that was moved, and so that
 * the journal that is left can be checked against the last row that went.
 *
 * Archived segments are the first of their journal, without a gap, and each file is at ARCHIVE/CLUSTERID/shard-NNN/ under its name.
 */
import { join } from 'node:path';
import { assert } from '../engine/assert.ts';
import { chainStart, type JournalIdentity } from './checksum-chain.ts';
import { journalCorrupt } from './errors.ts';
import { LinkMarks } from './link-marks.ts';
import { readSignedJson, writeSignedJson } from './signed-json.ts';

export const ARCHIVED_NAME = 'archived.json';
const ARCHIVED_FORMAT = 1;

export interface ArchivedSegment {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  /** Of the file in the archive. */
  readonly crc32: number;
  /** Of the journal row `last`. */
  readonly lastChecksum: number;
}

export class ArchivedSegments {
  readonly identity: JournalIdentity;
  /** The archive's root, an absolute path. */
  readonly archive: string;
  readonly segments: readonly ArchivedSegment[];
  /** Of the links, after the last archived row. */
  readonly marks: LinkMarks;

  private constructor(
    identity: JournalIdentity,
    archive: string,
    contents: { readonly segments: readonly ArchivedSegment[]; readonly marks: LinkMarks },
  ) {
    this.identity = identity;
    this.archive = archive;
    this.segments = contents.segments;
    this.marks = contents.marks;
  }

  static none(identity: JournalIdentity, archive: string): ArchivedSegments {
    const marks = new LinkMarks(identity.shards);
    return new ArchivedSegments(identity, archive, { segments: [], marks });
  }

  /** Undefined when nothing was archived. Throws JOURNAL_CORRUPT when the file is damaged or another shard's. */
  static read(directory: string, identity: JournalIdentity): ArchivedSegments | undefined {
    const read = readSignedJson(join(directory, ARCHIVED_NAME));
    if (read === undefined) return undefined;
    const corrupt = (rule: string): Error =>
      journalCorrupt({ file: ARCHIVED_NAME, sequence: 1, shard: identity.shard }, rule);
    if ('defect' in read) throw corrupt(read.defect);
    const { format, clusterId, shard, shards, archive, segments, links } = read.fields;
    if (format !== ARCHIVED_FORMAT) throw corrupt(`it has format ${String(format)}`);
    const { clusterId: ours } = identity;
    if (clusterId !== ours || shard !== identity.shard || shards !== identity.shards) {
      throw corrupt('it belongs to another cluster or shard');
    }
    const marks = LinkMarks.fromJson(links, identity.shards);
    if (typeof archive !== 'string' || !isList(segments) || marks === undefined) {
      throw corrupt('its fields have other types');
    }
    return new ArchivedSegments(identity, archive, { segments, marks });
  }

  /** The last archived sequence, 0 when there is none. */
  get last(): number {
    return this.segments.at(-1)?.last ?? 0;
  }

  /** Of the row `last`. */
  get lastChecksum(): number {
    return this.segments.at(-1)?.lastChecksum ?? chainStart(this.identity);
  }

  with(segment: ArchivedSegment, marks: LinkMarks): ArchivedSegments {
    assert(segment.first === this.last + 1, 'segments are archived in order');
    const segments = [...this.segments, segment];
    return new ArchivedSegments(this.identity, this.archive, { segments, marks });
  }

  /** The same segments in an archive that was mounted elsewhere. */
  at(archive: string): ArchivedSegments {
    return new ArchivedSegments(this.identity, archive, this);
  }

  /** Durable when it returns. */
  write(directory: string): void {
    const { clusterId, shard, shards } = this.identity;
    writeSignedJson(join(directory, ARCHIVED_NAME), {
      format: ARCHIVED_FORMAT,
      clusterId,
      shard,
      shards,
      archive: this.archive,
      segments: this.segments,
      links: this.marks.toJson(),
    });
  }
}

/** Where the archive keeps the segments of a shard. */
export function archiveDirectory(
  archive: string,
  { clusterId, shard }: Pick<JournalIdentity, 'clusterId' | 'shard'>,
): string {
  return join(archive, clusterId, `shard-${String(shard).padStart(3, '0')}`);
}

function isList(value: unknown): value is ArchivedSegment[] {
  if (!Array.isArray(value)) return false;
  let next = 1;
  for (const one of value as unknown[]) {
    if (typeof one !== 'object' || one === null) return false;
    const { first, last, bytes, crc32, lastChecksum } = one as Record<string, unknown>;
    const numbers = [first, last, bytes, crc32, lastChecksum];
    if (!numbers.every((number) => Number.isSafeInteger(number) && Number(number) >= 0)) {
      return false;
    }
    if (first !== next || Number(last) < first) return false;
    next = Number(last) + 1;
  }
  return true;
}
