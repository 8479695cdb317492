/**
 * Wires the parts together: supervisor, then the edges, then signals.
 *
 * Ordering. The edges open when every shard has recovered; until then the HTTP address tells how far that is. On SIGTERM or SIGINT: the edges stop taking and answer what they took, the
 * supervisor closes the journals, the exit code is 0; a second one later ends the process at once with 1. What fails at the start is said in
 * one sentence, with the exit code of the error: 3 damaged data, 4 in use, else 1.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Config, isLoopback, type LoadedConfig } from './config.ts';
import { ControlServer } from './control/control-server.ts';
import type { SnapshotTaken } from './control/snapshot-verb.ts';
import { type Gateway, startGateway } from './gateway/gateway.ts';
import type { RouterStatus } from './gateway/request-router.ts';
import { openWaitingRoom } from './gateway/waiting-room.ts';
import { applyV8Settings } from './lib/v8-settings.ts';
import { Supervisor } from './sharding/supervisor.ts';

const SIGNAL_ECHO_MS = 500;

/** Where lines go. `out` is for what was asked for, `log` for everything else. */
export interface Output {
  out(line: string): void;
  log(line: string): void;
}

/** `sycee serve`: runs until a signal comes; gives the exit code. */
export async function serve(
  { config }: LoadedConfig,
  output: Output,
  options: { readonly json: boolean; readonly version: string },
): Promise<number> {
  const signal = nextSignal(output);
  let supervisor: Supervisor | undefined;
  let control: ControlServer | undefined;
  try {
    supervisor = Supervisor.open({
      directory: config.data,
      shards: config.shards,
      reserveBytes: config.reserveMib * 2 ** 20,
      log: (line: string) => output.log(line),
      snapshots: { minutes: config.snapshotMinutes, mib: config.snapshotMib },
      archive: config.archive,
    });
    await recover(supervisor, config, options.version);
    // Not before: nobody waits for a request then, and a recovery on all cores has V8's pool compile for it.
    applyV8Settings();
    control = await startControl(supervisor, config, output);
    const edges = await startGateway(config, supervisor, {
      version: options.version,
      log: (line) => output.log(line),
    });
    announce(config, edges, supervisor.shards, { ...options, output });
    output.log(`${await signal}: answering what was taken, then closing`);
    await edges.close();
    await control?.stop();
    await supervisor.stop();
    if (options.json) output.out(JSON.stringify({ type: 'stopped' }));
    else output.log('closed');
    return 0;
  } catch (error: unknown) {
    output.log(`sycee: ${startSentence(error, config)}`);
    // Its socket would keep the process from ending.
    await control?.stop();
    await supervisor?.stop();
    return exitCodeOf(error);
  }
}

/**
 * What `sycee snapshot` and `sycee backup` ask on this machine. Snapshots are what the archive waits for. A place where no socket can be is no
 * reason not to serve.
 */
async function startControl(
  supervisor: Supervisor,
  { archive }: Config,
  output: Output,
): Promise<ControlServer | undefined> {
  const snapshot = async (progress: (line: string) => void): Promise<unknown> => {
    const taken = await supervisor.snapshot();
    if (archive === undefined) return taken;
    try {
      const { segments } = await supervisor.archiveNow();
      progress(`archive: ${segments} segments moved`);
    } catch (error: unknown) {
      progress(`archive: ${sentenceOf(error)}`);
    }
    return taken;
  };
  try {
    return await ControlServer.start({ directory: supervisor.directory, work: { snapshot } });
  } catch (error: unknown) {
    output.log(`no control socket, so "sycee snapshot" finds nobody here: ${sentenceOf(error)}`);
    return undefined;
  }
}

/** Says on the HTTP address how far it is, meanwhile. With port 0 nobody could ask. */
async function recover(supervisor: Supervisor, config: Config, version: string): Promise<void> {
  if (config.http === 'off' || config.http.port === 0) return supervisor.recover();
  const status = (): RouterStatus => supervisor.router.status();
  const room = await openWaitingRoom(config.http, { version, status });
  try {
    await supervisor.recover();
  } finally {
    await room.close();
  }
}

/** `sycee init`: makes the data directory, or proves that the one that is there can be recovered. */
export async function init(
  { config }: LoadedConfig,
  output: Output,
  options: { readonly json: boolean },
): Promise<number> {
  const existed = existsSync(path.join(config.data, 'sycee.json'));
  try {
    const supervisor = await Supervisor.start({ directory: config.data, shards: config.shards });
    const { shards } = supervisor;
    await supervisor.stop();
    if (options.json) {
      output.out(JSON.stringify({ type: 'init', data: config.data, shards, made: !existed }));
    } else {
      const done = existed ? 'was there already and can be recovered' : 'is made';
      output.out(`${config.data} ${done}, with ${shards} ${shards === 1 ? 'shard' : 'shards'}`);
    }
    return 0;
  } catch (error: unknown) {
    output.log(`sycee: ${startSentence(error, config)}`);
    return exitCodeOf(error);
  }
}

/** Snapshots of a directory that nobody has, which is opened for it. */
export async function snapshotStopped(directory: string): Promise<readonly SnapshotTaken[]> {
  const supervisor = await Supervisor.start({ directory });
  try {
    return await supervisor.snapshot();
  } finally {
    await supervisor.stop();
  }
}

function announce(
  config: Config,
  edges: Gateway,
  shards: number,
  options: { readonly json: boolean; readonly version: string; readonly output: Output },
): void {
  const { output, version } = options;
  const http = edges.http?.url;
  if (options.json) {
    const nats = edges.natsUrl;
    const { data, natsPrefix } = config;
    output.out(
      JSON.stringify({
        type: 'listening',
        version,
        pid: process.pid,
        http: http ?? null,
        nats: nats ?? null,
        nats_prefix: natsPrefix,
        shards,
        data,
      }),
    );
    return;
  }
  output.out(
    `sycee ${version}: ${shards} ${shards === 1 ? 'shard' : 'shards'}, data in ${config.data}`,
  );
  output.out(`  HTTP  ${http ?? 'off'}`);
  output.out(`  NATS  ${edges.natsUrl ?? 'off (--nats auto, or --nats nats://HOST:PORT)'}`);
  for (const line of exampleLines(config, edges)) output.out(line);
}

const exampleTransfer = (id: number): string =>
  JSON.stringify({
    id,
    debit_account_id: 1,
    credit_account_id: 2,
    amount: 100,
    ledger: 1,
    code: 1,
  });

/** Lines to copy: two accounts, then a transfer between them, over what is open. */
export function exampleLines(
  config: Config,
  edges: Pick<Gateway, 'http' | 'natsUrl'>,
): readonly string[] {
  const lines: string[] = [];
  const accounts = JSON.stringify([
    { id: 1, ledger: 1, code: 1 },
    { id: 2, ledger: 1, code: 1 },
  ]);
  if (edges.http !== undefined) {
    const host =
      config.http !== 'off' && isLoopback(config.http.host)
        ? new URL(edges.http.url).host
        : `HOST:${edges.http.port}`;
    const token = config.token === undefined ? '' : ' -H "authorization: Bearer $SYCEE_TOKEN"';
    const post = (route: string, body: string): string =>
      `  curl -s ${host}/v1/${route} -H content-type:application/json${token} -d '${body}'`;
    lines.push(
      'two accounts, then a transfer:',
      post('accounts', accounts),
      post('transfers', exampleTransfer(1)),
    );
  }
  if (edges.natsUrl !== undefined) {
    const request = (operation: string, body: string): string =>
      `  nats --server ${edges.natsUrl} request ${config.natsPrefix}.v1.${operation} '${body}'`;
    if (edges.http === undefined) lines.push(request('create_accounts', accounts));
    lines.push('the same over NATS:', request('create_transfers', exampleTransfer(2)));
  } else lines.push('what is in it:', `  ./sycee inspect ${config.data}`);
  return lines;
}

/**
 * The first signal is told, a later one ends the process. One interrupt can come twice, from the terminal and forwarded by npm, or as
 * `timeout` sends it: what follows within SIGNAL_ECHO_MS is the same signal.
 */
function nextSignal(output: Output): Promise<string> {
  return new Promise((resolve) => {
    let first = 0;
    const onSignal = (name: string): void => {
      if (first === 0) {
        first = performance.now();
        resolve(name);
        return;
      }
      if (performance.now() - first < SIGNAL_ECHO_MS) return;
      output.log(`${name} again: ending at once`);
      process.exit(1);
    };
    process.on('SIGTERM', () => onSignal('SIGTERM'));
    process.on('SIGINT', () => onSignal('SIGINT'));
  });
}

function exitCodeOf(error: unknown): number {
  const code = error instanceof Error && 'exitCode' in error ? error.exitCode : 1;
  return code === 3 || code === 4 ? code : 1;
}

function startSentence(error: unknown, config: Config): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const http = config.http === 'off' ? 'off' : `${config.http.host}:${config.http.port}`;
  switch (code) {
    case 'EADDRINUSE':
      return `another process listens on ${http} already; stop it, or choose another with --http HOST:PORT`;
    case 'EACCES':
      return `this user may not use ${(error as NodeJS.ErrnoException).path ?? http}`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `there is no room on the disk of ${config.data} (${sentenceOf(error)}). Make room, and start again.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `this machine has no address ${http}; choose another with --http HOST:PORT`;
    default:
      return sentenceOf(error);
  }
}

const sentenceOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
