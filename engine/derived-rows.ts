/**
 * The derived rows of a group while it is being executed: see `DerivedHead` in frame.ts. A record that lies in a link message of the group is
 * not written a second time: the row points to it.
 */
import { assert } from './assert.ts';
import { ROW_WORDS } from './batch.ts';
import { DERIVED_HEAD_WORDS, DerivedHead, DerivedKind } from './frame.ts';
import { WordList } from './link-message.ts';
import { readThin } from './thin-rows.ts';

/** In place of the upper bit of a record's offset: it lies in `#records`, and not in the frame yet. No frame has so many words. */
const OWN = 0x80000000;

export class DerivedRows {
  readonly #heads = new WordList();
  readonly #records = new WordList();
  count = 0;

  reset(): void {
    this.count = 0;
    this.#heads.length = 0;
    this.#records.length = 0;
  }

  /** Adds a row with a record of its own: 32 words, its timestamp in place. */
  // Hot path.
  add(source: Uint32Array, at: number, kind: number): number {
    const row = this.addBlank(kind, source[at + 30]!, source[at + 31]!);
    const to = this.recordAt;
    const { words } = this.#records;
    for (let w = 0; w < ROW_WORDS; w++) words[to + w] = source[at + w]!;
    return row;
  }

  /** The same, where the caller writes the record's 32 words into `recordWords`, from `recordAt` on. */
  // Hot path.
  addBlank(kind: number, low: number, high: number): number {
    const to = this.#records.extend(ROW_WORDS);
    return this.#add((to | OWN) >>> 0, kind, low, high);
  }

  /** The words of the records that lie here; others when one more row is added. */
  // Hot path.
  get recordWords(): Uint32Array {
    return this.#records.words;
  }

  /** Where the newest of them lies. */
  // Hot path.
  get recordAt(): number {
    return this.#records.length - ROW_WORDS;
  }

  /** Adds a row whose record lies at a word of the frame, but for its timestamp. */
  // Hot path.
  addReference(record: number, kind: number, low: number, high: number): number {
    assert(record < OWN, 'an offset in a frame');
    return this.#add(record, kind, low, high);
  }

  // Hot path.
  #add(record: number, kind: number, low: number, high: number): number {
    const at = this.#heads.extend(DERIVED_HEAD_WORDS);
    const { words } = this.#heads;
    words[at + DerivedHead.record] = record;
    words[at + DerivedHead.kind] = kind;
    words[at + DerivedHead.timestamp] = low;
    words[at + DerivedHead.timestamp + 1] = high;
    words[at + DerivedHead.effect] = low;
    words[at + DerivedHead.effect + 1] = high;
    words[at + DerivedHead.decided] = low;
    words[at + DerivedHead.decided + 1] = high;
    words[at + DerivedHead.debitPrevious] = 0;
    words[at + DerivedHead.debitPrevious + 1] = 0;
    words[at + DerivedHead.creditPrevious] = 0;
    words[at + DerivedHead.creditPrevious + 1] = 0;
    return this.count++;
  }

  /** Sets two words of a row's head. */
  set(row: number, field: number, low: number, high: number): void {
    assert(row < this.count, 'the row is there');
    const at = row * DERIVED_HEAD_WORDS + field;
    this.#heads.words[at] = low;
    this.#heads.words[at + 1] = high;
  }

  /** Copies the record of a row into 32 words. */
  copyRecord(row: number, frame: Uint32Array, target: Uint32Array): void {
    const head = row * DERIVED_HEAD_WORDS;
    const heads = this.#heads.words;
    const record = heads[head + DerivedHead.record]!;
    const isOwn = record >= OWN;
    const words = isOwn ? this.#records.words : frame;
    const from = isOwn ? record - OWN : record;
    if ((heads[head + DerivedHead.kind]! & DerivedKind.thin) !== 0) {
      readThin(words, from, target, 0, ROW_WORDS);
    } else for (let w = 0; w < 30; w++) target[w] = words[from + w]!;
    target[30] = heads[head + DerivedHead.timestamp]!;
    target[31] = heads[head + DerivedHead.timestamp + 1]!;
  }

  /** Takes back all rows but the first `count`. */
  takeBack(count: number): void {
    for (let row = this.count - 1; row >= count; row--) {
      const record = this.#heads.words[row * DERIVED_HEAD_WORDS + DerivedHead.record]!;
      if (record >= OWN) this.#records.length = record - OWN;
    }
    this.count = count;
    this.#heads.length = count * DERIVED_HEAD_WORDS;
  }

  /** Words of heads and records in a frame. */
  get wordLength(): number {
    return this.#heads.length + this.#records.length;
  }

  /** Writes heads and records into a frame, from a word offset on. */
  write(frame: Uint32Array, at: number): void {
    const records = at + this.#heads.length;
    frame.set(this.#heads.view(), at);
    frame.set(this.#records.view(), records);
    for (let head = at; head < records; head += DERIVED_HEAD_WORDS) {
      const record = frame[head + DerivedHead.record]!;
      if (record >= OWN) frame[head + DerivedHead.record] = record - OWN + records;
    }
  }
}
