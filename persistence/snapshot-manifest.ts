/**
 * What a shard's directory says of its snapshots: names, and the manifests. A manifest is written last, when its image is whole, durable, and
 * was read back: an image without one does not exist. Its text is canonical, and ends with a checksum of itself, so every altered byte shows.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { JournalIdentity } from './checksum-chain.ts';
import { SnapshotError, snapshotUnusable } from './errors.ts';

/** Changes with the image's file, and with whatever the engine or a link writes into one: older ones are passed over. */
export const SNAPSHOT_FORMAT = 1;
const SEQUENCE_DIGITS = 12;
const NAME = /^snapshot-(\d{12})\.json$/;
const HEX_8 = /^[0-9a-f]{8}$/;

export interface SnapshotManifest extends JournalIdentity {
  readonly format: number;
  /** The last journal row whose effects are in the image. */
  readonly sequence: number;
  /** Checksum of that row in the journal's chain. */
  readonly chain: number;
  /** Timestamp of that row: nanoseconds since the epoch, in decimal. */
  readonly timestamp: string;
  /** Of the image. */
  readonly bytes: number;
  readonly checksum: number;
  /** Of the state, as the thread that wrote the image has found it: 16 hexadecimal digits. */
  readonly digest: string;
  /** ISO 8601, by the wall clock. */
  readonly written: string;
}

export interface SnapshotFiles {
  readonly sequence: number;
  readonly manifest: string;
  readonly image: string;
}

export function snapshotFiles(directory: string, sequence: number): SnapshotFiles {
  const stem = join(directory, `snapshot-${String(sequence).padStart(SEQUENCE_DIGITS, '0')}`);
  return { sequence, manifest: `${stem}.json`, image: `${stem}.image` };
}

/** Both files of a snapshot by the path of one of them; undefined when it is not named as one. */
export function snapshotOf(path: string): SnapshotFiles | undefined {
  const match = /^snapshot-(\d{12})\.(?:json|image)$/.exec(basename(path));
  return match === null ? undefined : snapshotFiles(dirname(path), Number(match[1]));
}

/** The snapshots of a shard's directory that have a manifest, the newest first. Nothing is read but names. */
export function listSnapshots(directory: string): readonly SnapshotFiles[] {
  const sequences: number[] = [];
  for (const name of readdirSync(directory)) {
    const match = NAME.exec(name);
    if (match !== null) sequences.push(Number(match[1]));
  }
  return sequences.toSorted((a, b) => b - a).map((sequence) => snapshotFiles(directory, sequence));
}

/** Reads and checks a manifest, and that its image has the size that it says. Throws SNAPSHOT_UNUSABLE. */
export function readManifest(files: SnapshotFiles, identity: JournalIdentity): SnapshotManifest {
  const { manifest: file } = files;
  const manifest = readOwnManifest(files);
  const { clusterId, shard, shards } = identity;
  const isOurs =
    manifest.clusterId === clusterId && manifest.shard === shard && manifest.shards === shards;
  if (!isOurs) throw snapshotUnusable(file, 'it is of another shard or directory');
  return manifest;
}

/** The same, of whatever shard it is. */
export function readOwnManifest({
  manifest: file,
  sequence,
  image,
}: SnapshotFiles): SnapshotManifest {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error: unknown) {
    throw snapshotUnusable(file, `it cannot be read (${String(error)})`, error);
  }
  const manifest = parseManifest(text);
  if (manifest === undefined) throw snapshotUnusable(file, 'it is not as it was written');
  if (manifest.format !== SNAPSHOT_FORMAT) {
    throw new SnapshotError(
      basename(file),
      `it has format ${manifest.format}, not ${SNAPSHOT_FORMAT}`,
      {
        isOtherVersion: true,
      },
    );
  }
  if (manifest.sequence !== sequence) throw snapshotUnusable(file, 'its name is not its sequence');
  const size = statSync(image, { throwIfNoEntry: false })?.size;
  if (size === undefined) throw snapshotUnusable(image, 'the image is missing');
  if (size !== manifest.bytes) {
    throw snapshotUnusable(image, `the image has ${size} bytes, not ${manifest.bytes}`);
  }
  return manifest;
}

/** The fields in a fixed order, and behind them a CRC-32 of that text. */
export function manifestText(manifest: SnapshotManifest): string {
  const { format, clusterId, shard, shards, sequence, chain, timestamp } = manifest;
  const { bytes, checksum, digest, written } = manifest;
  const fields = {
    format,
    clusterId,
    shard,
    shards,
    sequence,
    chain: hex(chain),
    timestamp,
    bytes,
    checksum: hex(checksum),
    digest,
    written,
  };
  const own = hex(crc32(JSON.stringify(fields)));
  return `${JSON.stringify({ ...fields, manifestChecksum: own }, undefined, 2)}\n`;
}

/** Undefined when the text is not, byte for byte, what `manifestText` makes of what it says. */
function parseManifest(text: string): SnapshotManifest | undefined {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (typeof fields !== 'object' || fields === null) return undefined;
  const { format, clusterId, shard, shards, sequence, bytes, digest } = fields;
  const { chain, checksum, timestamp, written } = fields;
  const areNumbers = [format, shard, shards, sequence, bytes].every((one) =>
    Number.isSafeInteger(one),
  );
  const areTexts = [clusterId, digest, timestamp, written].every((one) => typeof one === 'string');
  const areChecksums = [chain, checksum].every((one) => HEX_8.test(String(one)));
  if (!areNumbers || !areTexts || !areChecksums) return undefined;
  const { manifestChecksum: _, ...rest } = fields;
  const manifest = {
    ...(rest as unknown as SnapshotManifest),
    chain: Number.parseInt(chain as string, 16),
    checksum: Number.parseInt(checksum as string, 16),
  };
  return manifestText(manifest) === text ? manifest : undefined;
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0');
}
