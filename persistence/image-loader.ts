/**
 * Fills the tables of a state from its image on a thread of its own: it reads and compares checksums, while the owner makes of each piece what
 * follows from it. The pieces are filled in order; how many are is a word on which the owner waits.
 *
 * Failure policy: the thread only says that it failed, and the owner reads the image once more to have the error thrown where it is wanted. One
 * that has not begun in time is done without. One that dies in the midst leaves its owner waiting without a heartbeat, as an actor that spins.
 */
import { Worker, workerData } from 'node:worker_threads';
import { ImageSection, type TablePiece } from '../engine/image.ts';
import { ImageReader } from './image-file.ts';
import type { SnapshotManifest } from './snapshot-manifest.ts';

/** Words of the shared memory: the state of the thread, the pieces that are filled, and the bytes that were read, in units of 1 KiB. */
const STATE_WORD = 0;
const PIECES_WORD = 1;
const KIB_WORD = 2;
const WORDS = 3;
/** `left`: the owner waits for it no more, and has not let it begin. */
const State = { starting: 0, filling: 1, finished: 2, failed: 3, left: 4 } as const;
/** Within this time a thread begins, or is done without. */
const BEGIN_MS = 2000;

interface LoaderPlace {
  readonly memory: SharedArrayBuffer;
  readonly path: string;
  readonly manifest: SnapshotManifest;
  readonly pieces: readonly TablePiece[];
}

/** Why a thread has not filled the tables: it did not begin, and nothing was changed; or it failed in the midst. */
export class LoaderFailure extends Error {
  override readonly name = 'LoaderFailure';
  readonly hasBegun: boolean;

  constructor(hasBegun: boolean) {
    super(hasBegun ? 'the image could not be read' : 'the thread has not begun');
    this.hasBegun = hasBegun;
  }
}

export interface FillOptions {
  /** Of the image. */
  readonly path: string;
  readonly manifest: SnapshotManifest;
  readonly pieces: readonly TablePiece[];
  readonly onProgress?: ((done: number, of: number) => void) | undefined;
  readonly beginMs?: number;
}

/** Yields each piece when it is filled, and ends when the whole image was compared. Throws LoaderFailure. */
export function* filledBeside(options: FillOptions): Generator<TablePiece, void, undefined> {
  const { path, manifest, pieces, onProgress, beginMs = BEGIN_MS } = options;
  const memory = new SharedArrayBuffer(WORDS * 4);
  const words = new Int32Array(memory);
  const worker = new Worker(new URL('./image-loader-worker.ts', import.meta.url), {
    workerData: { memory, path, manifest, pieces } satisfies LoaderPlace,
    name: 'image-loader',
  });
  // Whatever it is, the words say it.
  worker.on('error', () => undefined);
  worker.unref();
  waitForBegin(words, beginMs);
  for (const [i, piece] of pieces.entries()) {
    waitForPiece(words, i);
    onProgress?.(Atomics.load(words, KIB_WORD) * 1024, manifest.bytes);
    yield piece;
  }
  Atomics.wait(words, STATE_WORD, State.filling);
  if (Atomics.load(words, STATE_WORD) === State.failed) throw new LoaderFailure(true);
}

function waitForBegin(words: Int32Array, beginMs: number): void {
  Atomics.wait(words, STATE_WORD, State.starting, beginMs);
  const state = Atomics.compareExchange(words, STATE_WORD, State.starting, State.left);
  if (state === State.starting) throw new LoaderFailure(false);
}

function waitForPiece(words: Int32Array, piece: number): void {
  for (;;) {
    const filled = Atomics.load(words, PIECES_WORD);
    if (filled > piece) return;
    // Looked at after the count: a thread that fails changes the count behind its state, to wake who waits here.
    if (Atomics.load(words, STATE_WORD) === State.failed) throw new LoaderFailure(true);
    Atomics.wait(words, PIECES_WORD, filled);
  }
}

/** The whole life of the thread. */
export function runImageLoader(): void {
  const { memory, path, manifest, pieces } = workerData as LoaderPlace;
  const words = new Int32Array(memory);
  const { starting, filling } = State;
  if (Atomics.compareExchange(words, STATE_WORD, starting, filling) !== starting) return;
  Atomics.notify(words, STATE_WORD);
  try {
    using reader = ImageReader.open(path, manifest);
    reader.all(ImageSection.state);
    reader.all(ImageSection.links);
    for (const [i, { section, target }] of pieces.entries()) {
      reader.fill(section, target);
      Atomics.store(words, KIB_WORD, reader.offset / 1024);
      Atomics.store(words, PIECES_WORD, i + 1);
      Atomics.notify(words, PIECES_WORD);
    }
    reader.finish(manifest);
    Atomics.store(words, STATE_WORD, State.finished);
  } catch {
    Atomics.store(words, STATE_WORD, State.failed);
    Atomics.store(words, PIECES_WORD, -1);
    Atomics.notify(words, PIECES_WORD);
  }
  Atomics.notify(words, STATE_WORD);
}
