/** `sycee snapshot`: has every shard of a data directory written down, by the process that has it, or by this one when nobody has. */
import { resolve } from 'node:path';
import { inspectDirectory } from '../persistence/data-directory.ts';
import { DataDirectoryError } from '../persistence/errors.ts';
import { askControl, ControlError } from './control-client.ts';

export interface SnapshotOutput {
  out(line: string): void;
  log(line: string): void;
}

/** Of one shard. */
export interface SnapshotTaken {
  readonly shard: number;
  readonly sequence: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** Opens a stopped directory, takes a snapshot of every shard, and closes it. DATA_IN_USE when a process has it. */
export type SnapshotStopped = (directory: string) => Promise<readonly SnapshotTaken[]>;

export async function runSnapshot(
  args: readonly string[],
  output: SnapshotOutput,
  snapshotStopped: SnapshotStopped,
): Promise<number> {
  let json: boolean;
  let directory: string;
  try {
    const flags = args.filter((arg) => arg.startsWith('-'));
    const { SYCEE_DATA: given = '' } = process.env;
    const [named = given === '' ? './data' : given, more] = args.filter(
      (arg) => !arg.startsWith('-'),
    );
    const unknown = flags.find((flag) => flag !== '--json');
    if (unknown !== undefined) throw new Error(`unknown option ${unknown}`);
    if (flags.length > 1) throw new Error('--json is given twice');
    if (more !== undefined) throw new Error(`unexpected argument "${more}"`);
    if (named === '') throw new Error('the directory is empty text');
    json = flags.length === 1;
    directory = resolve(named);
  } catch (error: unknown) {
    output.log(`sycee: ${(error as Error).message}; try "sycee snapshot --help"`);
    return 2;
  }
  try {
    const { shards, isLive } = await takeSnapshots(directory, output, snapshotStopped);
    if (json) output.out(JSON.stringify({ type: 'snapshot', directory, live: isLive, shards }));
    else for (const shard of shards) output.out(lineOf(shard));
    return 0;
  } catch (error: unknown) {
    output.log(`sycee: ${error instanceof Error ? error.message : String(error)}`);
    return error instanceof DataDirectoryError ? error.exitCode : 1;
  }
}

async function takeSnapshots(
  directory: string,
  output: SnapshotOutput,
  snapshotStopped: SnapshotStopped,
): Promise<{ readonly shards: readonly SnapshotTaken[]; readonly isLive: boolean }> {
  try {
    return { shards: await snapshotLive(directory, (line) => output.log(line)), isLive: true };
  } catch (error: unknown) {
    if (!(error instanceof ControlError) || error.code !== 'not_live') throw error;
    // What is not there is not to be made.
    inspectDirectory(directory);
    return { shards: await snapshotStopped(directory), isLive: false };
  }
}

/** Rejects with `not_live` when no process answers. */
export async function snapshotLive(
  directory: string,
  onProgress?: (line: string) => void,
): Promise<readonly SnapshotTaken[]> {
  return (await askControl(resolve(directory), 'snapshot', onProgress)) as SnapshotTaken[];
}

function lineOf({ shard, sequence, bytes, seconds }: SnapshotTaken): string {
  const size = (bytes / 2 ** 20).toFixed(1);
  return `shard ${shard}: snapshot at row ${sequence}, ${size} MiB in ${seconds.toFixed(2)} s`;
}
