#!/usr/bin/env node
/** The command line: picks a verb and hands over. Verbs do their work in serve.ts and bench/run.ts; settings are read in config.ts. */
import { ConfigError, dataDirectory, environmentName, loadConfig, OPTION_LINES } from './config.ts';
import { mindLostOutput } from './lib/lost-output.ts';
import { shortenNearImports } from './lib/near-imports.ts';
import { nearest } from './lib/nearest.ts';
import { applyV8Settings } from './lib/v8-settings.ts';
import manifest from './package.json' with { type: 'json' };
import type { Output } from './serve.ts';

interface Verb {
  readonly line: string;
  /** Behind what it needs: who serves does not load what the other verbs can be asked. */
  readonly usage: () => string | Promise<string>;
  readonly run: (args: readonly string[], output: Output) => Promise<number>;
}

/** Runs one command and gives its exit code: 0 done, 1 failed, 2 wrong usage, 3 damaged data, 4 in use. */
export async function main(args: readonly string[], output: Output): Promise<number> {
  const [name = 'help', ...rest] = args;
  if (name === '--help' || name === '-h') return VERBS.help.run(rest, output);
  if (name === '--version' || name === '-v') return VERBS.version.run(rest, output);
  if (LATER_VERBS.includes(name)) {
    return refuse(
      output,
      `this version does not have "${name}" yet; see "sycee help" for what it has`,
    );
  }
  if (!isVerb(name)) {
    return refuse(
      output,
      `unknown verb "${name}"${nearest(name, Object.keys(VERBS), '')}; try "sycee help"`,
    );
  }
  const verb = VERBS[name];
  if (rest.includes('--help') || rest.includes('-h')) {
    output.out(await verb.usage());
    return 0;
  }
  try {
    return await verb.run(READERS.has(name) ? withNamedDirectory(rest) : rest, output);
  } catch (error: unknown) {
    if (error instanceof ConfigError)
      return refuse(output, `${error.message}; try "sycee ${name} --help"`);
    output.log(`sycee: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}

/** Verbs for one data directory, which is an argument, or else the one that `serve` would take. */
const READERS: ReadonlySet<string> = new Set(['snapshot', 'replay', 'verify', 'inspect']);

/** The directory may be named as `serve` has it. */
function withNamedDirectory(args: readonly string[]): readonly string[] {
  const at = args.findIndex((arg) => arg === '--data' || arg.startsWith('--data='));
  if (at === -1) return args;
  const isInline = args[at] !== '--data';
  const named = isInline ? args[at]!.slice('--data='.length) : args[at + 1];
  if (named === undefined || named === '') throw new ConfigError('option --data needs a value');
  return [named, ...args.slice(0, at), ...args.slice(at + (isInline ? 1 : 2))];
}

/** For a process that has one such verb to do: what the environment says of the data, or else the configuration file. */
function settleDirectory(verb: string | undefined): void {
  if (!READERS.has(verb ?? '')) return;
  process.env['SYCEE_DATA'] = dataDirectory({ environment: process.env, directory: process.cwd() });
}

const LATER_VERBS: readonly string[] = ['top', 'repl', 'completion'];

const VERBS = {
  serve: { line: 'run the ledger and its edges', usage: serveUsage, run: runServe },
  init: { line: 'make a data directory', usage: initUsage, run: runInit },
  snapshot: {
    line: 'write every shard down, so that the next start is short',
    usage: async () => (await import('./control/snapshot-help.ts')).SNAPSHOT_HELP,
    run: runSnapshotVerb,
  },
  backup: {
    line: 'copy a data directory, live or stopped',
    usage: async () => (await import('./backup/options.ts')).BACKUP_HELP,
    run: runBackupVerb,
  },
  restore: {
    line: 'bring a backup back, to a moment if asked',
    usage: async () => (await import('./backup/options.ts')).RESTORE_HELP,
    run: runRestoreVerb,
  },
  bench: {
    line: 'measure, and verify what was measured',
    usage: async () => (await import('./bench/options.ts')).HELP,
    run: runBenchVerb,
  },
  replay: {
    line: 'rebuild the state of any moment: balances, differences, statements',
    usage: async () => (await import('./tools/replay-options.ts')).REPLAY_HELP,
    run: runReplayVerb,
  },
  verify: {
    line: 'prove that a ledger is sound',
    usage: async () => (await import('./tools/verify-options.ts')).VERIFY_HELP,
    run: runVerifyVerb,
  },
  inspect: {
    line: 'show what is in a data directory',
    usage: async () => (await import('./tools/inspect-options.ts')).INSPECT_HELP,
    run: runInspectVerb,
  },
  version: { line: 'print the version', usage: versionUsage, run: runVersion },
  help: { line: 'print this', usage: helpText, run: runHelp },
} as const satisfies Record<string, Verb>;

const isVerb = (name: string): name is keyof typeof VERBS => Object.hasOwn(VERBS, name);

function refuse(output: Output, sentence: string): number {
  output.log(`sycee: ${sentence}`);
  return 2;
}

const sourcesOf = (
  args: readonly string[],
): {
  readonly arguments: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly directory: string;
} => ({ arguments: args, environment: process.env, directory: process.cwd() });

async function runServe(args: readonly string[], output: Output): Promise<number> {
  const loaded = loadConfig(sourcesOf(args));
  const { json, printConfig } = loaded.flags;
  if (printConfig) {
    printSettings(loaded.settings, json, output);
    return 0;
  }
  const { serve } = await import('./serve.ts');
  return serve(loaded, output, { json, version: manifest.version });
}

function printSettings(
  settings: ReturnType<typeof loadConfig>['settings'],
  json: boolean,
  output: Output,
): void {
  if (json) {
    output.out(JSON.stringify({ type: 'config', settings }));
    return;
  }
  const widthOf = (pick: (one: (typeof settings)[number]) => string): number =>
    Math.max(...settings.map((one) => pick(one).length));
  const names = widthOf((one) => one.option);
  const values = widthOf((one) => one.value);
  for (const { option, value, source } of settings) {
    output.out(`${option.padEnd(names)}  ${value.padEnd(values)}  ${source}`);
  }
}

async function runInit(args: readonly string[], output: Output): Promise<number> {
  const loaded = loadConfig(sourcesOf(args));
  const { json, printConfig } = loaded.flags;
  if (printConfig) {
    printSettings(loaded.settings, json, output);
    return 0;
  }
  const { init } = await import('./serve.ts');
  return init(loaded, output, { json });
}

async function runSnapshotVerb(args: readonly string[], output: Output): Promise<number> {
  const { runSnapshot } = await import('./control/snapshot-verb.ts');
  return runSnapshot(args, output, async (directory) => {
    const { snapshotStopped } = await import('./serve.ts');
    return snapshotStopped(directory);
  });
}

async function runBackupVerb(args: readonly string[], output: Output): Promise<number> {
  const { runBackup } = await import('./backup/run.ts');
  const { snapshotLive } = await import('./control/snapshot-verb.ts');
  return runBackup(args, output, (directory) => snapshotLive(directory));
}

async function runRestoreVerb(args: readonly string[], output: Output): Promise<number> {
  const { runRestore } = await import('./backup/run.ts');
  return runRestore(args, output);
}

async function runBenchVerb(args: readonly string[]): Promise<number> {
  const { runBench } = await import('./bench/run.ts');
  // Loads, and ledgers in process.
  applyV8Settings();
  return runBench([...args]);
}

async function runReplayVerb(args: readonly string[], output: Output): Promise<number> {
  const { runReplay } = await import('./tools/replay.ts');
  return runReplay(args, output);
}

async function runVerifyVerb(args: readonly string[], output: Output): Promise<number> {
  const { runVerify } = await import('./tools/verify.ts');
  return runVerify(args, output);
}

async function runInspectVerb(args: readonly string[], output: Output): Promise<number> {
  const { runInspect } = await import('./tools/inspect.ts');
  return runInspect(args, output);
}

function runVersion(args: readonly string[], output: Output): Promise<number> {
  const { flags } = loadConfig({ ...sourcesOf(args), environment: {}, directory: '/' });
  const { version } = manifest;
  output.out(
    flags.json
      ? JSON.stringify({ type: 'version', version, node: process.version })
      : `sycee ${version} (Node ${process.versions.node})`,
  );
  return Promise.resolve(0);
}

async function runHelp(args: readonly string[], output: Output): Promise<number> {
  const [name = 'help'] = args.filter((one) => !one.startsWith('-'));
  if (!isVerb(name)) {
    const why = `unknown verb "${name}"${nearest(name, Object.keys(VERBS), '')}`;
    return refuse(output, why);
  }
  if (args.includes('--json')) {
    const verbs = Object.entries(VERBS).map(([verb, { line }]) => ({ verb, line }));
    output.out(JSON.stringify({ type: 'help', verbs }));
  } else {
    output.out(await VERBS[name].usage());
  }
  return 0;
}

function helpText(): string {
  return [
    'sycee: a durable double-entry ledger on sharded actors',
    '',
    'usage: sycee VERB [options]',
    '',
    ...Object.entries(VERBS).map(([name, { line }]) => `  ${name.padEnd(9)} ${line}`),
    '',
    '"sycee VERB --help" shows the options of a verb, with examples; --json makes output for programs.',
    'Exit codes: 0 done, 1 failed, 2 wrong usage, 3 damaged data, 4 in use.',
  ].join('\n');
}

function optionLines(names?: readonly string[]): readonly string[] {
  return OPTION_LINES.filter(({ name }) => names === undefined || names.includes(name)).map(
    ({ name, hint, preset }) =>
      `  --${name.padEnd(21)} ${hint} [${preset ?? 'none'}] (${environmentName(name)})`,
  );
}

function serveUsage(): string {
  return [
    'usage: sycee serve [options]',
    '',
    ...optionLines(),
    '  --config FILE           read this instead of ./sycee.config.json (SYCEE_CONFIG)',
    '  --print-config          show every value and where it comes from, and stop',
    '  --json                  JSON lines on stdout',
    '',
    'A flag wins over the environment, the environment over the file, the file over the default in [].',
    '',
    'examples:',
    '  sycee serve',
    '  sycee serve --data /var/lib/sycee --shards 3 --nats nats://127.0.0.1:4222',
    '  SYCEE_TOKEN=$(openssl rand -hex 24) sycee serve --http 0.0.0.0:7411',
  ].join('\n');
}

function initUsage(): string {
  return [
    'usage: sycee init [options]',
    '',
    ...optionLines(['data', 'shards']),
    '  --json                  one JSON document on stdout',
    '',
    'examples:',
    '  sycee init --data ./data --shards 2',
  ].join('\n');
}

function versionUsage(): string {
  return ['usage: sycee version [--json]', '', 'examples:', '  sycee version'].join('\n');
}

if (import.meta.main) {
  // What a verb does is loaded behind it.
  shortenNearImports();
  mindLostOutput(process.argv[2] === 'serve');
  const output = {
    out: (line: string) => process.stdout.write(`${line}\n`),
    log: (line: string) => process.stderr.write(`${line}\n`),
  };
  try {
    settleDirectory(process.argv[2]);
    process.exitCode = await main(process.argv.slice(2), output);
  } catch (error: unknown) {
    if (!(error instanceof ConfigError)) throw error;
    process.exitCode = refuse(output, error.message);
  }
}
