/** A data directory with what lies beside it, to be damaged and put right again: copies, single files, and what a start says afterwards. */
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { coldStart, type Verdict } from './cold-start.ts';

/** What says nothing of the ledger: locks, SQLite's scratch file, the ballast. */
const IDLE_NAMES = /^(lock|lock\.pid|ballast)$|-shm$/;

/** Copies a data directory with the witness beside it. A live one is copied as a kill would leave it, if nobody writes meanwhile. */
export function copyDirectory(from: string, to: string): void {
  for (const end of ['', '.head']) {
    rmSync(to + end, { recursive: true, force: true });
    if (existsSync(from + end)) cpSync(from + end, to + end, { recursive: true });
  }
}

/** Paths of all files that matter, relative, with that of the witness beside as `../NAME.head`. */
export function filesOf(directory: string): readonly string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => !IDLE_NAMES.test(name.split('/').at(-1)!))
    .filter((name) => statSync(join(directory, name)).isFile())
    .toSorted();
  return [...names, BESIDE];
}

export const BESIDE = '(beside)';

export function pathOf(directory: string, name: string): string {
  return name === BESIDE ? `${directory}.head` : join(directory, name);
}

/** Of whose journal the file is a part; undefined for what belongs to all. */
function shardOf(name: string): number | undefined {
  const match = /^shard-(\d{3})/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export class Judge {
  readonly #directory: string;
  readonly #whole: Verdict & { readonly type: 'sound' };
  readonly wrong: string[] = [];
  refused = 0;
  harmless = 0;

  constructor(directory: string) {
    this.#directory = directory;
    const whole = coldStart(directory);
    if (whole.type === 'refused') throw new Error(`it is not whole: ${whole.sentence}`);
    this.#whole = whole;
  }

  get outcome(): { readonly wrong: readonly string[]; readonly hasRefused: boolean } {
    return { wrong: this.wrong, hasRefused: this.refused > 0 };
  }

  /** Writes these bytes over a file, or removes it, judges, and puts it right. */
  withFile(name: string, bytes: Uint8Array | null, what: string): Verdict {
    const path = pathOf(this.#directory, name);
    const before = existsSync(path) ? readFileSync(path) : null;
    if (bytes === null) rmSync(path, { force: true });
    else writeFileSync(path, bytes);
    try {
      return this.judge(`${name}: ${what}`, shardOf(name));
    } finally {
      if (before === null) rmSync(path, { force: true });
      else writeFileSync(path, before);
    }
  }

  /** What is there, and when it was written last. */
  #written(): string {
    return filesOf(this.#directory)
      .map((name) => ({
        name,
        stats: statSync(pathOf(this.#directory, name), { throwIfNoEntry: false, bigint: true }),
      }))
      .map(({ name, stats }) => `${name} ${stats?.size} ${stats?.mtimeNs}`)
      .join();
  }

  /** Refused, with a sentence and nothing changed, or the same state: everything else is wrong. */
  judge(what: string, shard?: number): Verdict {
    const before = this.#written();
    const verdict = coldStart(this.#directory, shard);
    if (this.#written() !== before) {
      this.wrong.push(`${what}: the start has changed the directory`);
    }
    if (verdict.type === 'refused') {
      this.refused++;
      if (!/[\w-]+\.(sqlite|json|head)|shard|head/.test(verdict.sentence)) {
        this.wrong.push(`${what}: the refusal names no file: ${verdict.sentence}`);
      }
      return verdict;
    }
    const whole = this.#whole.shards.slice(shard ?? 0, shard === undefined ? undefined : shard + 1);
    if (JSON.stringify(verdict.shards) === JSON.stringify(whole)) this.harmless++;
    else this.wrong.push(`${what}: goes on, as ${JSON.stringify(verdict.shards)}`);
    return verdict;
  }
}
