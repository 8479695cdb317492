/**
 * Reads a request's body as bytes: bounded, and counted by the admission while it arrives.
 *
 * The bytes stay counted until the route gives them back; when no body comes out of here, they have been given back already.
 */
import type { IncomingMessage } from 'node:http';
import { SyceeError } from '../lib/sycee-error.ts';
import type { Admission } from './admission.ts';
import { BODY_BYTES_MAX } from './field-rules.ts';

export type BodyDone = (error: Error | null, body?: Uint8Array) => void;

export function readBody(payload: IncomingMessage, admission: Admission, done: BodyDone): void {
  const announced = Number(payload.headers['content-length'] ?? 0);
  if (announced > BODY_BYTES_MAX) {
    done(tooLarge());
    return;
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  let isDone = false;
  const finish = (error: Error | null): void => {
    if (isDone) return;
    isDone = true;
    if (error !== null) {
      admission.giveBytes(bytes);
      payload.resume();
      done(error);
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
    if (bytes > BODY_BYTES_MAX) finish(tooLarge());
  });
  payload.on('end', () => finish(null));
  payload.on('error', () => fail());
  payload.on('close', () => fail());
}

const tooLarge = (): SyceeError =>
  new SyceeError('too_large', `a request body has at most ${BODY_BYTES_MAX} bytes`);

const cutOff = (): SyceeError =>
  new SyceeError('malformed_request', 'the body ended before it was complete', {
    field: '',
    rule: 'complete',
  });
