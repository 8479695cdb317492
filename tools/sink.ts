/**
 * Where a tool writes what was asked for: standard output, a device, or a file that appears under its name when it is whole. Lines are put together,
 * since a ledger has millions of them; nothing is kept but the present block.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { unreachable } from '../engine/assert.ts';
import type { SinkTarget } from './sink-target.ts';

/** Where lines go. `out` is for what was asked for, `log` for everything else. */
export interface ToolOutput {
  out(text: string): void;
  log(line: string): void;
}

const BLOCK_CHARACTERS = 64 << 10;
/** How long a pipe that takes nothing more just now, and does not wait by itself, is left alone. */
const FULL_PIPE_MS = 2;

export class Sink implements Disposable {
  readonly #output: ToolOutput;
  readonly #target: SinkTarget;
  #file: number | undefined;
  /** What is not yet whole. */
  #part: string | undefined;
  #text = '';

  constructor(output: ToolOutput, target: SinkTarget = { type: 'stdout' }) {
    this.#output = output;
    this.#target = target;
    this.#open(target);
  }

  #open(target: SinkTarget): void {
    switch (target.type) {
      case 'stdout':
        return;
      case 'descriptor':
        this.#file = target.descriptor;
        return;
      case 'special':
        this.#file = openTarget(target.path, 'a');
        return;
      case 'file': {
        const part = `${target.path}.part`;
        // Left by one that was killed. Written over it could be another name of some other file.
        rmSync(part, { force: true });
        this.#file = openTarget(part, 'wx');
        this.#part = part;
        return;
      }
      default:
        unreachable(target);
    }
  }

  line(text: string): void {
    this.#text += this.#text === '' ? text : `\n${text}`;
    if (this.#text.length >= BLOCK_CHARACTERS) this.#flush();
  }

  #flush(): void {
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    if (this.#file === undefined) this.#output.out(text);
    else this.#write(() => writeAll(this.#file!, `${text}\n`));
  }

  #write(write: () => void): void {
    try {
      write();
    } catch (error: unknown) {
      throw notWritten(pathOf(this.#target), error);
    }
  }

  /** Everything was written. */
  end(): void {
    this.#flush();
    const target = this.#target;
    if (target.type === 'file') this.#write(() => fsyncSync(this.#file!));
    this.#close();
    if (target.type !== 'file') return;
    this.#write(() => renameSync(this.#part!, target.path));
    this.#part = undefined;
  }

  #close(): void {
    if (this.#file !== undefined && this.#target.type !== 'descriptor') closeSync(this.#file);
    this.#file = undefined;
  }

  /** Without `end`, nothing is left of the file. */
  [Symbol.dispose](): void {
    this.#close();
    if (this.#part !== undefined) rmSync(this.#part, { force: true });
    this.#part = undefined;
  }
}

function pathOf(target: SinkTarget): string {
  if (target.type === 'stdout') return 'stdout';
  return target.type === 'descriptor' ? `descriptor ${target.descriptor}` : target.path;
}

/** To it only its owner has a right. */
function openTarget(path: string, mode: 'a' | 'wx'): number {
  try {
    return openSync(path, mode, 0o600);
  } catch (error: unknown) {
    throw notWritten(path, error);
  }
}

function notWritten(path: string, cause: unknown): Error {
  const { code } = cause as NodeJS.ErrnoException;
  const sentence = `Cannot write ${path}: ${code}. Name a file in a directory of this user, on a disk with room.`;
  return new Error(sentence, { cause });
}

function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(file, bytes, done);
    } catch (error: unknown) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_MS);
    }
  }
}
