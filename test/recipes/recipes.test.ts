/**
 * Every recipe of docs/ledger.md, run as its readers would: the lines at the top of its part, then the recipe, as a program of its own that
 * Node runs in an empty directory. What it prints has to be what stands below it, however many shards there are.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { DataDirectory } from '../../persistence/data-directory.ts';
import { Child, TempDirectory } from '../support/cluster.ts';
import { ROOT, readText } from '../support/source-files.ts';

const DOCUMENT = 'docs/ledger.md';
/** Accounts of a recipe lie on several of them. */
const SHARDS = 3;
/** A recipe that loses its fence would not be missed otherwise. */
const RECIPES_MIN = 7;

interface Recipe {
  readonly heading: string;
  readonly program: string;
  readonly output: string;
}

/** Programs with the output that follows each of them. The first block has no output: all begin with it. */
function recipesOf(document: string): readonly Recipe[] {
  const part = document.slice(document.indexOf('\n## Recipes\n'));
  const [opening, ...blocks] = [
    ...part.matchAll(/^```ts\n(.*?)^```(?:\n+```text\n(.*?)^```)?$/gms),
  ].map((match) => ({ at: match.index, program: match[1]!, output: match[2] }));
  return blocks.map(({ at, program, output }) => {
    const heading = [...part.slice(0, at).matchAll(/^### (.*)$/gm)].at(-1)?.[1] ?? '';
    if (output === undefined) throw new Error(`${heading}: no output stands below the program`);
    return { heading, program: `${opening!.program}\n${program}`, output };
  });
}

/** Its imports are relative to the root of a clone. */
const fromRoot = (program: string): string =>
  program.replaceAll(/ from '(\.\/[^']+)'/g, (_, path: string) => {
    return ` from '${pathToFileURL(join(ROOT, path)).href}'`;
  });

async function printed(program: string): Promise<string> {
  await using temp = new TempDirectory();
  // The number of shards is fixed when the directory is made; the recipe starts them.
  DataDirectory.open({ directory: join(temp.path, 'data'), shards: SHARDS, create: true }).close();
  const file = join(temp.path, 'recipe.mts');
  writeFileSync(file, fromRoot(program));
  await using child = new Child('sh', [
    '-c',
    'cd "$0" && exec "$1" "$2"',
    temp.path,
    process.execPath,
    file,
  ]);
  const { code } = await child.exit;
  expect([code, child.stderr]).toEqual([0, '']);
  return child.stdout;
}

const recipes = recipesOf(readText(DOCUMENT));

test('the recipes are found', () => {
  const headings = new Set(recipes.map(({ heading }) => heading));
  expect([...headings].filter((heading) => heading === '')).toEqual([]);
  expect(headings.size).toBeGreaterThanOrEqual(RECIPES_MIN);
});

test.each(recipes)('$heading prints what the document says', async ({ program, output }) => {
  expect(await printed(program)).toBe(output);
});
