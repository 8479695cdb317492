/** The repository as text, for test/tidy.test.ts: which files there are, what they import and declare, and how long they are. */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

/** What git ignores, and git itself. The tree is walked rather than asked of git, so that an unpacked archive can be tested too. */
const SKIPPED = new Set([
  '.git',
  'node_modules',
  'data',
  'coverage',
  '.setup-lock',
  'bench/results/local',
]);

/** Paths from the root, sorted. */
export function listFiles(directory = ''): readonly string[] {
  const files: string[] = [];
  for (const entry of readdirSync(join(ROOT, directory), { withFileTypes: true })) {
    const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
    if (SKIPPED.has(path)) continue;
    if (entry.isDirectory()) files.push(...listFiles(path));
    else if (entry.isFile()) files.push(path);
  }
  return files.toSorted();
}

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

export interface Import {
  /** A path from the root for a file of the project, else the module as written. */
  readonly target: string;
  readonly isProject: boolean;
}

/** Static and dynamic imports, re-exports, and files opened as workers. Relies on the formatter's layout. */
export function importsOf(path: string): readonly Import[] {
  const text = readText(path);
  const patterns = [
    /^(?:import|export)\b[^'"`;]*?\bfrom '([^']+)'/gm,
    /^import '([^']+)'/gm,
    /\bimport\(\s*'([^']+)'/g,
    /\bnew URL\('(\.[^']*\.ts)', import\.meta\.url\)/g,
  ];
  const modules = patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((m) => m[1]!));
  return modules.map((module) =>
    module.startsWith('.')
      ? { target: normalize(join(dirname(path), module)), isProject: true }
      : { target: module, isProject: false },
  );
}

/** Names that a file declares: functions, classes, types, variables, fields, and methods. Foreign names that it only uses are left out. */
export function declaredNames(path: string): readonly string[] {
  const text = readText(path);
  const patterns = [
    /\b(?:function\*?|class|interface|const|let|var) ([A-Za-z_$][\w$]*)/g,
    /\btype ([A-Za-z_$][\w$]*)(?:<[^=]*>)? =/g,
    /^ +(?:static |readonly |override )*#([A-Za-z_]\w*)/gm,
    /^ +(?:static )?readonly ([A-Za-z_]\w*)/gm,
    /^ {2}(?:static |async |override |get |set |\*)*([A-Za-z_]\w*)(?:<[^(]*>)?\([^()]*\)[^;=]*\{$/gm,
  ];
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((m) => m[1]!));
}

/** Lines that hold neither only a comment nor nothing. */
export function codeLines(path: string): number {
  let lines = 0;
  let inComment = false;
  for (const line of readText(path).split('\n')) {
    const text = line.trim();
    if (inComment || text.startsWith('/*')) inComment = !text.includes('*/');
    else if (text !== '' && !text.startsWith('//')) lines++;
  }
  return lines;
}

/** `creditsPosted` is credits, posted; `parse-command` is parse, command. Lower case. */
export function wordsOf(name: string): readonly string[] {
  const parts = name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g) ?? [];
  return parts.map((part) => part.toLowerCase());
}

export interface Link {
  readonly line: number;
  /** As written: a path from the document's directory, with or without #anchor. */
  readonly target: string;
}

/** Links of a Markdown document that stay within the repository. */
export function linksOf(path: string): readonly Link[] {
  const links: Link[] = [];
  for (const [index, line] of proseLines(path).entries()) {
    for (const match of line.replaceAll(/`[^`]*`/g, '``').matchAll(/\]\(([^)\s]+)[^)]*\)/g)) {
      if (!/^[a-z]+:/.test(match[1]!)) links.push({ line: index + 1, target: match[1]! });
    }
  }
  return links;
}

/** Anchors that a Markdown document offers, as the code hosts make them from headings. */
export function anchorsOf(path: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const line of proseLines(path)) {
    const heading = /^#{1,6} (.*)$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = plain
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    anchors.add(times === 0 ? slug : `${slug}-${times}`);
  }
  return anchors;
}

/** Lines of a document with those of code blocks blanked, so that line numbers stay. */
function proseLines(path: string): readonly string[] {
  let inCode = false;
  return readText(path)
    .split('\n')
    .map((line) => {
      const isFence = /^\s*```/.test(line);
      if (isFence) inCode = !inCode;
      return inCode || isFence ? '' : line;
    });
}

/** Cells of the table rows below a heading, up to the next heading. */
export function tableBelow(path: string, heading: string): readonly (readonly string[])[] {
  const lines = readText(path).split('\n');
  const start = lines.indexOf(heading);
  if (start < 0) return [];
  const rows: string[][] = [];
  for (const line of lines.slice(start + 1)) {
    if (line.startsWith('#')) break;
    if (line.startsWith('| '))
      rows.push(
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
  }
  return rows.slice(1).filter((cells) => !cells[0]!.startsWith('---'));
}
