/** Why the start of a ledger is refused: by what its shards say of their links, or by what one of them has failed of. */
import { DataDirectoryError } from '../persistence/errors.ts';
import type { LinkCounters, SerializedError } from './shard-protocol.ts';

/** Whether the journals of two shards are of different times: one has received what the other has not sent, or lacks what it forgot. */
export function linkDefect(links: readonly LinkCounters[]): string | null {
  for (const [from, { sent, acknowledged }] of links.entries()) {
    for (const [to, { received }] of links.entries()) {
      if (received[from]! <= sent[to]! && received[from]! >= acknowledged[to]!) continue;
      return (
        `shard ${to} has received ${received[from]} messages from shard ${from}, which has sent ${sent[to]} and keeps those after ` +
        `${acknowledged[to]}: the journals of the two shards are not of the same time. Bring back both from one backup.`
      );
    }
  }
  return null;
}

/** A start that one of the shards has refused. */
export function asStartError(reason: SerializedError | Error): Error {
  const { message } = reason;
  const code = 'code' in reason ? reason.code : undefined;
  const exitCode = 'exitCode' in reason ? reason.exitCode : undefined;
  if (code === 'DATA_ARCHIVED' || code === 'SEGMENT_ARCHIVED') {
    return new DataDirectoryError('DATA_ARCHIVED', message, reason);
  }
  if (exitCode !== undefined || code === 'JOURNAL_CORRUPT') {
    return new DataDirectoryError('DATA_DAMAGED', message, reason);
  }
  return new Error(message, { cause: reason });
}
