/** Why a question about the past could not be answered from the journals, as the log is to say it. */
import { JournalError } from '../persistence/errors.ts';

/** What a reader of the journal found that no writer writes. It ends one question, and the log says where to look. */
export class QueryDamage extends Error {
  override readonly name = 'QueryDamage';

  constructor(rule: string, row?: DamagedRow) {
    super(row === undefined ? rule : `${rowText(row)}: ${rule}`);
  }
}

interface DamagedRow {
  readonly shard: number | undefined;
  readonly sequence: number;
}

function rowText({ shard, sequence }: DamagedRow): string {
  return shard === undefined
    ? `journal row ${sequence}`
    : `shard ${shard}, journal row ${sequence}`;
}

/** For the log, which may name files; callers may be strangers. */
export interface ReadProblem {
  readonly isDamage: boolean;
  readonly text: string;
}

export type OnReadProblem = (problem: ReadProblem) => void;

export function readProblem(error: unknown): ReadProblem {
  if (error instanceof QueryDamage) return { isDamage: true, text: error.message };
  if (error instanceof JournalError && error.damage !== undefined) {
    const { shard, file, sequence, rule } = error.damage;
    const place = shard === undefined ? file : `shard ${shard}, ${file}`;
    return { isDamage: true, text: `${place}, sequence ${sequence}: ${rule}` };
  }
  return { isDamage: false, text: error instanceof Error ? error.message : String(error) };
}

/** What a caller is told, without a place. */
export function readRefusal(what: string, isDamage: boolean): string {
  return isDamage
    ? `${what} cannot be read: the journal is damaged there, and the log of the server says where`
    : `${what} cannot be read just now; ask again`;
}
