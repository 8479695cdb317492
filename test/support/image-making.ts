/**
 * An image that is made while its state machine goes on, in one thread: pieces are copied at moments that a seed picks, some words of them even
 * earlier than others, as a thread that reads beside the machine would see them; then the log is laid over the copies. Every word of the outcome is
 * compared with what it was when the image began.
 */
import { assert } from '../../engine/assert.ts';
import { IMAGE_CHUNK_SHIFTS } from '../../engine/before-images.ts';
import { StateDigest } from '../../engine/digest.ts';
import { ImageCopy } from '../../engine/image-copy.ts';
import {
  imagePieces,
  ImageSection,
  imageWords,
  type ImageParts,
  type ImagePiece,
  type TableSection,
} from '../../engine/image.ts';
import { Entry, ENTRY_WORDS } from '../../engine/pending-table.ts';
import type { StateMachine } from '../../engine/state-machine.ts';
import { StateReader } from '../../engine/state-words.ts';
import type { Prng } from '../../lib/prng.ts';
import { TABLE_OF } from '../../sharding/snapshot-thread.ts';

export interface MadeImage {
  readonly state: Uint32Array;
  readonly pieces: readonly { readonly section: TableSection; readonly words: Uint32Array }[];
  readonly digest: string;
}

interface Copied {
  readonly piece: ImagePiece;
  readonly words: Uint32Array;
}

export class ImageMaking {
  readonly #machine: StateMachine;
  readonly #prng: Prng;
  readonly #parts: ImageParts;
  readonly #copy: ImageCopy;
  readonly #todo: ImagePiece[];
  /** Copied, and then put back to what they were. */
  readonly #copied: Copied[] = [];
  readonly #read: Copied[] = [];
  /** All pieces as they were. */
  readonly #were: readonly Uint32Array[];
  #pages = 0;
  /** The state's digest when the image began. */
  readonly digest: string;

  constructor(machine: StateMachine, prng: Prng) {
    this.#machine = machine;
    this.#prng = prng;
    this.digest = machine.digest().join();
    this.#parts = machine.beginImage();
    this.#copy = new ImageCopy(this.#parts);
    this.#todo = [...imagePieces(this.#parts.sizes)];
    this.#were = this.#todo.map((piece) => imageWords(machine.ledger, piece).slice());
  }

  /** Copies some of what is left: a piece as it is now, or its first half now and the rest later. */
  advance(): void {
    const piece = this.#todo.shift();
    if (piece === undefined) return;
    const words = new Uint32Array(piece.words);
    this.#copy.copy(piece, words);
    this.#copied.push({ piece, words });
    if (this.#prng.chance(50)) this.#absorb();
  }

  /** Takes the log up to here; more of it may follow. */
  #absorb(): void {
    const { images } = this.#machine.ledger;
    const length = images.publish();
    for (; this.#pages < images.pages.length; this.#pages++) {
      this.#copy.addPage(images.pages[this.#pages]!);
    }
    this.#copy.absorb(length);
  }

  /** Reads words of what was copied again, so that a copy has some from before a change and some from after it. */
  tear(): void {
    if (this.#copied.length === 0) return;
    const { piece, words } = this.#prng.pick(this.#copied);
    const now = imageWords(this.#machine.ledger, piece);
    const from = this.#prng.below(words.length);
    for (let w = from; w < words.length; w += 1 + this.#prng.below(7)) words[w] = now[w]!;
  }

  /** Between two steps: takes the log, puts back what was copied, and says that it is read, so that nothing of it is logged any more. */
  pass(): void {
    this.#absorb();
    for (const copied of this.#copied.splice(0)) {
      const { piece, words } = copied;
      this.#copy.restore(piece, words);
      assertSame(piece, words, this.#were[this.#read.length]!);
      this.#read.push(copied);
      const table = TABLE_OF[piece.section];
      if (table === undefined) continue;
      this.#machine.ledger.images.pass(table, (piece.chunk + 1) << IMAGE_CHUNK_SHIFTS[table]);
    }
  }

  finish(): MadeImage {
    while (this.#todo.length > 0) this.advance();
    this.pass();
    const digest = new StateDigest(new StateReader(this.#parts.state).takeList());
    const pieces = this.#read.map(({ piece, words }) => {
      digest.add(piece.section, words);
      return { section: piece.section, words };
    });
    this.#machine.endImage(true);
    const found = digest.finish().join();
    assert(found === this.digest, 'the digest of the image is that of the state when it began');
    return { state: this.#parts.state, pieces, digest: found };
  }
}

function assertSame({ section, chunk }: ImagePiece, words: Uint32Array, were: Uint32Array): void {
  for (const [w, word] of words.entries()) {
    if (word === were[w]) continue;
    // A place in the heap means nothing in an image.
    if (section === ImageSection.pendings && w % ENTRY_WORDS === Entry.heap) continue;
    assert(false, `word ${w} of section ${section}, chunk ${chunk}, is what it was`);
  }
}

/** Takes an image over into a new state machine. */
export function loadMade(machine: StateMachine, { state, pieces, digest }: MadeImage): void {
  let next = 0;
  const found = machine.loadImage(state, function* (tables) {
    for (const table of tables) {
      const piece = pieces[next++]!;
      assert(piece.section === table.section, 'pieces come in the order of the image');
      table.target.set(piece.words);
      yield table;
    }
  });
  assert(next === pieces.length, 'an image is read to its end');
  assert(found.join() === digest, 'what is loaded has the digest of the image');
  assert(machine.digest().join() === digest, 'and the machine says the same');
}
