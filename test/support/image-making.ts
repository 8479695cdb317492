/**
 * An image that is made while its state machine goes on, in one thread: pieces are copied at moments that a seed picks, some words of them even
 * earlier than others, as a thread that reads beside the machine would see them; then the log is laid over the copies.
 */
import { assert } from '../../engine/assert.ts';
import { StateDigest } from '../../engine/digest.ts';
import { ImageCopy } from '../../engine/image-copy.ts';
import {
  imagePieces,
  imageWords,
  type ImageParts,
  type ImagePiece,
  type TableSection,
} from '../../engine/image.ts';
import type { StateMachine } from '../../engine/state-machine.ts';
import { StateReader } from '../../engine/state-words.ts';
import type { Prng } from '../../lib/prng.ts';

export interface MadeImage {
  readonly state: Uint32Array;
  readonly pieces: readonly { readonly section: TableSection; readonly words: Uint32Array }[];
  readonly digest: string;
}

export class ImageMaking {
  readonly #machine: StateMachine;
  readonly #prng: Prng;
  readonly #parts: ImageParts;
  readonly #copy: ImageCopy;
  readonly #todo: ImagePiece[];
  readonly #copied: { readonly piece: ImagePiece; readonly words: Uint32Array }[] = [];
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

  finish(): MadeImage {
    while (this.#todo.length > 0) this.advance();
    this.#absorb();
    const digest = new StateDigest(new StateReader(this.#parts.state).takeList());
    const pieces = this.#copied.map(({ piece, words }) => {
      this.#copy.restore(piece, words);
      digest.add(piece.section, words);
      return { section: piece.section, words };
    });
    this.#machine.endImage(true);
    const found = digest.finish().join();
    assert(found === this.digest, 'the digest of the image is that of the state when it began');
    return { state: this.#parts.state, pieces, digest: found };
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
