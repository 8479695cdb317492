/** What the offline tools' command lines have in common. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { readDecimal, DecimalDefect, writeUint128 } from '../engine/uint128.ts';
import { nearest } from '../lib/nearest.ts';
import { UsageError } from './usage.ts';

const DIRECTORY_DEFAULT = './data';

export interface ParsedArguments {
  readonly directory: string;
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
}

/** One directory at most, and flags; each flag once. */
export function parseToolArguments(
  args: readonly string[],
  options: ParseArgsOptionsConfig,
): ParsedArguments {
  const { tokens } = parseArgs({
    args: [...args],
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const values: Record<string, string | boolean> = {};
  const directories: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') directories.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    const option = options[name];
    if (option === undefined) {
      const known = nearest(name, Object.keys(options), '--');
      throw new UsageError(`unknown option ${rawName}${known}`);
    }
    if (Object.hasOwn(values, name)) throw new UsageError(`--${name} is given twice`);
    if (option.type === 'boolean' && value !== undefined) {
      throw new UsageError(`--${name} takes no value`);
    }
    if (option.type === 'string' && (value === undefined || value === '')) {
      throw new UsageError(`--${name} needs a value`);
    }
    values[name] = value ?? true;
  }
  if (directories.includes('')) throw new UsageError('the directory is empty text');
  if (directories.length > 1) throw new UsageError(`unexpected argument "${directories[1]}"`);
  const { SYCEE_DATA: given = '' } = process.env;
  const directory = directories[0] ?? (given === '' ? DIRECTORY_DEFAULT : given);
  return { directory, values };
}

export function textOf({ values }: ParsedArguments, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

/** A number of a shard that there is. */
export function shardOption(parsed: ParsedArguments, shards: number): number | undefined {
  const text = textOf(parsed, 'shard');
  if (text === undefined) return undefined;
  return shardNumber(text, shards);
}

export function shardNumber(text: string, shards: number): number {
  if (/^\d{1,3}$/.test(text) && Number(text) < shards) return Number(text);
  throw new UsageError(
    `"${text}" is no shard of this directory; it has ${shards}, numbered from 0`,
  );
}

/** The words of a decimal id. */
export function idOf(text: string, flag: string): Uint32Array {
  const words = new Uint32Array(4);
  const bytes = Buffer.from(text);
  if (readDecimal(bytes, 0, bytes.length, words) !== DecimalDefect.none) {
    throw new UsageError(`${flag} "${text}" is not an id: a whole number below 2^128`);
  }
  return words;
}

export function idWords(id: bigint): Uint32Array {
  const words = new Uint32Array(4);
  writeUint128(id, words, 0);
  return words;
}
