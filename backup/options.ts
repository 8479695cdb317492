/** The command lines of `sycee backup` and `sycee restore`. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { nearest } from '../lib/nearest.ts';
import { parseTime } from '../tools/moment.ts';
import { UsageError } from '../tools/usage.ts';

export const BACKUP_HELP = [
  'usage: sycee backup DIRECTORY TARGET [options]',
  '',
  'Copies a data directory, live or stopped, as it is at one moment over all shards. A target that has an older backup of the same',
  'ledger gets what is new. A live process is asked for a snapshot first, so that what is restored starts soon.',
  '',
  '  --no-snapshot           do not ask for one',
  '  --json                  one JSON document on stdout',
  '',
  'examples:',
  '  sycee backup ./data /backups/sycee',
  '  sycee backup ./data /backups/sycee-$(date +%F) --no-snapshot',
].join('\n');

export const RESTORE_HELP = [
  'usage: sycee restore BACKUP DIRECTORY [options]',
  '',
  'Brings a backup back as a data directory, in an empty or a new place. What was answered after its moment is taken back.',
  '',
  '  --to TIME               not all of it: as it was at this moment, in ISO 8601 (UTC unless it says otherwise) or ns since 1970',
  '  --force                 move aside what is at DIRECTORY; it is kept as DIRECTORY.before-…',
  '  --json                  one JSON document on stdout',
  '',
  'examples:',
  '  sycee restore /backups/sycee ./data',
  '  sycee restore /backups/sycee ./data --to 2026-11-25T12:00:00Z --force',
].join('\n');

export interface BackupArguments {
  readonly directory: string;
  readonly target: string;
  readonly wantsSnapshot: boolean;
  readonly json: boolean;
}

export interface RestoreArguments {
  readonly backup: string;
  readonly directory: string;
  readonly to: bigint | undefined;
  readonly force: boolean;
  readonly json: boolean;
}

export function parseBackup(args: readonly string[]): BackupArguments {
  const options = { 'no-snapshot': { type: 'boolean' }, json: { type: 'boolean' } } as const;
  const { places, values } = parse(args, options, ['DIRECTORY', 'TARGET']);
  const wantsSnapshot = !values.has('no-snapshot');
  return { directory: places[0]!, target: places[1]!, wantsSnapshot, json: values.has('json') };
}

export function parseRestore(args: readonly string[]): RestoreArguments {
  const options = {
    to: { type: 'string' },
    force: { type: 'boolean' },
    json: { type: 'boolean' },
  } as const;
  const { places, values } = parse(args, options, ['BACKUP', 'DIRECTORY']);
  const to = values.get('to');
  return {
    backup: places[0]!,
    directory: places[1]!,
    to: to === undefined ? undefined : parseTime(to, '--to'),
    force: values.has('force'),
    json: values.has('json'),
  };
}

function parse(
  args: readonly string[],
  options: ParseArgsOptionsConfig,
  wanted: readonly string[],
): { readonly places: readonly string[]; readonly values: ReadonlyMap<string, string> } {
  const flags = { args: [...args], options, allowPositionals: true, strict: false, tokens: true };
  const { tokens } = parseArgs({ ...flags, tokens: true });
  const places: string[] = [];
  const values = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind === 'positional') places.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    const known = options[name];
    if (known === undefined) {
      const near = nearest(name, Object.keys(options), '--');
      throw new UsageError(`unknown option ${rawName}${near}`);
    }
    if (values.has(name)) throw new UsageError(`--${name} is given twice`);
    if (known.type === 'boolean' && value !== undefined) {
      throw new UsageError(`--${name} takes no value`);
    }
    if (known.type === 'string' && (value === undefined || value === '')) {
      throw new UsageError(`--${name} needs a value`);
    }
    values.set(name, value ?? '');
  }
  const empty = places.indexOf('');
  if (empty >= 0) throw new UsageError(`argument ${empty + 1} is empty`);
  if (places.length > wanted.length) {
    throw new UsageError(`unexpected argument "${places[wanted.length]}"`);
  }
  if (places.length < wanted.length) {
    throw new UsageError(`${wanted[places.length]} is missing`);
  }
  return { places, values };
}
