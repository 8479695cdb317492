/**
 * Witnesses of how far each shard's journal goes: two files, `head` in the data directory and one beside it (`data.head` for `data`), with a
 * page for each shard. What a journal cannot say of itself is seen here: that its newest commits are gone, or that it is an older copy.
 *
 * I1 A head is written after the commit of its row and before anybody is told of that row. So it is never ahead of the journal, and a journal
 *    that ends before its witness has lost rows that may have been answered.
 * I2 The hot path writes both files with one write each, without a sync and without allocation. After a kill nothing is missing; after a
 *    power loss a head may be older than the journal, which is sound. The journal has them synced when a segment is full and at the end.
 * I3 A page has two slots, written in turn, so that a torn write spoils one, and the other is one group behind.
 * I4 The copy inside goes wherever the directory goes; the one beside it stays when an older directory is put back.
 *
 * A page that was never written is zero and says nothing. A file that is there and cannot be read is damage, unless the other one speaks.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../engine/assert.ts';
import type { JournalIdentity } from './checksum-chain.ts';
import { fsyncDirectory, fsyncPath } from './database.ts';
import { DataDirectoryError } from './errors.ts';

export const WITNESS_PAGE_BYTES = 4096;
const WITNESS_NAME = 'head';
/** In different sectors. */
const SLOT_PLACES = [0, WITNESS_PAGE_BYTES / 2] as const;
/** The bytes `SYH1`. */
const MAGIC = 0x31485953;

/** Byte offsets of a slot; integers are little-endian. */
const Slot = {
  magic: 0,
  clusterId: 4,
  shard: 20,
  shards: 24,
  checksum: 28,
  sequence: 32,
  crc: 40,
} as const;
const SLOT_BYTES = 44;

/** How far a journal has been committed, and the chain checksum of that row. */
export interface Head {
  readonly sequence: number;
  readonly checksum: number;
}

/** A head, and the file that says so. */
export interface KnownHead extends Head {
  readonly path: string;
}

/** What one file says of one shard. */
export type WitnessPage =
  | { readonly type: 'head'; readonly head: Head }
  | { readonly type: 'nothing' }
  | { readonly type: 'damaged' }
  | { readonly type: 'foreign'; readonly owner: JournalIdentity };

export interface WitnessFile {
  readonly path: string;
  readonly isInside: boolean;
  /** By shard; null when the file is not there. */
  readonly pages: readonly WitnessPage[] | null;
}

export type WitnessOwner = Omit<JournalIdentity, 'shard'>;

/** The one inside, then the one beside. `directory` is the data directory. */
export function witnessPaths(directory: string): readonly [string, string] {
  const absolute = resolve(directory);
  return [join(absolute, WITNESS_NAME), join(dirname(absolute), `${basename(absolute)}.head`)];
}

/** What both files say. Changes nothing, and may be called while the directory is in use. */
export function readWitness(directory: string, owner: WitnessOwner): readonly WitnessFile[] {
  return witnessPaths(directory).map((path, at) => {
    const bytes = readWhole(path);
    const pages =
      bytes === null
        ? null
        : Array.from({ length: owner.shards }, (_, shard) => readPage(bytes, { ...owner, shard }));
    return { path, isInside: at === 0, pages };
  });
}

/** For `restore`: forgets how far the journals were. The next start writes both files anew. Only for a directory that nobody has open. */
export function resetWitness(directory: string): void {
  for (const path of witnessPaths(directory)) {
    if (!existsSync(path)) continue;
    rmSync(path);
    fsyncDirectory(dirname(path));
  }
}

/** The newest head that the files know of a shard. Throws DATA_DAMAGED when a file is of another cluster, or none can be read. */
export function newestHead(files: readonly WitnessFile[], shard: number): KnownHead | null {
  let newest: KnownHead | null = null;
  let damaged: WitnessFile | undefined;
  for (const file of files) {
    const page = file.pages?.[shard];
    if (page === undefined) continue;
    if (page.type === 'damaged') damaged ??= file;
    if (page.type === 'foreign' && file.isInside) throw foreign(file, page.owner);
    if (page.type === 'head' && (newest === null || page.head.sequence > newest.sequence)) {
      newest = { ...page.head, path: file.path };
    }
  }
  if (newest === null && damaged !== undefined) throw unreadable(damaged, shard);
  return newest;
}

/** Holds what a journal says of itself against its witness. `checksumOf` is asked for a row that the journal has. */
export function checkHead(
  witness: KnownHead | null,
  journal: { readonly shard: number; readonly lastSequence: number },
  checksumOf: (sequence: number) => number,
): void {
  if (witness === null) return;
  const { sequence, checksum, path } = witness;
  if (journal.lastSequence < sequence) {
    throw new DataDirectoryError(
      'DATA_DAMAGED',
      `The journal of shard ${journal.shard} ends with sequence ${journal.lastSequence}, and the head witness ${path} says that sequence ` +
        `${sequence} was committed: the newest rows are gone, or this is an older copy. ${REMEDY}`,
    );
  }
  if (checksumOf(sequence) === checksum) return;
  throw new DataDirectoryError(
    'DATA_DAMAGED',
    `The journal of shard ${journal.shard} has another row at sequence ${sequence} than the head witness ${path} says: this is a copy that ` +
      `went another way. ${REMEDY}`,
  );
}

const REMEDY =
  'Nothing was changed. Put back the newer copy, with its -wal files; if going back is meant, use ./sycee restore, which resets the witness.';

/**
 * Makes the files that are not there, and replaces one beside the directory that belongs to another cluster. Once at a start, when nothing
 * speaks against the directory. `log` gets a line for what an operator should know; that a journal without rows has none is as it should be.
 */
export function makeWitness(
  directory: string,
  { hasRows, ...owner }: WitnessOwner & { readonly hasRows: boolean },
  log: (line: string) => void,
): void {
  const files = readWitness(directory, owner);
  const isNew = files.every(({ pages }) => pages === null);
  for (const { path, pages } of files) {
    const isForeign = pages?.some(({ type }) => type === 'foreign') ?? false;
    const isDamaged = pages?.some(({ type }) => type === 'damaged') ?? false;
    if (pages !== null && !isForeign && !isDamaged) continue;
    const was = isForeign ? 'of another cluster' : isDamaged ? 'damaged' : 'missing';
    try {
      writeEmpty(path, owner.shards);
      if (!isNew || hasRows) log(`the head witness ${path} was ${was}: it is made anew`);
    } catch (error: unknown) {
      log(`the head witness ${path} cannot be written (${String(error)}): a lost end shows less`);
    }
  }
}

/** Writes the heads of one shard. A file that cannot be written is told to `onProblem` once, and left alone: its last head stays true. */
export class HeadWitness implements Disposable {
  /** The data directory. */
  readonly directory: string;
  readonly paths: readonly string[];
  readonly #onProblem: (problem: string) => void;
  readonly #page: number;
  readonly #files: (number | null)[] = [];
  readonly #slot = new Uint8Array(SLOT_BYTES);
  readonly #view = new DataView(this.#slot.buffer);
  readonly #summed = this.#slot.subarray(0, Slot.crc);

  constructor(
    directory: string,
    identity: JournalIdentity,
    onProblem: (problem: string) => void = () => undefined,
  ) {
    this.directory = directory;
    this.paths = witnessPaths(directory);
    this.#onProblem = onProblem;
    this.#page = identity.shard * WITNESS_PAGE_BYTES;
    this.#view.setUint32(Slot.magic, MAGIC, true);
    this.#slot.set(Buffer.from(identity.clusterId, 'hex'), Slot.clusterId);
    this.#view.setUint32(Slot.shard, identity.shard, true);
    this.#view.setUint32(Slot.shards, identity.shards, true);
  }

  /** The files are there, see makeWitness; one that is not was told of. */
  open(): void {
    assert(this.#files.length === 0, 'a witness is opened once');
    for (const path of this.paths) {
      try {
        this.#files.push(openSync(path, 'r+'));
      } catch (error: unknown) {
        this.#files.push(null);
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#tell(path, error);
      }
    }
  }

  // Hot path.
  write(sequence: number, checksum: number): void {
    const view = this.#view;
    view.setUint32(Slot.checksum, checksum, true);
    view.setUint32(Slot.sequence, sequence >>> 0, true);
    view.setUint32(Slot.sequence + 4, Math.floor(sequence / 4294967296), true);
    view.setUint32(Slot.crc, crc32(this.#summed), true);
    const position = this.#page + SLOT_PLACES[sequence % 2]!;
    for (let i = 0; i < this.#files.length; i++) {
      const file = this.#files[i]!;
      if (file !== null) this.#writeOne(i, file, position);
    }
  }

  close(): void {
    for (const [i, file] of this.#files.entries()) {
      if (file === null) continue;
      try {
        fdatasyncSync(file);
      } catch (error: unknown) {
        this.#tell(this.paths[i]!, error);
      }
      closeSync(file);
    }
    this.#files.length = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #writeOne(i: number, file: number, position: number): void {
    try {
      writeSync(file, this.#slot, 0, SLOT_BYTES, position);
    } catch (error: unknown) {
      closeSync(file);
      this.#files[i] = null;
      this.#tell(this.paths[i]!, error);
    }
  }

  #tell(path: string, error: unknown): void {
    this.#onProblem(`the head witness ${path} is not written any more: ${String(error)}`);
  }
}

function readWhole(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch (error: unknown) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    // What cannot be read says as little as what is torn.
    return Buffer.alloc(0);
  }
}

function readPage(bytes: Buffer, identity: JournalIdentity): WitnessPage {
  const begin = identity.shard * WITNESS_PAGE_BYTES;
  const page = bytes.subarray(begin, begin + WITNESS_PAGE_BYTES);
  if (page.length < WITNESS_PAGE_BYTES) return readShort(bytes, identity);
  let newest: Head | null = null;
  for (const place of SLOT_PLACES) {
    const slot = readSlot(page, place);
    if (slot === null) continue;
    if (!isSame(slot.owner, identity)) return { type: 'foreign', owner: slot.owner };
    if (newest === null || slot.head.sequence > newest.sequence) newest = slot.head;
  }
  if (newest !== null) return { type: 'head', head: newest };
  return { type: isBegun(page) ? 'damaged' : 'nothing' };
}

/** Whether a slot was ever written. A first one that was cut short, with all behind it zero, is none: nobody had been told of anything. */
function isBegun(page: Uint8Array): boolean {
  return !SLOT_PLACES.some((place) =>
    page.every((byte, at) => byte === 0 || (at >= place && at < place + Slot.crc)),
  );
}

/** A file with fewer pages than shards: cut off, or of a cluster with fewer shards. */
function readShort(bytes: Buffer, identity: JournalIdentity): WitnessPage {
  for (let at = 0; at + WITNESS_PAGE_BYTES <= bytes.length; at += WITNESS_PAGE_BYTES) {
    const slot = readSlot(bytes, at) ?? readSlot(bytes, at + SLOT_PLACES[1]);
    if (slot === null) continue;
    const { owner } = slot;
    if (!isSame(owner, { ...identity, shard: owner.shard })) return { type: 'foreign', owner };
  }
  return { type: 'damaged' };
}

function readSlot(
  bytes: Buffer,
  at: number,
): { readonly owner: JournalIdentity; readonly head: Head } | null {
  if (bytes.readUInt32LE(at + Slot.magic) !== MAGIC) return null;
  if (bytes.readUInt32LE(at + Slot.crc) !== crc32(bytes.subarray(at, at + Slot.crc))) return null;
  const low = bytes.readUInt32LE(at + Slot.sequence);
  const high = bytes.readUInt32LE(at + Slot.sequence + 4);
  return {
    owner: {
      clusterId: bytes.toString('hex', at + Slot.clusterId, at + Slot.clusterId + 16),
      shard: bytes.readUInt32LE(at + Slot.shard),
      shards: bytes.readUInt32LE(at + Slot.shards),
    },
    head: { sequence: high * 4294967296 + low, checksum: bytes.readUInt32LE(at + Slot.checksum) },
  };
}

function isSame(a: JournalIdentity, b: JournalIdentity): boolean {
  return a.clusterId === b.clusterId && a.shard === b.shard && a.shards === b.shards;
}

/** In one step: a file that is there is whole. */
function writeEmpty(path: string, shards: number): void {
  writeFileSync(`${path}.new`, new Uint8Array(shards * WITNESS_PAGE_BYTES), { mode: 0o600 });
  fsyncPath(`${path}.new`, 'r+');
  renameSync(`${path}.new`, path);
  fsyncDirectory(dirname(path));
}

function foreign({ path }: WitnessFile, { clusterId, shard, shards }: JournalIdentity): Error {
  return new DataDirectoryError(
    'DATA_DAMAGED',
    `The head witness ${path} belongs to shard ${shard} of ${shards} of cluster ${clusterId}: files of two directories are mixed. ` +
      'Nothing was changed. Put back all files of one copy.',
  );
}

function unreadable({ path }: WitnessFile, shard: number): Error {
  return new DataDirectoryError(
    'DATA_DAMAGED',
    `The head witness ${path} is damaged where it speaks of shard ${shard}, and there is no other that can be read, so nobody can tell whether the ` +
      'newest rows are there. Nothing was changed. Put back a copy of it; or, when you know that the journals are whole, remove it.',
  );
}
