/**
 * The image of a state machine at one sequence: a section of words that says everything but the tables (state-words.ts), and the tables' chunks
 * as they lie in memory, in a fixed order of pieces. The index of accounts and the heap of expiries are not in it: they follow from the rest.
 */
import { CHUNK_ROWS } from './account-table.ts';
import { assert, unreachable } from './assert.ts';
import { ROW_WORDS } from './batch.ts';
import { IMAGE_TABLE_WORDS, ImageTable, type ImageSizes } from './before-images.ts';
import { BUCKET_SLOTS, SLAB_BUCKETS } from './bucket-directory.ts';
import { SLOT_WORDS } from './id-index.ts';
import type { Ledger } from './ledger.ts';
import { CHUNK_ENTRIES, ENTRY_WORDS, USER_WORDS } from './pending-table.ts';

/** `links` is the actor's: messages that wait for their acknowledgement. */
export const ImageSection = {
  state: 1,
  links: 2,
  accounts: 3,
  stamps: 4,
  slots: 5,
  pendings: 6,
  users: 7,
} as const;
export type TableSection = 3 | 4 | 5 | 6 | 7;

const BUCKET_WORDS = BUCKET_SLOTS * SLOT_WORDS;
assert(IMAGE_TABLE_WORDS[ImageTable.accounts] === ROW_WORDS, 'an account is saved whole');
assert(IMAGE_TABLE_WORDS[ImageTable.slots] === SLOT_WORDS, 'a slot is saved whole');
assert(IMAGE_TABLE_WORDS[ImageTable.buckets] === BUCKET_WORDS, 'a bucket is saved whole');
assert(IMAGE_TABLE_WORDS[ImageTable.pendings] === ENTRY_WORDS, 'an entry is saved whole');
assert(IMAGE_TABLE_WORDS[ImageTable.users] === USER_WORDS, 'user data is saved whole');

/** The first `words` words of a chunk of a table. */
export interface ImagePiece {
  readonly section: TableSection;
  readonly chunk: number;
  readonly words: number;
}

/** The largest piece: a slab of the transfer index. */
export const PIECE_WORDS_MAX = SLAB_BUCKETS * BUCKET_WORDS;

/** What another thread needs to read an image while its shard goes on. `chunks` are those of each section, in order. */
export interface ImageParts {
  readonly sizes: ImageSizes;
  readonly state: Uint32Array;
  readonly chunks: Readonly<Record<TableSection, readonly Uint32Array[]>>;
}

/** All pieces in the order in which an image has them; the timestamps of accounts follow their rows. */
export function* imagePieces(sizes: ImageSizes): Generator<ImagePiece, void, undefined> {
  for (const { chunk, n } of chunksOf(sizes.rows, CHUNK_ROWS)) {
    yield { section: ImageSection.accounts, chunk, words: n * ROW_WORDS };
    yield { section: ImageSection.stamps, chunk, words: n * 2 };
  }
  for (const { chunk, n } of chunksOf(sizes.buckets, SLAB_BUCKETS)) {
    yield { section: ImageSection.slots, chunk, words: n * BUCKET_WORDS };
  }
  for (const { chunk, n } of chunksOf(sizes.pendings, CHUNK_ENTRIES)) {
    yield { section: ImageSection.pendings, chunk, words: n * ENTRY_WORDS };
  }
  for (const { chunk, n } of chunksOf(sizes.users, CHUNK_ENTRIES)) {
    yield { section: ImageSection.users, chunk, words: n * USER_WORDS };
  }
}

function* chunksOf(
  count: number,
  size: number,
): Generator<{ readonly chunk: number; readonly n: number }, void, undefined> {
  for (let chunk = 0; chunk * size < count; chunk++) {
    yield { chunk, n: Math.min(size, count - chunk * size) };
  }
}

export function imageSizes({ accounts, transferIndex, pendings }: Ledger): ImageSizes {
  return {
    rows: accounts.rows,
    buckets: transferIndex.buckets,
    pendings: pendings.used,
    users: pendings.userUsed,
  };
}

/** The chunk of a table in which a piece lies. */
export function imageChunk(ledger: Ledger, section: TableSection, chunk: number): Uint32Array {
  switch (section) {
    case ImageSection.accounts:
      return ledger.accounts.chunkAt(chunk);
    case ImageSection.stamps:
      return ledger.accounts.stampsAt(chunk);
    case ImageSection.slots:
      return ledger.transferIndex.slabAt(chunk);
    case ImageSection.pendings:
      return ledger.pendings.chunkAt(chunk);
    case ImageSection.users:
      return ledger.pendings.userChunkAt(chunk);
    default:
      return unreachable(section);
  }
}

/** A piece, and the words of its table that it fills, in memory that other threads may share. */
export interface TablePiece extends Pick<ImagePiece, 'section' | 'chunk'> {
  readonly target: Uint32Array;
}

/** All pieces of a ledger whose tables have their sizes. */
export function tablePieces(ledger: Ledger): readonly TablePiece[] {
  return Array.from(imagePieces(imageSizes(ledger)), ({ section, chunk, words }) => {
    return { section, chunk, target: imageChunk(ledger, section, chunk).subarray(0, words) };
  });
}

export function imageParts(ledger: Ledger, state: Uint32Array): ImageParts {
  const sizes = imageSizes(ledger);
  const chunks: Record<TableSection, Uint32Array[]> = { 3: [], 4: [], 5: [], 6: [], 7: [] };
  for (const { section, chunk } of imagePieces(sizes)) {
    chunks[section].push(imageChunk(ledger, section, chunk));
  }
  return { sizes, state, chunks };
}
