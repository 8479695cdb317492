/**
 * A SQLite file that nobody writes any more, opened so that nothing is written beside it: no lock, no `-shm`, no `-wal`. That is what `immutable=1`
 * says, which better-sqlite3 cannot be told (it is compiled without URIs); Node's own SQLite can. So a directory on a read-only mount can be read,
 * and looking at one changes nothing in it.
 *
 * Gotcha: a `-wal` beside the file is not read. Only for sealed segments, and never for a file that this process has open otherwise.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';

/** What readers of a segment use of a connection; better-sqlite3's is one as well. */
export interface ReadConnection {
  prepare(sql: string): ReadStatement;
  pragma(name: string, options: { readonly simple: boolean }): unknown;
  close(): void;
}

export interface ReadStatement {
  safeIntegers(): ReadStatement;
  pluck(): ReadStatement;
  get(...values: unknown[]): unknown;
  all(...values: unknown[]): unknown;
}

/** Primary result codes of SQLite, as better-sqlite3 names them. */
const CODES: Readonly<Record<number, string>> = {
  1: 'SQLITE_ERROR',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  14: 'SQLITE_CANTOPEN',
  18: 'SQLITE_TOOBIG',
  24: 'SQLITE_FORMAT',
  26: 'SQLITE_NOTADB',
};

export function openImmutable(path: string): ReadConnection {
  const url = pathToFileURL(path);
  url.searchParams.set('immutable', '1');
  return new ImmutableConnection(translated(() => new DatabaseSync(url, { readOnly: true })));
}

class ImmutableConnection implements ReadConnection {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  prepare(sql: string): ReadStatement {
    return new ImmutableStatement(translated(() => this.#database.prepare(sql)));
  }

  pragma(name: string): unknown {
    return this.prepare(`PRAGMA ${name}`).pluck().get();
  }

  close(): void {
    this.#database.close();
  }
}

class ImmutableStatement implements ReadStatement {
  readonly #statement: StatementSync;
  #isPlucked = false;

  constructor(statement: StatementSync) {
    this.#statement = statement;
  }

  safeIntegers(): this {
    this.#statement.setReadBigInts(true);
    return this;
  }

  pluck(): this {
    this.#isPlucked = true;
    return this;
  }

  get(...values: SQLInputValue[]): unknown {
    const row = translated(() => this.#statement.get(...values));
    return this.#isPlucked && row !== undefined ? Object.values(row)[0] : row;
  }

  all(...values: SQLInputValue[]): unknown {
    return translated(() => this.#statement.all(...values));
  }
}

/** What Node says of a whole number that is none of JavaScript's: nothing that is asked for as a number is written so large. */
const TOO_LARGE_CODE = 'ERR_OUT_OF_RANGE';

/** Gives SQLite's errors the codes that the rest of this directory knows. */
function translated<T>(act: () => T): T {
  try {
    return act();
  } catch (error: unknown) {
    const { code: own, errcode } = error as { readonly code?: unknown; readonly errcode?: unknown };
    const code = own === TOO_LARGE_CODE ? CODES[11] : CODES[Number(errcode ?? 0) & 0xff];
    throw code === undefined ? error : Object.assign(error as Error, { code });
  }
}
