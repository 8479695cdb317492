/**
 * Reads an image while its shard goes on, in another thread: copies pieces as they are, and lays the before-images over the copies.
 *
 * The order for each piece: `copy`; then the log up to a place that the shard reached after the copy was complete (`absorb`); then `restore`. What
 * the copy has seen of any change then has its old words in the log, or a bit that says that they were 0.
 */
import { assert } from './assert.ts';
import {
  ACCOUNT_MASK_SHIFT,
  CHANGING_WORDS,
  changingWord,
  IMAGE_CHUNK_SHIFTS,
  IMAGE_ENTRY_WORDS,
  IMAGE_PAGE_END,
  IMAGE_PAGE_WORDS,
  IMAGE_SAVED_WORDS,
  IMAGE_TABLE_SHIFT,
  IMAGE_TABLE_WORDS,
  ImageTable,
  SLOT_FILLED,
} from './before-images.ts';
import {
  imagePieces,
  ImageSection,
  pieceOf,
  type ImageParts,
  type ImagePiece,
  type TableSection,
} from './image.ts';

/** In which section the words of a table lie. Timestamps never change. */
const SECTIONS = [
  ImageSection.accounts,
  ImageSection.slots,
  ImageSection.pendings,
  ImageSection.users,
] as const;

const SLOT_WORDS = IMAGE_TABLE_WORDS[ImageTable.slots];
const SLOT_SAVED_WORDS = IMAGE_SAVED_WORDS[ImageTable.slots];
/** Slots whose bits a word has, and words of the bits of a chunk. */
const WORD_SLOTS = 16;
const BITS_WORDS = (1 << IMAGE_CHUNK_SHIFTS[ImageTable.slots]) / WORD_SLOTS;
/** SLOT_FILLED of each slot of a word. */
const FILLED = SLOT_FILLED * 0x55555555;

const ACCOUNT_WORDS = IMAGE_TABLE_WORDS[ImageTable.accounts];
/** The words of an account that an entry may have, in its order. */
const ACCOUNT_PLACES = Array.from({ length: CHANGING_WORDS }, (_, n) => changingWord(n));

export class ImageCopy {
  readonly #parts: ImageParts;
  readonly #pages: Uint32Array[] = [];
  #absorbed = 0;
  /** By section and chunk: the entry that was logged last, as its place in the log plus 1. Each entry has the one before it in its spare word. */
  readonly #newest = new Map<number, Uint32Array>();

  constructor(parts: ImageParts) {
    this.#parts = parts;
    const chunks = new Map<number, number>();
    for (const { section, chunk } of imagePieces(parts.sizes)) chunks.set(section, chunk + 1);
    for (const section of new Set(SECTIONS)) {
      this.#newest.set(section, new Uint32Array(chunks.get(section) ?? 0));
    }
  }

  /** Copies a piece as it is now into the beginning of `target`. */
  copy(piece: ImagePiece, target: Uint32Array): void {
    target.set(pieceOf(this.#parts.tables[piece.section], piece));
  }

  /** Another page of the log. */
  addPage(page: Uint32Array): void {
    this.#pages.push(page);
  }

  /** Takes note of the log up to so many words. */
  absorb(length: number): void {
    assert(length <= this.#pages.length * IMAGE_PAGE_WORDS, 'the pages of the log are here');
    while (this.#absorbed < length) {
      const place = this.#absorbed;
      const page = this.#pages[Math.floor(place / IMAGE_PAGE_WORDS)]!;
      const at = place % IMAGE_PAGE_WORDS;
      const head = page[at]!;
      if (head === IMAGE_PAGE_END) {
        this.#absorbed = place - at + IMAGE_PAGE_WORDS;
        continue;
      }
      const table = (head >>> IMAGE_TABLE_SHIFT) as ImageTable;
      const newest = this.#newest.get(SECTIONS[table])!;
      const chunk = head & ((1 << IMAGE_TABLE_SHIFT) - 1);
      assert(chunk < newest.length, 'only what is in the image is logged');
      page[at + 2] = newest[chunk]!;
      newest[chunk] = place + 1;
      this.#absorbed = place + IMAGE_ENTRY_WORDS + savedWords(table, page[at + 1]!);
    }
  }

  /** Puts a copied piece back to what it was when the image began. The log has everything once, so in any order. */
  restore({ section, chunk }: ImagePiece, target: Uint32Array): void {
    if (section === ImageSection.slots) this.#emptyFilled(chunk, target);
    const newest = this.#newest.get(section);
    let link = newest?.[chunk] ?? 0;
    while (link !== 0) {
      const place = link - 1;
      const page = this.#pages[Math.floor(place / IMAGE_PAGE_WORDS)]!;
      const at = place % IMAGE_PAGE_WORDS;
      const table = (page[at]! >>> IMAGE_TABLE_SHIFT) as ImageTable;
      if (table === ImageTable.slots) restoreSlots(page, at, target);
      else if (table === ImageTable.accounts) restoreAccount(page, at, target);
      else restoreEntry(page, at, IMAGE_TABLE_WORDS[table], target);
      link = page[at + 2]!;
    }
  }

  /** Slots that were empty. Those that were filled only after the copy were empty as well. */
  #emptyFilled(chunk: number, target: Uint32Array): void {
    const { slotBits } = this.#parts;
    const first = chunk * BITS_WORDS;
    const end = Math.min(first + BITS_WORDS, slotBits.length);
    for (let word = first; word < end; word++) {
      for (let bits = slotBits[word]! & FILLED; bits !== 0; bits &= bits - 1) {
        const slot = (word - first) * WORD_SLOTS + ((31 - Math.clz32(bits & -bits)) >>> 1);
        target.fill(0, slot * SLOT_WORDS, (slot + 1) * SLOT_WORDS);
      }
    }
  }
}

/** `at`: where the entry begins in its page. */
function restoreSlots(page: Uint32Array, at: number, target: Uint32Array): void {
  const end = at + IMAGE_ENTRY_WORDS + page[at + 1]! * SLOT_SAVED_WORDS;
  for (let from = at + IMAGE_ENTRY_WORDS; from < end; from += SLOT_SAVED_WORDS) {
    const to = page[from]!;
    assert(to + SLOT_WORDS <= target.length, 'only what is in the image is logged');
    for (let w = 0; w < SLOT_WORDS; w++) target[to + w] = page[from + 1 + w]!;
  }
}

function restoreAccount(page: Uint32Array, at: number, target: Uint32Array): void {
  const placed = page[at + 1]!;
  const to = (placed & ((1 << ACCOUNT_MASK_SHIFT) - 1)) * ACCOUNT_WORDS;
  assert(to + ACCOUNT_WORDS <= target.length, 'only what is in the image is logged');
  let from = at + IMAGE_ENTRY_WORDS;
  for (let n = 0; n < CHANGING_WORDS; n++) {
    const isThere = ((placed >>> (ACCOUNT_MASK_SHIFT + n)) & 1) === 1;
    target[to + ACCOUNT_PLACES[n]!] = isThere ? page[from++]! : 0;
  }
}

function restoreEntry(page: Uint32Array, at: number, count: number, target: Uint32Array): void {
  const to = page[at + 1]!;
  assert(to + count <= target.length, 'only what is in the image is logged');
  const from = at + IMAGE_ENTRY_WORDS;
  for (let w = 0; w < count; w++) target[to + w] = page[from + w]!;
}

/** Words of an entry behind its head. */
function savedWords(table: ImageTable, placed: number): number {
  if (table === ImageTable.slots) return placed * SLOT_SAVED_WORDS;
  if (table === ImageTable.accounts) return ones(placed >>> ACCOUNT_MASK_SHIFT);
  return IMAGE_SAVED_WORDS[table];
}

function ones(mask: number): number {
  let count = 0;
  for (let bits = mask; bits !== 0; bits &= bits - 1) count++;
  return count;
}

/** The section of a piece whose words are to be digested with those of the piece before it. */
export const endsPair = (section: TableSection): boolean => section !== ImageSection.accounts;
