/**
 * Checkouts of commits beside this one, for as long as they are compared: git worktrees in a temporary directory, with the packages of their
 * own lock file. Where that is this checkout's lock file, its packages are linked and not copied; nothing in them is ever written.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { copyFile, link, mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { readlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const OWN_DIRECTORY = fileURLToPath(new URL('..', import.meta.url));

/** The hash of a commit, by whatever name git knows it; undefined when there is none. */
export function commitNamed(name: string): string | undefined {
  try {
    return git(['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`]);
  } catch {
    return undefined;
  }
}

/** Whether what is here differs from the commit that it was checked out from. */
export function isChanged(): boolean {
  return git(['status', '--porcelain', '--untracked-files=no']) !== '';
}

export class Checkouts {
  readonly #root: string;
  readonly #made: string[] = [];

  private constructor(root: string) {
    this.#root = root;
  }

  static make(): Checkouts {
    return new Checkouts(mkdtempSync(path.join(tmpdir(), 'sycee-compare-')));
  }

  /** The directory of a commit, with its packages. */
  async add(name: string, commit: string): Promise<string> {
    const directory = path.join(this.#root, name);
    git(['worktree', 'add', '--quiet', '--detach', directory, commit]);
    this.#made.push(directory);
    const [own, its] = await Promise.all([OWN_DIRECTORY, directory].map(lockOf));
    if (own === its) {
      await linkTree(
        path.join(OWN_DIRECTORY, 'node_modules'),
        path.join(directory, 'node_modules'),
      );
    } else {
      await install(directory);
    }
    return directory;
  }

  /** Without a promise, for whoever is interrupted twice. */
  [Symbol.dispose](): void {
    for (const directory of this.#made) git(['worktree', 'remove', '--force', directory]);
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 5 });
  }
}

const lockOf = (directory: string): Promise<string> =>
  readFile(path.join(directory, 'package-lock.json'), 'utf8');

/** Hard links; copies where the temporary directory is on another file system. */
export async function linkTree(from: string, to: string): Promise<void> {
  const waiting: (readonly [string, string])[] = [[from, to]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [source, target] = next;
    await mkdir(target, { recursive: true });
    for (const entry of await readdir(source, { withFileTypes: true })) {
      // What tools keep for themselves.
      if (entry.name === '.cache') continue;
      const [one, other] = [path.join(source, entry.name), path.join(target, entry.name)];
      if (entry.isDirectory()) waiting.push([one, other]);
      else if (entry.isSymbolicLink()) await symlink(await readlink(one), other);
      else await linkFile(one, other);
    }
  }
}

async function linkFile(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error: unknown) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'EXDEV' && code !== 'EMLINK' && code !== 'EPERM') throw error;
    await copyFile(from, to);
  }
}

async function install(directory: string): Promise<void> {
  console.error('installing the packages of its own lock file (npm ci)');
  const child = spawn('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`npm ci in ${directory} ended with ${code ?? 'a signal'}`);
}

function git(args: readonly string[]): string {
  return execFileSync('git', args, {
    cwd: OWN_DIRECTORY,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  }).trim();
}
