/**
 * The file of a snapshot's image: a header, blocks of at most 1 MiB, a trailer. Every checksum is begun with the one before it, so the last one is
 * over the whole file, and a block that was altered, moved, or lost shows at its place. Written once and in order, and read in the same way.
 *
 * What the blocks hold is the engine's business (engine/image.ts); here a block has the number of its section.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readSync,
  writevSync,
} from 'node:fs';
import { crc32 } from 'node:zlib';
import { assert } from '../engine/assert.ts';
import type { JournalIdentity } from './checksum-chain.ts';
import { snapshotUnusable } from './errors.ts';
import { SNAPSHOT_FORMAT, type SnapshotManifest } from './snapshot-manifest.ts';

const MAGIC = 0x49455953;
const HEADER_WORDS = 16;
/** {section, bytes, number, checksum} */
const BLOCK_HEAD_WORDS = 4;
export const IMAGE_BLOCK_BYTES_MAX = 1 << 20;
const TRAILER = 0xffffffff;
/**
 * So much is put onto the disk at a time: the commits of a journal wait behind it. Where no journal is written any more, more at a time takes half as
 * long.
 */
export const UNSYNCED_BYTES_MAX = 1 << 20;
export const UNSYNCED_BYTES_MAX_ALONE = 16 << 20;

/** Whose state an image is. */
export interface ImageIdentity extends JournalIdentity {
  readonly sequence: number;
}

function headerOf({ clusterId, shard, shards, sequence }: ImageIdentity): Uint32Array {
  const words = new Uint32Array(HEADER_WORDS);
  words.set([MAGIC, SNAPSHOT_FORMAT, shard, shards]);
  words.set([sequence >>> 0, Math.floor(sequence / 4294967296)], 4);
  new Uint8Array(words.buffer, 24, 16).set(Buffer.from(clusterId, 'hex'));
  words[HEADER_WORDS - 1] = crc32(bytesOf(words.subarray(0, HEADER_WORDS - 1)));
  return words;
}

export class ImageWriter {
  readonly #file: number;
  readonly #head = new Uint32Array(BLOCK_HEAD_WORDS);
  #number = 0;
  #checksum: number;
  bytes = 0;
  unsyncedMax = UNSYNCED_BYTES_MAX;
  #unsynced = 0;

  private constructor(file: number, identity: ImageIdentity) {
    this.#file = file;
    const header = headerOf(identity);
    this.#checksum = header[HEADER_WORDS - 1]!;
    this.#write([bytesOf(header)]);
  }

  /** Begins a new file; one of that name is overwritten. */
  static create(path: string, identity: ImageIdentity): ImageWriter {
    const { O_CREAT, O_TRUNC, O_WRONLY } = constants;
    const file = openSync(path, O_CREAT | O_TRUNC | O_WRONLY, 0o600);
    try {
      return new ImageWriter(file, identity);
    } catch (error: unknown) {
      closeSync(file);
      throw error;
    }
  }

  /** Appends words of a section, in as many blocks as they need: none for no words. */
  write(section: number, words: Uint32Array): void {
    assert(section !== TRAILER, 'a section of an image');
    const bytes = bytesOf(words);
    for (let at = 0; at < bytes.byteLength; at += IMAGE_BLOCK_BYTES_MAX) {
      this.#block(section, bytes.subarray(at, at + IMAGE_BLOCK_BYTES_MAX));
    }
  }

  #block(section: number, payload: Uint8Array): void {
    const head = this.#head;
    head.set([section, payload.byteLength, this.#number++]);
    this.#checksum = crc32(payload, crc32(bytesOf(head.subarray(0, 3)), this.#checksum));
    head[3] = this.#checksum;
    this.#write([bytesOf(head), payload]);
    this.#unsynced += payload.byteLength;
    if (this.#unsynced < this.unsyncedMax) return;
    this.#unsynced = 0;
    fdatasyncSync(this.#file);
  }

  #write(parts: readonly Uint8Array[]): void {
    let left = [...parts];
    while (left.length > 0) {
      let written = writevSync(this.#file, left);
      this.bytes += written;
      const rest: Uint8Array[] = [];
      for (const part of left) {
        if (written < part.byteLength) rest.push(part.subarray(written));
        written = Math.max(0, written - part.byteLength);
      }
      left = rest;
    }
  }

  /** Ends the file, durably. Says the checksum over all of it. */
  finish(): number {
    this.#block(TRAILER, bytesOf(Uint32Array.of(this.#number, 0)));
    fsyncSync(this.#file);
    return this.#checksum;
  }

  close(): void {
    closeSync(this.#file);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Reads an image from its beginning to its end. Whatever is not as it was written throws SNAPSHOT_UNUSABLE, with the byte offset. */
export class ImageReader implements Disposable {
  readonly #path: string;
  readonly #file: number;
  readonly #head = new Uint32Array(BLOCK_HEAD_WORDS);
  #isAhead = false;
  #number = 0;
  #offset = 0;
  #checksum: number;

  private constructor(path: string, file: number, identity: ImageIdentity) {
    this.#path = path;
    this.#file = file;
    const header = new Uint32Array(HEADER_WORDS);
    this.#read(header);
    this.#checksum = header[HEADER_WORDS - 1]!;
    if (Buffer.compare(bytesOf(header), bytesOf(headerOf(identity))) !== 0) {
      throw snapshotUnusable(path, 'the image is of another state than its manifest says');
    }
  }

  static open(path: string, identity: ImageIdentity): ImageReader {
    let file: number;
    try {
      file = openSync(path, 'r');
    } catch (error: unknown) {
      throw snapshotUnusable(path, `the image cannot be read (${String(error)})`, error);
    }
    try {
      return new ImageReader(path, file, identity);
    } catch (error: unknown) {
      closeSync(file);
      throw error;
    }
  }

  /** Bytes that were read so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Fills the words from the blocks that come next, which are of that section. */
  fill(section: number, target: Uint32Array): void {
    const bytes = bytesOf(target);
    for (let at = 0; at < bytes.byteLength;) {
      const length = this.#next(section);
      if (at + length > bytes.byteLength) throw this.#defect('a block is longer than its table');
      this.#payload(bytes.subarray(at, at + length));
      at += length;
    }
  }

  /** All words of a section whose length is not known; the next blocks are its own, or there are none. */
  all(section: number): Uint32Array {
    const parts: Uint8Array[] = [];
    while (this.#peek() === section) {
      const part = new Uint8Array(this.#next(section));
      this.#payload(part);
      parts.push(part);
    }
    const whole = Buffer.concat(parts);
    const words = new Uint32Array(whole.byteLength / 4);
    bytesOf(words).set(whole);
    return words;
  }

  /** Reads to the end, whatever it is, and compares every checksum. Says of each block what section it is of, and its bytes. */
  drain(
    manifest: Pick<SnapshotManifest, 'bytes' | 'checksum'>,
    onBlock: (section: number, bytes: number) => void,
  ): void {
    const buffer = new Uint8Array(IMAGE_BLOCK_BYTES_MAX);
    for (let section = this.#peek(); section !== TRAILER; section = this.#peek()) {
      const length = this.#next(section);
      this.#payload(buffer.subarray(0, length));
      onBlock(section, length);
    }
    this.finish(manifest);
  }

  /** The section of the block that comes next. */
  #peek(): number {
    if (!this.#isAhead) this.#read(this.#head);
    this.#isAhead = true;
    return this.#head[0]!;
  }

  /** Takes the head of the next block and says how long it is. */
  #next(section: number): number {
    const [found, length, number] = [this.#peek(), this.#head[1]!, this.#head[2]!];
    if (found !== section || number !== this.#number || length === 0) {
      throw this.#defect(`a block of section ${section} should be here`);
    }
    if (length > IMAGE_BLOCK_BYTES_MAX || length % 4 !== 0)
      throw this.#defect('a block is too long');
    return length;
  }

  #payload(target: Uint8Array): void {
    this.#read(target);
    this.#isAhead = false;
    this.#number++;
    const head = bytesOf(this.#head.subarray(0, 3));
    this.#checksum = crc32(target, crc32(head, this.#checksum));
    if (this.#checksum !== this.#head[3]) {
      throw this.#defect('the block that ends here does not match its checksum');
    }
  }

  /** The trailer is next, and then the end; the checksum over everything is the manifest's. */
  finish(manifest: Pick<SnapshotManifest, 'bytes' | 'checksum'>): void {
    const trailer = new Uint32Array(2);
    this.fill(TRAILER, trailer);
    if (trailer[0] !== this.#number - 1) throw this.#defect('the trailer counts other blocks');
    if (this.#offset !== manifest.bytes) throw this.#defect('the image should be longer');
    if (this.#checksum !== manifest.checksum) {
      throw this.#defect('the image is not the one of its manifest');
    }
  }

  #read(target: Uint8Array | Uint32Array): void {
    const bytes = bytesOf(target);
    for (let at = 0; at < bytes.byteLength;) {
      const read = readSync(this.#file, bytes, at, bytes.byteLength - at, this.#offset);
      if (read === 0) throw this.#defect('the image ends here');
      at += read;
      this.#offset += read;
    }
  }

  #defect(rule: string): Error {
    return snapshotUnusable(this.#path, `byte ${this.#offset}: ${rule}`);
  }

  close(): void {
    closeSync(this.#file);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function bytesOf(words: Uint32Array | Uint8Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
