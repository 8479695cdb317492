/**
 * The image of a state machine at one sequence: a section of words that says everything but the tables (state-words.ts), and the tables' chunks
 * as they lie in memory, in a fixed order of pieces. The index of accounts and the heap of expiries are not in it: they follow from the rest.
 */
import { CHUNK_ROWS } from './account-table.ts';
import { assert, unreachable } from './assert.ts';
import { ROW_WORDS } from './batch.ts';
import {
  IMAGE_BUCKET_SLOTS,
  IMAGE_TABLE_WORDS,
  ImageTable,
  type ImageSizes,
} from './before-images.ts';
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
assert(IMAGE_TABLE_WORDS[ImageTable.accounts] === ROW_WORDS, 'accounts lie one after the other');
assert(IMAGE_TABLE_WORDS[ImageTable.slots] === SLOT_WORDS, 'a slot is saved whole');
assert(IMAGE_BUCKET_SLOTS === BUCKET_SLOTS, 'a bucket has as many slots as are saved of it');
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

/**
 * What another thread needs to read an image while its shard goes on. A few large arrays, and not one for each
 * chunk: a shard stands still while they are sent.
 */
export interface ImageParts {
  readonly sizes: ImageSizes;
  readonly state: Uint32Array;
  readonly tables: Readonly<Record<TableSection, Uint32Array>>;
  /** See `BeforeImages.slotBits`. */
  readonly slotBits: Uint32Array;
}

/** Words of a whole chunk. */
const CHUNK_WORDS: Readonly<Record<TableSection, number>> = {
  [ImageSection.accounts]: CHUNK_ROWS * ROW_WORDS,
  [ImageSection.stamps]: CHUNK_ROWS * 2,
  [ImageSection.slots]: SLAB_BUCKETS * BUCKET_WORDS,
  [ImageSection.pendings]: CHUNK_ENTRIES * ENTRY_WORDS,
  [ImageSection.users]: CHUNK_ENTRIES * USER_WORDS,
};

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

/** All words of a table. */
function tableOf(
  { accounts, transferIndex, pendings }: Ledger,
  section: TableSection,
): Uint32Array {
  switch (section) {
    case ImageSection.accounts:
      return accounts.words;
    case ImageSection.stamps:
      return accounts.stamps;
    case ImageSection.slots:
      return transferIndex.words;
    case ImageSection.pendings:
      return pendings.words;
    case ImageSection.users:
      return pendings.userWords;
    default:
      return unreachable(section);
  }
}

/** The words of a piece in its table. */
export function pieceOf(table: Uint32Array, { section, chunk, words }: ImagePiece): Uint32Array {
  const from = chunk * CHUNK_WORDS[section];
  return table.subarray(from, from + words);
}

/** The same in a ledger. */
export function imageWords(ledger: Ledger, piece: ImagePiece): Uint32Array {
  return pieceOf(tableOf(ledger, piece.section), piece);
}

/** A piece, and the words of its table that it fills, in memory that other threads may share. */
export interface TablePiece extends Pick<ImagePiece, 'section' | 'chunk'> {
  readonly target: Uint32Array;
}

/** All pieces of a ledger whose tables have their sizes. */
export function tablePieces(ledger: Ledger): readonly TablePiece[] {
  return Array.from(imagePieces(imageSizes(ledger)), (piece) => {
    const { section, chunk } = piece;
    return { section, chunk, target: imageWords(ledger, piece) };
  });
}

export function imageParts(ledger: Ledger, state: Uint32Array): ImageParts {
  const { accounts, stamps, slots, pendings, users } = ImageSection;
  return {
    sizes: imageSizes(ledger),
    state,
    tables: {
      [accounts]: tableOf(ledger, accounts),
      [stamps]: tableOf(ledger, stamps),
      [slots]: tableOf(ledger, slots),
      [pendings]: tableOf(ledger, pendings),
      [users]: tableOf(ledger, users),
    },
    slotBits: ledger.images.slotBits,
  };
}
