/**
 * Records of transfers that a group needs and that lie in older frames: the actor finds out which (`want`), reads them from the journal,
 * and hands them in before the group is executed. The engine itself never reads.
 */
import { assert } from './assert.ts';
import { ROW_WORDS } from './batch.ts';
import { KeyTable } from './key-table.ts';

const KEYS_AT_FIRST = 1 << 8;

export class RecordShelf {
  readonly #keys: KeyTable;
  #rows = new Uint32Array(ROW_WORDS * 16);
  readonly sequences: number[] = [];
  readonly rowNumbers: number[] = [];
  /** Records on the shelf: those that are wanted, and behind them those that were kept. */
  #records = 0;
  /** So many of them can be found. Nobody asks for most of what is kept, so that is entered when somebody asks for anything. */
  #entered = 0;

  constructor(seed: number) {
    this.#keys = new KeyTable(KEYS_AT_FIRST, seed);
  }

  /** Records that are wanted. */
  get count(): number {
    return this.sequences.length;
  }

  clear(): void {
    if (this.#records === 0) return;
    this.#keys.clear();
    this.#records = 0;
    this.#entered = 0;
    this.sequences.length = 0;
    this.rowNumbers.length = 0;
  }

  /** Notes that the record of this id is needed, and where it lies. */
  want(ids: Uint32Array, at: number, sequence: number, row: number): void {
    if (this.#keys.find(ids, at, 1) !== -1) return;
    assert(this.#entered === this.#records, 'what is wanted is known before anything is kept');
    this.#enter(ids, at, this.#records++);
    this.sequences.push(sequence);
    this.rowNumbers.push(row);
  }

  /** Where the actor puts the i-th wanted record. */
  put(i: number, record: Uint32Array): void {
    this.#reach(i + 1);
    const to = i * ROW_WORDS;
    for (let w = 0; w < ROW_WORDS; w++) this.#rows[to + w] = record[w]!;
  }

  #reach(records: number): void {
    if (records * ROW_WORDS <= this.#rows.length) return;
    const grown = new Uint32Array(Math.max(this.#rows.length * 2, records * ROW_WORDS));
    grown.set(this.#rows);
    this.#rows = grown;
  }

  /** The rank counts records. */
  #enter(ids: Uint32Array, at: number, rank: number): void {
    const entry = this.#keys.obtain(ids, at, 1);
    this.#keys.words[entry + 5] = rank;
    this.#entered = rank + 1;
  }

  /** Keeps a record that the group itself has at hand, for events that come later in it. */
  keep(record: Uint32Array): void {
    this.put(this.#records++, record);
  }

  /** The same, where the caller writes all 32 words of the record into `rows`, from the word on that this gives. */
  // Hot path.
  keepNext(): number {
    const at = this.#records++ * ROW_WORDS;
    this.#reach(this.#records);
    return at;
  }

  /** The words of all records; others when one more is kept. */
  // Hot path.
  get rows(): Uint32Array {
    return this.#rows;
  }

  /** Copies the record of the id into 32 words. It must have been wanted. */
  copy(ids: Uint32Array, at: number, target: Uint32Array): void {
    for (let rank = this.#entered; rank < this.#records; rank++) {
      this.#enter(this.#rows, rank * ROW_WORDS, rank);
    }
    const entry = this.#keys.find(ids, at, 1);
    assert(entry !== -1, 'the record was handed in with the group');
    const from = this.#keys.words[entry + 5]! * ROW_WORDS;
    for (let w = 0; w < ROW_WORDS; w++) target[w] = this.#rows[from + w]!;
  }
}
