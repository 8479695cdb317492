/**
 * The part of a state image that is no table: words, written in an order that only those who write and read them know. What is bounded by
 * what is in flight goes this way, and what tells how to read the tables.
 */
import { assert } from './assert.ts';
import { WordList } from './link-message.ts';

const WORD = 4294967296;

export class StateWriter {
  readonly #list = new WordList();
  readonly #room: Uint32Array | undefined;

  /** `room`: where the words are put as long as they fit. */
  constructor(room?: Uint32Array) {
    this.#room = room;
    if (room !== undefined) this.#list.words = room;
  }

  put(word: number): void {
    const at = this.#list.extend(1);
    this.#list.words[at] = word;
  }

  /** A whole number of up to 53 bits. */
  putNumber(value: number): void {
    this.put(value >>> 0);
    this.put(Math.floor(value / WORD));
  }

  putList(words: Uint32Array): void {
    this.put(words.length);
    const at = this.#list.extend(words.length);
    this.#list.words.set(words, at);
  }

  putBytes(bytes: Uint8Array): void {
    const count = (bytes.length + 3) >> 2;
    this.put(bytes.length);
    this.put(count);
    const at = this.#list.extend(count);
    const { words } = this.#list;
    words.fill(0, at, at + count);
    new Uint8Array(words.buffer, words.byteOffset + at * 4, bytes.length).set(bytes);
  }

  /** A copy, or a view of the room. */
  words(): Uint32Array {
    return this.#list.words === this.#room ? this.#list.view() : this.#list.copy();
  }
}

export class StateReader {
  readonly #words: Uint32Array;
  #at = 0;

  constructor(words: Uint32Array) {
    this.#words = words;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#words.length;
  }

  take(): number {
    assert(this.#at < this.#words.length, 'the state has what is asked of it');
    return this.#words[this.#at++]!;
  }

  takeNumber(): number {
    const low = this.take();
    return low + this.take() * WORD;
  }

  /** A view, valid as long as the words are. */
  takeList(): Uint32Array {
    const length = this.take();
    assert(this.#at + length <= this.#words.length, 'the state has what is asked of it');
    this.#at += length;
    return this.#words.subarray(this.#at - length, this.#at);
  }

  /** A copy that begins its buffer. */
  takeBytes(): Uint8Array<ArrayBuffer> {
    const length = this.take();
    const words = this.takeList();
    return new Uint8Array(Uint32Array.from(words).buffer, 0, length);
  }
}
