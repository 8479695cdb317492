/**
 * Where the previous transfers lie (sequences, rows, and sides, 13 bytes a transfer), kept in memory for the newest frames: every step along a
 * chain needs them, and then reads nothing else. They are the newest because most pages begin at the newest transfers, and because a frame that is older
 * than all that is kept is simply not kept: nothing is read over and over to be dropped again, however long the journal is.
 *
 * To read a section takes about as long as eight steps save. So only one in KEEP_EVERY that are asked for is read, and no page pays for all of its
 * frames.
 */
import { assert } from '../engine/assert.ts';

const KEEP_EVERY = 8;
/** Smaller ones cost more than their bytes. */
const SECTION_BYTES_MIN = 512;

export class KeptSections {
  readonly #bytesMax: number;
  readonly #sectionBytesMin: number;
  readonly #sections = new Map<number, Uint8Array>();
  #bytes = 0;
  #missed = 0;
  /** The eldest frame of which there is a section, or Infinity. */
  #eldest = Infinity;
  /** Those of older frames were dropped: room that this has made is for newer ones. */
  #wantedFrom = 0;

  constructor(bytesMax: number, sectionBytesMin = SECTION_BYTES_MIN) {
    this.#bytesMax = bytesMax;
    this.#sectionBytesMin = sectionBytesMin;
  }

  get byteLength(): number {
    return this.#bytes;
  }

  // Hot path.
  get(sequence: number): Uint8Array | undefined {
    return this.#sections.get(sequence);
  }

  /** Whether a section that is not kept is to be read now. */
  // Hot path.
  wants(sequence: number, bytes: number): boolean {
    if (bytes < this.#sectionBytesMin || bytes > this.#bytesMax) return false;
    if (sequence < this.#wantedFrom) return false;
    if (this.#bytes + bytes > this.#bytesMax && sequence < this.#eldest) return false;
    return ++this.#missed % KEEP_EVERY === 0;
  }

  keep(sequence: number, section: Uint8Array): void {
    assert(!this.#sections.has(sequence), 'a section is kept once');
    this.#sections.set(sequence, section);
    this.#bytes += section.byteLength;
    this.#eldest = Math.min(this.#eldest, sequence);
    if (this.#bytes > this.#bytesMax) this.#dropEldest();
  }

  clear(): void {
    this.#sections.clear();
    this.#bytes = 0;
    this.#eldest = Infinity;
    this.#wantedFrom = 0;
  }

  /** An eighth at once, so that they need not be put in order each time. */
  #dropEldest(): void {
    const ascending = [...this.#sections.keys()].toSorted((one, two) => one - two);
    let dropped = 0;
    while (this.#bytes > this.#bytesMax * (7 / 8)) {
      const eldest = ascending[dropped++]!;
      this.#bytes -= this.#sections.get(eldest)!.byteLength;
      this.#sections.delete(eldest);
    }
    this.#eldest = ascending[dropped] ?? Infinity;
    this.#wantedFrom = ascending[dropped - 1]! + 1;
  }
}
