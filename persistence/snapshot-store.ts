/**
 * The snapshots of one shard in its directory: writes one, verifies and loads one, removes old ones.
 *
 * I1 A snapshot exists from the moment its manifest is there, which is written last, under another name, synced, and renamed. Before, its image was
 *    synced, read back from its file with every checksum compared, and renamed; the directory was synced after each rename.
 * I2 The last SNAPSHOTS_KEPT that have a manifest are kept; what a crash has left of others is removed with the next one.
 * I3 Nothing here changes a journal. A snapshot saves time, and what it says can be had from the journal: one that cannot be used is passed over.
 */
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { digestText } from '../engine/digest.ts';
import type { Group } from '../engine/group.ts';
import { ImageSection, type TablePiece } from '../engine/image.ts';
import type { LedgerOptions } from '../engine/ledger.ts';
import { StateMachine } from '../engine/state-machine.ts';
import type { JournalIdentity } from './checksum-chain.ts';
import { fsyncDirectory, fsyncPath } from './database.ts';
import { snapshotUnusable } from './errors.ts';
import { ImageReader, ImageWriter, type ImageIdentity } from './image-file.ts';
import { filledBeside, LoaderFailure } from './image-loader.ts';
import { removeInParts } from './remove-file.ts';
import {
  listSnapshots,
  manifestText,
  readManifest,
  snapshotFiles,
  SNAPSHOT_FORMAT,
  type SnapshotFiles,
  type SnapshotManifest,
} from './snapshot-manifest.ts';

export const SNAPSHOTS_KEPT = 2;
/** It takes a thread some 50 ms to begin, in which 64 MiB are read. */
const BESIDE_BYTES_MIN = 64 << 20;
const WRITING_SUFFIX = '.writing';
const IMAGE_NAME = /^snapshot-(\d{12})\.image$/;

/** A snapshot that is being written. */
export class SnapshotBeing implements Disposable {
  readonly #directory: string;
  readonly #files: SnapshotFiles;
  readonly #identity: ImageIdentity;
  readonly image: ImageWriter;

  constructor(directory: string, identity: ImageIdentity) {
    this.#directory = directory;
    this.#identity = identity;
    this.#files = snapshotFiles(directory, identity.sequence);
    removeUnfinished(directory);
    this.image = ImageWriter.create(this.#files.image + WRITING_SUFFIX, identity);
  }

  /** Makes the image durable, reads it back, and gives it its manifest; then removes what is old. */
  publish(
    said: Pick<SnapshotManifest, 'chain' | 'timestamp' | 'digest'>,
    beat: () => void = () => undefined,
  ): SnapshotManifest {
    const { image: path, manifest: manifestPath } = this.#files;
    const checksum = this.image.finish();
    const { clusterId, shard, shards, sequence } = this.#identity;
    const manifest: SnapshotManifest = {
      format: SNAPSHOT_FORMAT,
      clusterId,
      shard,
      shards,
      sequence,
      ...said,
      bytes: this.image.bytes,
      checksum,
      written: new Date().toISOString(),
    };
    checkImage(path + WRITING_SUFFIX, manifest, beat);
    renameSync(path + WRITING_SUFFIX, path);
    fsyncDirectory(this.#directory);
    writeFileSync(manifestPath + WRITING_SUFFIX, manifestText(manifest), { mode: 0o600 });
    fsyncPath(manifestPath + WRITING_SUFFIX, 'r+');
    // After this point the snapshot is there.
    renameSync(manifestPath + WRITING_SUFFIX, manifestPath);
    fsyncDirectory(this.#directory);
    removeOldSnapshots(this.#directory);
    return manifest;
  }

  [Symbol.dispose](): void {
    this.image.close();
    rmSync(this.#files.image + WRITING_SUFFIX, { force: true });
  }
}

/** Reads the whole image and compares every checksum; what it says of the state is not looked at. Throws SNAPSHOT_UNUSABLE. */
export function checkImage(
  path: string,
  manifest: SnapshotManifest,
  onBlock: (section: number, bytes: number) => void = () => undefined,
): void {
  using reader = ImageReader.open(path, manifest);
  reader.drain(manifest, onBlock);
}

/** A state that was loaded. */
export interface LoadedSnapshot {
  readonly manifest: SnapshotManifest;
  readonly machine: StateMachine;
  /** What the actor has put in: messages that wait for their acknowledgement. */
  readonly links: Uint32Array;
}

export interface SnapshotLoad {
  readonly files: SnapshotFiles;
  readonly identity: JournalIdentity;
  readonly seed: LedgerOptions['seed'];
  /** For the state machine that is made. */
  readonly group: Group;
  /** Called after each piece, with bytes read and bytes in all. */
  readonly onProgress?: ((done: number, of: number) => void) | undefined;
  /** Images of so many bytes and more are read on a thread of their own. */
  readonly besideMin?: number;
}

/** Loads a snapshot into a new state machine, and compares its digest with the manifest's. Throws SNAPSHOT_UNUSABLE. */
export function loadSnapshot(options: SnapshotLoad): LoadedSnapshot {
  const { files, identity, seed, group, onProgress } = options;
  const manifest = readManifest(files, identity);
  using reader = ImageReader.open(files.image, manifest);
  const state = reader.all(ImageSection.state);
  if (state.length === 0) throw snapshotUnusable(files.image, 'the image has no state');
  const links = reader.all(ImageSection.links);
  const { shard, shards } = identity;
  const machine = new StateMachine({ shard, shards, seed }, group);
  const isBeside = manifest.bytes >= (options.besideMin ?? BESIDE_BYTES_MIN);
  const digest = machine.loadImage(state, (pieces) => {
    const reading = { reader, path: files.image, manifest, pieces, onProgress };
    return isBeside ? readBeside(reading) : readHere(reading);
  });
  if (digestText(digest) !== manifest.digest) {
    throw snapshotUnusable(files.image, 'the state has another digest than its manifest says');
  }
  return { manifest, machine, links };
}

interface Reading {
  readonly reader: ImageReader;
  readonly path: string;
  readonly manifest: SnapshotManifest;
  readonly pieces: readonly TablePiece[];
  readonly onProgress: ((done: number, of: number) => void) | undefined;
}

function* readHere(reading: Reading): Generator<TablePiece, void, undefined> {
  const { reader, manifest, pieces, onProgress } = reading;
  for (const piece of pieces) {
    reader.fill(piece.section, piece.target);
    onProgress?.(reader.offset, manifest.bytes);
    yield piece;
  }
  reader.finish(manifest);
}

/** On a thread of its own, if that can begin; the pieces that it fills are yielded meanwhile. */
function* readBeside(reading: Reading): Generator<TablePiece, void, undefined> {
  const { path, manifest, pieces, onProgress } = reading;
  let failure: LoaderFailure | undefined;
  try {
    yield* filledBeside({ path, manifest, pieces, onProgress });
  } catch (error: unknown) {
    if (!(error instanceof LoaderFailure)) throw error;
    failure = error;
  }
  if (failure === undefined) return;
  if (failure.hasBegun) {
    // Says what is wrong, and where.
    checkImage(path, manifest);
    throw snapshotUnusable(path, 'the image could not be read the first time', failure);
  }
  yield* readHere(reading);
}

/** Removes all but the last SNAPSHOTS_KEPT; manifests first, so that none is ever without its image. */
function removeOldSnapshots(directory: string): void {
  for (const { manifest, image } of listSnapshots(directory).slice(SNAPSHOTS_KEPT)) {
    rmSync(manifest, { force: true });
    fsyncDirectory(directory);
    removeInParts(image);
  }
  fsyncDirectory(directory);
}

/** What a crash has left: files under their first names, and images without a manifest. */
function removeUnfinished(directory: string): void {
  const known = new Set(listSnapshots(directory).map(({ image }) => basename(image)));
  for (const name of readdirSync(directory)) {
    const isUnfinished = name.startsWith('snapshot-') && name.endsWith(WRITING_SUFFIX);
    const isOrphan = IMAGE_NAME.test(name) && !known.has(name);
    if (isUnfinished || isOrphan) rmSync(join(directory, name), { force: true });
  }
}
