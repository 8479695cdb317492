/** `sycee backup` and `sycee restore`: what they say, and their exit codes. */
import { formatTime } from '../tools/moment.ts';
import { UsageError } from '../tools/usage.ts';
import { makeBackup } from './backup.ts';
import { isDiskFull } from './manifest.ts';
import { parseBackup, parseRestore } from './options.ts';
import { restoreBackup } from './restore.ts';

export interface BackupOutput {
  out(line: string): void;
  log(line: string): void;
}

/** Has the live process of a directory make a snapshot. Rejects with `not_live` when there is none, and with a sentence when it could not. */
export type AskForSnapshot = (directory: string) => Promise<unknown>;

export async function runBackup(
  args: readonly string[],
  output: BackupOutput,
  askForSnapshot: AskForSnapshot,
): Promise<number> {
  try {
    const { directory, target, wantsSnapshot, json } = parseBackup(args);
    const log = (line: string): void => output.log(line);
    if (wantsSnapshot) await snapshotFirst(directory, output, askForSnapshot);
    const { manifest, isLive, segments, bytes } = makeBackup({ directory, target, log });
    const shards = manifest.shards.map(({ sequence, timestamp }, shard) => ({
      shard,
      sequence,
      timestamp,
    }));
    if (json) {
      output.out(JSON.stringify({ type: 'backup', target, live: isLive, segments, bytes, shards }));
      return 0;
    }
    const state = isLive ? 'live' : 'stopped';
    output.out(`${directory} (${state}) is backed up in ${target}:`);
    for (const line of shardLines(shards)) output.out(line);
    output.out(`  ${segments} segments copied, ${(bytes / 2 ** 20).toFixed(1)} MiB in all`);
    return 0;
  } catch (error: unknown) {
    return refusal('backup', output, error);
  }
}

/** Without a snapshot the backup is as sound; only the start from it takes longer. */
async function snapshotFirst(
  directory: string,
  output: BackupOutput,
  askForSnapshot: AskForSnapshot,
): Promise<void> {
  try {
    await askForSnapshot(directory);
  } catch (error: unknown) {
    if ((error as { code?: unknown }).code === 'not_live') return;
    output.log(`no snapshot was made first: ${messageOf(error)}`);
  }
}

export function runRestore(args: readonly string[], output: BackupOutput): number {
  try {
    const { json, ...options } = parseRestore(args);
    const { backup, directory, to } = options;
    const log = (line: string): void => output.log(line);
    const onAside = (aside: string): void =>
      output.log(`what was at ${directory} is now ${aside}, unchanged`);
    const { shards, aside } = restoreBackup({ ...options, onAside, log });
    if (json) {
      output.out(JSON.stringify({ type: 'restore', backup, directory, shards, aside }));
      return 0;
    }
    output.out(`${directory} is restored from ${backup}:`);
    for (const line of shardLines(shards)) output.out(line);
    if (to !== undefined) {
      output.out(
        `  Shards fit together at these rows, the last ones up to ${formatTime(to)}. What was answered later is taken back.`,
      );
    }
    return 0;
  } catch (error: unknown) {
    return refusal('restore', output, error);
  }
}

function shardLines(
  shards: readonly {
    readonly shard: number;
    readonly sequence: number;
    readonly timestamp: string;
  }[],
): readonly string[] {
  return shards.map(({ shard, sequence, timestamp }) => {
    const when = sequence === 0 ? 'before its first row' : `of ${formatTime(BigInt(timestamp))}`;
    return `  shard ${shard}: up to row ${sequence}, ${when}`;
  });
}

function refusal(verb: string, output: BackupOutput, error: unknown): number {
  if (error instanceof UsageError) {
    output.log(`sycee: ${error.message}; try "sycee ${verb} --help"`);
    return 2;
  }
  output.log(`sycee: ${isDiskFull(error) ? fullSentence(verb) : messageOf(error)}`);
  const { exitCode, code } = error as { exitCode?: unknown; code?: unknown };
  if (code === 'SEGMENT_ARCHIVED') return 1;
  if (typeof exitCode === 'number') return exitCode;
  return code === 'JOURNAL_CORRUPT' ? 3 : 1;
}

const fullSentence = (verb: string): string =>
  `There is no room on the disk that the ${verb} goes to. What was there before is as it was. Make room, and run the same command again.`;

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
