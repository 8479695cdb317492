/**
 * Where a tool writes what was asked for: standard output, or a file that appears under its name when it is whole. Lines are put together, since
 * a ledger has millions of them; nothing is kept but the present block.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { isAbsolute, relative, resolve } from 'node:path';
import { UsageError } from './usage.ts';

/** Where lines go. `out` is for what was asked for, `log` for everything else. */
export interface ToolOutput {
  out(text: string): void;
  log(line: string): void;
}

const BLOCK_CHARACTERS = 64 << 10;

export class Sink implements Disposable {
  readonly #output: ToolOutput;
  readonly #path: string | undefined;
  #file: number | undefined;
  #text = '';

  /** To standard output when there is no path, or when it is `-`. */
  constructor(output: ToolOutput, path?: string) {
    this.#output = output;
    if (path === undefined || path === '-') return;
    this.#path = path;
    this.#file = openSync(`${path}.part`, 'w', 0o600);
  }

  line(text: string): void {
    this.#text += this.#text === '' ? text : `\n${text}`;
    if (this.#text.length >= BLOCK_CHARACTERS) this.#flush();
  }

  #flush(): void {
    if (this.#text === '') return;
    if (this.#file === undefined) this.#output.out(this.#text);
    else writeAll(this.#file, `${this.#text}\n`);
    this.#text = '';
  }

  /** Everything was written. */
  end(): void {
    this.#flush();
    if (this.#file === undefined) return;
    fsyncSync(this.#file);
    closeSync(this.#file);
    this.#file = undefined;
    renameSync(`${this.#path!}.part`, this.#path!);
  }

  /** Without `end`, nothing is left of the file. */
  [Symbol.dispose](): void {
    if (this.#file === undefined) return;
    closeSync(this.#file);
    this.#file = undefined;
    rmSync(`${this.#path!}.part`, { force: true });
  }
}

function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
}

/** Refuses a file that would be written into the directory that is looked at. */
export function checkOutside(path: string | undefined, directory: string, flag: string): void {
  if (path === undefined || path === '-') return;
  const within = relative(resolve(directory), resolve(path));
  if (within.startsWith('..') || isAbsolute(within)) return;
  throw new UsageError(`${flag} ${path} is in the data directory, where nothing is to be written`);
}
