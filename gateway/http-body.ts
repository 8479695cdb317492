/**
 * Reads a request's body as bytes: bounded, and counted by the admission while it arrives.
 *
 * The bytes stay counted until the route gives them back; when no body comes out of here, they have been given back already.
 *
 * A body that is refused is read to its end all the same, and thrown away: an answer in the middle of it is lost to clients that write
 * first and read then, because the connection is cut with bytes unread. Whoever sends more than DISCARDED_BYTES_MAX is cut so; the
 * server's request timeout bounds the time.
 */
import type { IncomingMessage } from 'node:http';
import { SyceeError } from '../lib/sycee-error.ts';
import type { Admission } from './admission.ts';
import { BODY_BYTES_MAX, tooLarge } from './field-rules.ts';

const DISCARDED_BYTES_MAX = 128 << 20;

export type BodyDone = (error: Error | null, body?: Uint8Array) => void;

/** `refusal`: why no body is taken, whatever it is. */
export function readBody(
  payload: IncomingMessage,
  admission: Admission,
  done: BodyDone,
  refusal: SyceeError | null = null,
): void {
  if (refusal !== null) {
    discard(payload, refusal, done);
    return;
  }
  const announced = Number(payload.headers['content-length'] ?? 0);
  if (announced > BODY_BYTES_MAX) {
    discard(payload, tooLarge('body_bytes_max'), done);
    return;
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  let isDone = false;
  const finish = (error: Error | null): void => {
    if (isDone) return;
    isDone = true;
    if (error !== null) {
      chunks.length = 0;
      admission.giveBytes(bytes);
      discard(payload, error, done);
      return;
    }
    done(null, chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
  };
  // Every request closes in the end: an error, with its stack, is made only for those that were cut off.
  const fail = (): void => {
    if (!isDone) finish(cutOff());
  };
  payload.on('data', (chunk: Buffer) => {
    if (isDone) return;
    try {
      admission.takeBytes(chunk.byteLength);
    } catch (error: unknown) {
      finish(error as Error);
      return;
    }
    bytes += chunk.byteLength;
    chunks.push(chunk);
    if (bytes > BODY_BYTES_MAX) finish(tooLarge('body_bytes_max'));
  });
  payload.on('end', () => finish(null));
  payload.on('error', () => fail());
  payload.on('close', () => fail());
}

function discard(payload: IncomingMessage, error: Error, done: BodyDone): void {
  let bytes = 0;
  let isDone = false;
  const finish = (): void => {
    if (isDone) return;
    isDone = true;
    done(error);
  };
  payload.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > DISCARDED_BYTES_MAX) finish();
  });
  payload.on('end', finish);
  payload.on('error', finish);
  payload.on('close', finish);
  if (payload.readableEnded || payload.destroyed) finish();
}

const cutOff = (): SyceeError =>
  new SyceeError('malformed_request', 'the body ended before it was complete', {
    field: '',
    rule: 'complete',
  });
