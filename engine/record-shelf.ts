/**
 * Records of transfers that a group needs and that lie in older frames: the actor finds out which (`want`), reads them from the journal,
 * and hands them in before the group is executed. The engine itself never reads.
 */
import { assert } from './assert.ts';
import { ROW_WORDS } from './batch.ts';
import { KeyTable } from './key-table.ts';

const KEYS_AT_FIRST = 1 << 10;

export class RecordShelf {
  readonly #keys: KeyTable;
  #rows = new Uint32Array(ROW_WORDS * 16);
  readonly sequences: number[] = [];
  readonly rowNumbers: number[] = [];
  /** Records on the shelf: those that are wanted, and those that were kept. */
  #records = 0;

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
    this.sequences.length = 0;
    this.rowNumbers.length = 0;
  }

  /** Notes that the record of this id is needed, and where it lies. */
  want(ids: Uint32Array, at: number, sequence: number, row: number): void {
    if (this.#keys.find(ids, at, 1) !== -1) return;
    const entry = this.#keys.obtain(ids, at, 1);
    this.#keys.words[entry + 5] = this.#records++;
    this.sequences.push(sequence);
    this.rowNumbers.push(row);
  }

  /** Where the actor puts the i-th wanted record. */
  put(i: number, record: Uint32Array): void {
    if ((i + 1) * ROW_WORDS > this.#rows.length) {
      const grown = new Uint32Array(Math.max(this.#rows.length * 2, (i + 1) * ROW_WORDS));
      grown.set(this.#rows);
      this.#rows = grown;
    }
    const to = i * ROW_WORDS;
    for (let w = 0; w < ROW_WORDS; w++) this.#rows[to + w] = record[w]!;
  }

  /** Keeps a record that the group itself has at hand, for events that come later in it. */
  keep(record: Uint32Array): void {
    const entry = this.#keys.obtain(record, 0, 1);
    this.#keys.words[entry + 5] = this.#records;
    this.put(this.#records++, record);
  }

  /** Copies the record of the id into 32 words. It must have been wanted. */
  copy(ids: Uint32Array, at: number, target: Uint32Array): void {
    const entry = this.#keys.find(ids, at, 1);
    assert(entry !== -1, 'the record was handed in with the group');
    const from = this.#keys.words[entry + 5]! * ROW_WORDS;
    for (let w = 0; w < ROW_WORDS; w++) target[w] = this.#rows[from + w]!;
  }
}
