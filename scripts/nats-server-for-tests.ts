/**
 * Finds a nats-server for the tests, or installs one: $NATS_SERVER_BIN, PATH, an earlier build, `go install`, Debian's package.
 * Never throws: the answer is a path or none, and a sentence for the reader.
 */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { findNatsServer } from '../lib/nats-server.ts';

const MODULE = 'github.com/nats-io/nats-server/v2@v2.14.5';
const INSTALL_MS_MAX = 180_000;
const HOW_TO_GET =
  'Put a nats-server of 2.14 or later on PATH or name it in NATS_SERVER_BIN; or install Go, and the next run builds one.';

export interface Found {
  readonly path: string | undefined;
  readonly sentence: string;
}

export function findOrInstallNatsServer(): Found {
  const found = findNatsServer();
  if (found !== undefined) return { path: resolve(found), sentence: `using ${found}` };
  const named = process.env['NATS_SERVER_BIN'];
  if (named !== undefined && named !== '') {
    const sentence = `NATS_SERVER_BIN names ${named}, which cannot be run; its tests are skipped. ${HOW_TO_GET}`;
    return { path: undefined, sentence };
  }
  for (const install of [installWithGo, installWithApt]) {
    install();
    const installed = findNatsServer();
    if (installed !== undefined) return { path: installed, sentence: `installed ${installed}` };
  }
  return { path: undefined, sentence: `none found; its tests are skipped. ${HOW_TO_GET}` };
}

/** Builds into the cache of node_modules, where a later run finds it. */
function installWithGo(): void {
  if (!canRun('go', 'version')) return;
  console.log(`building ${MODULE} with Go, once`);
  const cache = resolve('node_modules/.cache/nats-server');
  runQuietly('go', ['install', MODULE], { GOBIN: cache, GOFLAGS: '', CGO_ENABLED: '0' });
}

function installWithApt(): void {
  if (process.getuid?.() !== 0 || !canRun('apt-get', '--version')) return;
  console.log("installing Debian's nats-server package, once");
  const environment = { DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '--yes', '--no-install-recommends', 'nats-server'];
  if (runQuietly('apt-get', install, environment)) return;
  runQuietly('apt-get', ['update'], environment);
  runQuietly('apt-get', install, environment);
}

function canRun(file: string, argument: string): boolean {
  return runQuietly(file, [argument], {});
}

function runQuietly(
  file: string,
  commandArguments: readonly string[],
  environment: Readonly<Record<string, string>>,
): boolean {
  const result = spawnSync(file, [...commandArguments], {
    stdio: 'ignore',
    timeout: INSTALL_MS_MAX,
    env: { ...process.env, ...environment },
  });
  return result.status === 0;
}
