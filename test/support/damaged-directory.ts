/** A data directory with what lies beside it, to be damaged and put right again: copies, single files, and what a start says afterwards. */
import {
  closeSync,
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
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
  return [...namesIn(directory, '').toSorted(), BESIDE];
}

/** Asked thousands of times: what a directory says of its entries is enough. */
function namesIn(root: string, under: string): readonly string[] {
  return readdirSync(join(root, under), { withFileTypes: true }).flatMap((entry) => {
    const name = join(under, entry.name);
    if (entry.isDirectory()) return namesIn(root, name);
    return IDLE_NAMES.test(entry.name) ? [] : [name];
  });
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

const JOURNAL_SENTENCE =
  /^The journal is damaged: (shard-\d{3}\/segment-\d{12}\.sqlite)(?:-wal)?, sequence \d+: .+\. Nothing was changed\. Keep a copy .+, and put .*back/;
const FILE_NAME = /\/(sycee\.json|head|[^/]+\.head|snapshot-\d{12}\.(json|image))\b/;
const REMEDY = /\. (Put .*back|Use the version that wrote it|Run \.\/sycee restore)/;

/** What is missing in a refusal: the file and the sequence where there is one, that nothing was changed, and what can be done. */
function complaintOf(
  { code, sentence }: Verdict & { readonly type: 'refused' },
  name: string,
): string | undefined {
  const shard = shardOf(name);
  if (code === 'JOURNAL_CORRUPT') {
    const [, file] = JOURNAL_SENTENCE.exec(sentence) ?? [];
    if (file === undefined) return 'does not say file, sequence, and remedy';
    return shard === undefined || shardOf(file) === shard ? undefined : 'names another shard';
  }
  if (!FILE_NAME.test(sentence)) return 'names no file';
  if (!REMEDY.test(sentence)) return 'does not say what can be done';
  const isNamed = shard === undefined || new RegExp(`shard[ -]0*${shard}\\b`).test(sentence);
  return isNamed ? undefined : 'does not name the shard';
}

export class Judge {
  readonly #directory: string;
  readonly #whole: Verdict & { readonly type: 'sound' };
  /** Files as they are now, by their names: size, and when they were written last. */
  #stats: Map<string, string>;
  readonly wrong: string[] = [];
  refused = 0;
  harmless = 0;

  constructor(directory: string) {
    this.#directory = directory;
    const whole = coldStart(directory);
    if (whole.type === 'refused') throw new Error(`it is not whole: ${whole.sentence}`);
    this.#whole = whole;
    this.#stats = this.#look();
  }

  get outcome(): { readonly wrong: readonly string[]; readonly hasRefused: boolean } {
    return { wrong: this.wrong, hasRefused: this.refused > 0 };
  }

  /** Writes these bytes over a file, or removes it, judges, and puts it right. */
  withFile(name: string, bytes: Uint8Array | null, what: string): Verdict {
    const path = pathOf(this.#directory, name);
    const before = existsSync(path) ? readFileSync(path) : null;
    this.#put(name, bytes);
    try {
      return this.judge(name, what);
    } finally {
      this.#put(name, before);
    }
  }

  /** Turns one bit round, judges, and turns it back. A refusal that names a segment has to name this one, or that of this WAL. */
  withFlip(name: string, at: number, bit: number): Verdict {
    const what = `bit ${bit} of byte ${at} flipped`;
    this.#flip(name, at, bit);
    try {
      const verdict = this.judge(name, what);
      const segment = name.replace(/-wal$/, '');
      const isOther = verdict.type === 'refused' && !verdict.sentence.includes(segment);
      if (isOther && verdict.code === 'JOURNAL_CORRUPT') {
        this.wrong.push(`${name}: ${what}: another file is named: ${verdict.sentence}`);
      }
      return verdict;
    } finally {
      this.#flip(name, at, bit);
    }
  }

  #put(name: string, bytes: Uint8Array | null): void {
    const path = pathOf(this.#directory, name);
    if (bytes === null) rmSync(path, { force: true });
    else writeFileSync(path, bytes);
    this.#stats = this.#look();
  }

  #flip(name: string, at: number, bit: number): void {
    const path = pathOf(this.#directory, name);
    const file = openSync(path, 'r+');
    try {
      const byte = Buffer.alloc(1);
      if (readSync(file, byte, 0, 1, at) !== 1) throw new Error(`${path} has no byte ${at}`);
      byte[0]! ^= 1 << bit;
      writeSync(file, byte, 0, 1, at);
    } finally {
      closeSync(file);
    }
    this.#stats.set(name, statsOf(path));
  }

  #look(): Map<string, string> {
    const names = filesOf(this.#directory);
    return new Map(names.map((name) => [name, statsOf(pathOf(this.#directory, name))]));
  }

  /** Refused, with a sentence and nothing changed, or the same state: everything else is wrong. */
  judge(name: string, what: string): Verdict {
    const shard = shardOf(name);
    const verdict = coldStart(this.#directory, shard);
    const stats = this.#look();
    if (!isDeepStrictEqual(stats, this.#stats)) {
      this.wrong.push(`${name}: ${what}: the start has changed the directory`);
      this.#stats = stats;
    }
    if (verdict.type === 'refused') {
      this.refused++;
      const complaint = complaintOf(verdict, name);
      if (complaint !== undefined) {
        this.wrong.push(`${name}: ${what}: the refusal ${complaint}: ${verdict.sentence}`);
      }
      return verdict;
    }
    const whole = this.#whole.shards.slice(shard ?? 0, shard === undefined ? undefined : shard + 1);
    if (isDeepStrictEqual(verdict.shards, whole)) this.harmless++;
    else this.wrong.push(`${name}: ${what}: goes on, as ${JSON.stringify(verdict.shards)}`);
    return verdict;
  }
}

function statsOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false, bigint: true });
  return `${stats?.size} ${stats?.mtimeNs}`;
}
