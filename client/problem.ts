/** Problem documents, which say why a request never reached the ledger, back to errors. */
import { Unpackr } from 'msgpackr';
import { ERROR_CODES, type ErrorCode, SyceeError } from '../lib/sycee-error.ts';

const unpackr = new Unpackr({ useRecords: false });
const CODES: ReadonlySet<unknown> = new Set(ERROR_CODES);
const OPEN_BRACE = 0x7b;

/** A problem document in JSON or msgpack. What is no such document leaves the outcome open. */
export function decodeProblem(bytes: Uint8Array, otherwise: string): SyceeError {
  let problem: Record<string, unknown> = {};
  try {
    const value: unknown =
      bytes[0] === OPEN_BRACE ? JSON.parse(new TextDecoder().decode(bytes)) : unpackr.unpack(bytes);
    if (typeof value === 'object' && value !== null) problem = value as Record<string, unknown>;
  } catch (error: unknown) {
    return new SyceeError('unknown', otherwise, { cause: error });
  }
  if (!CODES.has(problem['code'])) return new SyceeError('unknown', otherwise);
  const text = (key: string): string | undefined =>
    typeof problem[key] === 'string' ? problem[key] : undefined;
  const [field, rule] = [text('field'), text('rule')];
  return new SyceeError(problem['code'] as ErrorCode, text('detail') ?? otherwise, {
    ...(field === undefined ? {} : { field }),
    ...(rule === undefined ? {} : { rule }),
  });
}
