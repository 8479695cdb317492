/**
 * Moves what lies in the WAL of a live segment into its file, part by part, while an actor appends: so sealing it has little left to do. Moved in one
 * go, a hundred MiB would be ahead of the actor's next fsync in the disk's queue, and hold it up for as many milliseconds.
 *
 * The WAL stays as it is, whole, until the segment is sealed: SQLite begins it anew only when all of it was moved and nobody reads from
 * it. So two read-only connections take turns in holding a read mark at what was its end: a checkpoint moves what is before the mark, and as
 * long as a mark is held on the WAL it goes on growing.
 *
 * Owned by the sealer's thread. Durability does not depend on it: what was moved is in the WAL all the same.
 */
import { type Connection, openForReading, openForWriting } from './database.ts';

/** What SQLite says of a checkpoint: frames in the WAL, and how many of them are in the file. */
interface Checkpointed {
  readonly log: number;
  readonly checkpointed: number;
}

export class LiveCheckpoint implements Disposable {
  readonly #connection: Connection;
  #marked: Connection | undefined;
  #spare: Connection;
  readonly #other: Connection;

  constructor(path: string) {
    const opened: Connection[] = [];
    try {
      this.#connection = openForWriting(path);
      opened.push(this.#connection);
      this.#spare = openForReading(path);
      opened.push(this.#spare);
      this.#other = openForReading(path);
    } catch (error: unknown) {
      for (const connection of opened) connection.close();
      throw error;
    }
  }

  /**
   * Moves what the WAL has by now, and says whether there was anything. It is not synced. The new mark is set before the old one is given up, and only where there are frames that were not moved: no
   * other mark is one on the WAL.
   */
  step(): boolean {
    const before = this.#marked;
    const { log, checkpointed } = this.#ask('NOOP');
    if (log <= checkpointed) return false;
    const next = this.#spare;
    next.exec('BEGIN');
    try {
      next.prepare('SELECT count(*) FROM meta').get();
    } catch (error: unknown) {
      next.exec('ROLLBACK');
      throw error;
    }
    this.#marked = next;
    this.#spare = before ?? this.#other;
    before?.exec('COMMIT');
    this.#ask('PASSIVE');
    return true;
  }

  #ask(mode: 'NOOP' | 'PASSIVE'): Checkpointed {
    const [result] = this.#connection.pragma(`wal_checkpoint(${mode})`) as [Checkpointed];
    return result;
  }

  close(): void {
    this.#spare.close();
    this.#other.close();
    this.#marked?.close();
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
