/**
 * Turns flags, environment, and `sycee.config.json` into one validated, frozen `Config`; every default is named here.
 *
 * The first that has a value wins: flag, environment, file, default. A wrong value is refused with the option, where it came from, and the
 * rule: nothing is guessed, nothing is left out silently. One name per option: `--http-connections-max` is `SYCEE_HTTP_CONNECTIONS_MAX`
 * and `"http-connections-max"` in the file.
 */
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { SHARDS_MAX } from './engine/limits.ts';
import { maskUrl } from './lib/nats-server.ts';
import { nearest } from './lib/nearest.ts';

export const CONFIG_FILE = 'sycee.config.json';
export const HTTP_DEFAULT = '127.0.0.1:7411';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export type NatsSetting =
  | { readonly type: 'off' }
  | { readonly type: 'auto' }
  | { readonly type: 'url'; readonly url: string };

export interface Config {
  readonly data: string;
  readonly shards: number | undefined;
  readonly http: HostPort | 'off';
  readonly httpConnectionsMax: number;
  readonly nats: NatsSetting;
  readonly natsPrefix: string;
  readonly token: string | undefined;
  readonly requestsMax: number;
  readonly bytesMax: number;
  readonly reserveMib: number;
  readonly snapshotMinutes: number;
  readonly snapshotMib: number;
  /** Where sealed segments go that no start needs; an absolute path. */
  readonly archive: string | undefined;
}

export type Source = 'flag' | 'environment' | 'file' | 'default';

/** One option as `--print-config` shows it. */
export interface Setting {
  readonly option: string;
  readonly value: string;
  readonly source: string;
}

export interface LoadedConfig {
  readonly config: Config;
  readonly settings: readonly Setting[];
}

/** Wrong usage: the exit code of the process is 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly exitCode = 2;
}

/** A rule returns the value, or throws the sentence of the rule, which ends '… must be …'. */
interface Option {
  readonly name: string;
  readonly preset: string | undefined;
  readonly hint: string;
  readonly parse: (text: string) => unknown;
}

const OPTIONS = [
  { name: 'data', preset: './data', hint: 'directory of the journals', parse: parseDirectory },
  {
    name: 'shards',
    preset: undefined,
    hint: `1 to ${SHARDS_MAX}, fixed when the directory is made`,
    parse: whole(1, SHARDS_MAX),
  },
  { name: 'http', preset: HTTP_DEFAULT, hint: 'HOST:PORT, PORT, or off', parse: parseHttp },
  {
    name: 'http-connections-max',
    preset: '4096',
    hint: 'open HTTP connections',
    parse: whole(1, 1_000_000),
  },
  { name: 'nats', preset: 'off', hint: 'nats://HOST:PORT, auto, or off', parse: parseNats },
  {
    name: 'nats-prefix',
    preset: 'sycee',
    hint: 'first part of the NATS subjects',
    parse: parsePrefix,
  },
  { name: 'token', preset: undefined, hint: 'bearer token of the HTTP edge', parse: parseToken },
  {
    name: 'requests-max',
    preset: '8192',
    hint: 'requests in flight, then overloaded',
    parse: whole(1, 1_000_000),
  },
  {
    name: 'bytes-max',
    preset: String(128 << 20),
    hint: 'bytes of requests in flight',
    parse: whole(8 << 20, 2 ** 40),
  },
  {
    name: 'reserve-mib',
    preset: '256',
    hint: 'MiB of the disk kept free, then storage_full; 0: none, a full disk stops shards',
    parse: whole(0, 2 ** 30),
  },
  {
    name: 'snapshot-minutes',
    preset: '60',
    hint: 'between snapshots, 0 for none by time',
    parse: whole(0, 1_000_000),
  },
  {
    name: 'snapshot-mib',
    preset: '1024',
    hint: 'MiB of journal between, 0 for none by size',
    parse: whole(0, 1_000_000),
  },
  {
    name: 'archive',
    preset: undefined,
    hint: 'directory for segments behind two snapshots',
    parse: parseDirectory,
  },
] as const satisfies readonly Option[];

/** For `serve --help`: name, hint and default of every option. */
export const OPTION_LINES: readonly {
  readonly name: string;
  readonly hint: string;
  readonly preset: string | undefined;
}[] = OPTIONS;

type OptionName = (typeof OPTIONS)[number]['name'];
const NAMES: readonly string[] = OPTIONS.map(({ name }) => name);

export interface ConfigSources {
  readonly arguments: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Where `sycee.config.json` and relative paths are looked for. */
  readonly directory: string;
}

/** Flags beside the options that are settings; a verb reads them from `loadConfig`'s second result. */
export interface VerbFlags {
  readonly json: boolean;
  readonly help: boolean;
  readonly printConfig: boolean;
}

export function loadConfig(sources: ConfigSources): LoadedConfig & { readonly flags: VerbFlags } {
  const { values, verbFlags } = parseFlags(sources.arguments);
  const file = readConfigFile(sources, values.get('config'));
  const settings: Setting[] = [];
  const parsed = new Map<OptionName, unknown>();
  for (const option of OPTIONS) {
    const found = findValue(option, { flags: values, file, environment: sources.environment });
    if (found.text !== undefined)
      parsed.set(option.name, parseOption(option, found.text, found.source));
    settings.push({
      option: option.name,
      value: shownValue(option.name, found.text),
      source: found.source,
    });
  }
  const config = Object.freeze(assemble(parsed, sources.directory));
  refuseOpenDoor(config);
  refuseArchiveWithin(config);
  refuseArchiveFile(config);
  return { config, settings, flags: verbFlags };
}

/** Where the data lies by the environment, the file, or the default, for verbs that have no other settings. An absolute path. */
export function dataDirectory(sources: Omit<ConfigSources, 'arguments'>): string {
  const [option] = OPTIONS;
  const flags = new Map<string, string>();
  const isSettled = (sources.environment[environmentName(option.name)] ?? '') !== '';
  const file = isSettled ? flags : readConfigFile(sources, undefined);
  const { text, source } = findValue(option, { flags, file, environment: sources.environment });
  return path.resolve(sources.directory, parseOption(option, text!, source) as string);
}

function parseFlags(args: readonly string[]): {
  readonly values: ReadonlyMap<string, string>;
  readonly verbFlags: VerbFlags;
} {
  const flags: Record<string, { type: 'string' | 'boolean'; short?: string }> = {
    config: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
    'print-config': { type: 'boolean' },
  };
  for (const name of NAMES) flags[name] = { type: 'string' };
  const { tokens } = parseArgs({
    args: [...args],
    options: flags,
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const values = new Map<string, string>();
  const on = new Set<string>();
  for (const token of tokens ?? []) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') {
      throw new ConfigError(`unexpected argument "${token.value}": options begin with --`);
    }
    const known = flags[token.name];
    if (known === undefined) {
      throw new ConfigError(
        `unknown option ${token.rawName}${nearest(token.name, Object.keys(flags), '--')}`,
      );
    }
    if (known.type === 'boolean') {
      if (token.value !== undefined) throw new ConfigError(`option --${token.name} takes no value`);
      on.add(token.name);
      continue;
    }
    if (token.value === undefined || (!token.inlineValue && token.value.startsWith('--'))) {
      throw new ConfigError(`option --${token.name} needs a value`);
    }
    if (values.has(token.name)) throw new ConfigError(`option --${token.name} is given twice`);
    values.set(token.name, token.value);
  }
  return {
    values,
    verbFlags: { json: on.has('json'), help: on.has('help'), printConfig: on.has('print-config') },
  };
}

function readConfigFile(
  sources: Omit<ConfigSources, 'arguments'>,
  named: string | undefined,
): ReadonlyMap<string, string> {
  const asked = named ?? sources.environment['SYCEE_CONFIG'];
  const file = path.resolve(sources.directory, asked ?? CONFIG_FILE);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error: unknown) {
    if (asked === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw new ConfigError(`the configuration file ${file} cannot be read`, { cause: error });
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error: unknown) {
    throw new ConfigError(`${file} must be JSON`, { cause: error });
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new ConfigError(`${file} must be one JSON object`);
  }
  const values = new Map<string, string>();
  for (const [name, value] of Object.entries(content)) {
    if (!NAMES.includes(name)) {
      throw new ConfigError(`${file}: unknown option "${name}"${nearest(name, NAMES, '')}`);
    }
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw new ConfigError(`${file}: "${name}" must be a string or a number`);
    }
    values.set(name, String(value));
  }
  return values;
}

export const environmentName = (option: string): string =>
  `SYCEE_${option.toUpperCase().replaceAll('-', '_')}`;

interface Places {
  readonly flags: ReadonlyMap<string, string>;
  readonly environment: NodeJS.ProcessEnv;
  readonly file: ReadonlyMap<string, string>;
}

function findValue(option: Option, places: Places): { text: string | undefined; source: Source } {
  const flag = places.flags.get(option.name);
  if (flag !== undefined) return { text: flag, source: 'flag' };
  const variable = places.environment[environmentName(option.name)];
  if (variable !== undefined && variable !== '') return { text: variable, source: 'environment' };
  const line = places.file.get(option.name);
  if (line !== undefined) return { text: line, source: 'file' };
  return { text: option.preset, source: 'default' };
}

function parseOption(option: Option, text: string, source: Source): unknown {
  try {
    return option.parse(text);
  } catch (error: unknown) {
    const where = {
      flag: `--${option.name}`,
      environment: environmentName(option.name),
      file: `"${option.name}" in the configuration file`,
      default: option.name,
    }[source];
    const shown = option.name === 'token' ? '' : ` "${maskUrl(text)}"`;
    throw new ConfigError(`${where}${shown} ${(error as Error).message}`, { cause: error });
  }
}

function assemble(parsed: ReadonlyMap<OptionName, unknown>, directory: string): Config {
  return {
    data: path.resolve(directory, parsed.get('data') as string),
    shards: parsed.get('shards') as number | undefined,
    http: parsed.get('http') as HostPort | 'off',
    httpConnectionsMax: parsed.get('http-connections-max') as number,
    nats: parsed.get('nats') as NatsSetting,
    natsPrefix: parsed.get('nats-prefix') as string,
    token: parsed.get('token') as string | undefined,
    requestsMax: parsed.get('requests-max') as number,
    bytesMax: parsed.get('bytes-max') as number,
    reserveMib: parsed.get('reserve-mib') as number,
    snapshotMinutes: parsed.get('snapshot-minutes') as number,
    snapshotMib: parsed.get('snapshot-mib') as number,
    archive:
      parsed.get('archive') === undefined
        ? undefined
        : path.resolve(directory, parsed.get('archive') as string),
  };
}

function refuseOpenDoor(config: Config): void {
  if (config.http === 'off' || config.token !== undefined || isLoopback(config.http.host)) return;
  throw new ConfigError(
    `--http ${config.http.host}:${config.http.port} is open to other machines and so must have a token: set SYCEE_TOKEN, or listen on 127.0.0.1`,
  );
}

/** It is made when the first segment is moved there; what is there in its place would be noticed only then. */
function refuseArchiveFile({ archive }: Config): void {
  if (archive === undefined) return;
  if (statSync(archive, { throwIfNoEntry: false })?.isDirectory() !== false) return;
  throw new ConfigError(`--archive ${archive} is not a directory: name one, or a new place`);
}

/** What is moved out of the data directory is not to stay in it. */
function refuseArchiveWithin({ archive, data }: Config): void {
  if (archive === undefined || !`${archive}${path.sep}`.startsWith(`${data}${path.sep}`)) return;
  throw new ConfigError(
    `--archive ${archive} is in the data directory: name a place outside of it`,
  );
}

export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

function shownValue(option: string, text: string | undefined): string {
  if (text === undefined) return '(none)';
  if (option === 'token') return '********';
  return option === 'nats' ? maskUrl(text) : text;
}

function parseDirectory(text: string): string {
  if (text.trim() === '' || text.includes('\0')) throw new Error('must be the name of a directory');
  return text;
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max))
      throw new Error(`must be a whole number from ${min} to ${max}`);
    return value;
  };
}

function parseHttp(text: string): HostPort | 'off' {
  if (text === 'off') return 'off';
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):)?([0-9]{1,5})$/.exec(text);
  const port = match === null ? Number.NaN : Number(match[2]);
  if (!(port <= 65_535)) throw new Error('must be HOST:PORT, PORT, or off');
  const host = match?.[1] ?? '127.0.0.1';
  return { host: host.startsWith('[') ? host.slice(1, -1) : host, port };
}

function parseNats(text: string): NatsSetting {
  if (text === 'off' || text === 'auto') return { type: text };
  const isAddress = text
    .split(',')
    .every((one) => /^(?:nats|tls):\/\//.test(one.trim()) && URL.canParse(one.trim()));
  if (!isAddress) throw new Error('must be nats://HOST:PORT, auto, or off');
  return { type: 'url', url: text };
}

function parsePrefix(text: string): string {
  if (!/^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/.test(text)) {
    throw new Error('must be subject parts of letters, digits, - and _ with dots between them');
  }
  return text;
}

function parseToken(text: string): string {
  if (!/^[\u0021-\u007e]{8,512}$/.test(text)) {
    throw new Error('must be 8 to 512 printable characters without spaces');
  }
  return text;
}
