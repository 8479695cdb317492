/**
 * `npm test`: every check and every test, and one line at the end that counts them. Arguments go to vitest (a file name, `--project unit`).
 *
 * Owns the order (types, lint, and format beside the tests), the search for a nats-server, and the counting; what is checked lies in the
 * configuration of each tool. Nothing stops early: a failed check is counted and the rest still runs.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { findOrInstallNatsServer } from './nats-server-for-tests.ts';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** What this file reads of vitest's JSON report. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

const TSC = 'node_modules/typescript/bin/tsc';
const CHECKS: readonly { readonly name: string; readonly commands: readonly string[][] }[] = [
  // Each checker of several reads again what they share: on two cores one is done sooner, with a quarter less work.
  {
    name: 'typecheck',
    commands: [
      [TSC, '-p', 'engine'],
      [TSC, '--checkers', '1'],
    ],
  },
  { name: 'lint', commands: [['node_modules/oxlint/bin/oxlint', '--type-aware']] },
  { name: 'format', commands: [['node_modules/oxfmt/bin/oxfmt', '--check']] },
];

const running = new Set<ChildProcess>();

async function main(): Promise<void> {
  process.chdir(join(import.meta.dirname, '..'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      for (const child of running) child.kill(signal);
      process.exitCode = 1;
    });
  }
  if (!process.stdout.isTTY && process.env['FORCE_COLOR'] === undefined)
    process.env['NO_COLOR'] = '1';
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  const failures: string[] = [];
  // Tests often wait for a disk or a process, and leave room beside them.
  const checks = startChecks();
  runNatsServerSearch(counts, failures);
  await runTests(counts, failures);
  await reportChecks(checks, counts, failures);

  for (const failure of failures) console.log(`failed: ${failure}`);
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
  if (counts.failed > 0) process.exitCode = 1;
}

/** What a check has said, and how its commands ended. */
interface Checked {
  readonly name: string;
  readonly ends: readonly { readonly code: number; readonly output: string }[];
}

function startChecks(): readonly Promise<Checked>[] {
  const checks = CHECKS.map(async ({ name, commands }) => ({
    name,
    ends: await Promise.all(commands.map(runQuietly)),
  }));
  // One that cannot even be started is told of where it is reported, not in the midst of the tests.
  for (const check of checks) check.catch(() => undefined);
  return checks;
}

/** Behind the tests, so that what they say is not cut in two. */
async function reportChecks(
  checks: readonly Promise<Checked>[],
  counts: Counts,
  failures: string[],
): Promise<void> {
  for (const check of checks) {
    const { name, ends } = await check;
    const failed = ends.some(({ code }) => code !== 0);
    console.log(`\n== ${name}`);
    for (const { output } of ends) process.stdout.write(output);
    console.log(failed ? `${name} failed` : `${name} passed`);
    counts[failed ? 'failed' : 'passed']++;
    if (failed) failures.push(name);
  }
}

/** Without the server its tests skip themselves by name; where CI is set that is a failure, so that it cannot go unseen. */
function runNatsServerSearch(counts: Counts, failures: string[]): void {
  console.log('\n== nats-server');
  const found = findOrInstallNatsServer();
  console.log(found.sentence);
  if (found.path !== undefined) {
    process.env['NATS_SERVER_BIN'] = found.path;
    return;
  }
  delete process.env['NATS_SERVER_BIN'];
  if (process.env['CI'] !== 'true') return;
  counts.failed++;
  failures.push('nats-server (needed where CI=true)');
}

async function runTests(counts: Counts, failures: string[]): Promise<void> {
  console.log('\n== tests');
  const directory = mkdtempSync(join(tmpdir(), 'sycee-test-'));
  const file = join(directory, 'report.json');
  const code = await runNode([
    'node_modules/vitest/vitest.mjs',
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
    ...process.argv.slice(2),
  ]);
  const failedBefore = counts.failed;
  const report = readReport(file);
  rmSync(directory, { recursive: true });
  if (report !== undefined) countReport(report, counts, failures);
  const tests = (report?.numPassedTests ?? 0) + (report?.numFailedTests ?? 0);
  if (counts.failed > failedBefore) return;
  // What is left: no test found, an error outside of any test, a signal.
  if (tests === 0 || code !== 0) {
    counts.failed++;
    failures.push(tests === 0 ? 'no test ran' : `vitest ended with ${code}; see above`);
  }
}

function readReport(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch (error: unknown) {
    console.log(`vitest left no report: ${String(error)}`);
    return undefined;
  }
}

function countReport(report: Report, counts: Counts, failures: string[]): void {
  counts.passed += report.numPassedTests;
  counts.failed += report.numFailedTests;
  counts.skipped += report.numPendingTests + report.numTodoTests;
  for (const file of report.testResults) {
    const path = relative('.', file.name);
    const failed = file.assertionResults.filter((result) => result.status === 'failed');
    for (const result of failed) failures.push(`${path}: ${result.fullName}`);
    if (file.status !== 'failed' || failed.length > 0) continue;
    // A file that does not load, or whose hook fails, has no failed test to count.
    counts.failed++;
    failures.push(path);
  }
}

/** Runs a JavaScript file with this very Node, with the terminal passed on. Resolves with its exit code, 1 when a signal ended it. */
function runNode(command: readonly string[]): Promise<number> {
  return endOf(spawn(process.execPath, [...command], { stdio: 'inherit' }));
}

/** The same, with what it says kept until it has ended. */
async function runQuietly(
  command: readonly string[],
): Promise<{ readonly code: number; readonly output: string }> {
  const child = spawn(process.execPath, [...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const code = await endOf(child);
  return { code, output };
}

function endOf(child: ChildProcess): Promise<number> {
  running.add(child);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    // Not `exit`: some of the output may still be on its way then.
    child.on('close', (code) => {
      running.delete(child);
      resolve(code ?? 1);
    });
  });
}

await main();
