/**
 * Bodies of requests, from HTTP or NATS, to batches: the only place where what a stranger sent becomes a batch.
 *
 * The first byte tells JSON from msgpack. Whatever the bytes are, the outcome is a well-formed batch or a `SyceeError`, in time linear in
 * the bytes. That a batch is well-formed says nothing about the ledger: ids of 0, codes of 0, and reserved flags are the engine's to answer.
 */
import { assert } from '../engine/assert.ts';
import { type Batch, BatchKind } from '../engine/batch.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { BODY_BYTES_MAX, tooLarge } from './field-rules.ts';
import { parseJsonCreate, parseJsonLookup } from './parse-json.ts';
import { parseMsgpackCreate, parseMsgpackLookup } from './parse-msgpack.ts';
import { type Encoding, encodingOf, type Shape } from './wire-codec.ts';

export interface Parsed {
  readonly batch: Batch;
  readonly shape: Shape;
  readonly encoding: Encoding;
}

/** The events of a create request. */
export function parseCreate(kind: BatchKind, body: Uint8Array): Parsed {
  assert(kind !== BatchKind.ids, 'accounts or transfers are created');
  const encoding = encodingOfBody(body);
  const parsed = encoding === 'json' ? parseJsonCreate(kind, body) : parseMsgpackCreate(kind, body);
  return { batch: parsed.batch, shape: parsed.shape, encoding };
}

/** The ids of a lookup request, a batch of kind ids. */
export function parseLookup(body: Uint8Array): Parsed {
  const encoding = encodingOfBody(body);
  if (encoding === 'json') return { batch: parseJsonLookup(body), shape: 'many', encoding };
  const parsed = parseMsgpackLookup(body);
  return { batch: parsed.batch, shape: parsed.shape, encoding };
}

/** Throws for a body that is too large, or that is of neither encoding. */
export function encodingOfBody(body: Uint8Array): Encoding {
  if (body.length > BODY_BYTES_MAX) throw tooLarge('body_bytes_max');
  const encoding = encodingOf(body);
  if (encoding !== null) return encoding;
  const [sentence, rule] = whyNeither(body);
  throw new SyceeError('malformed_request', `the body ${sentence}`, { field: '', rule });
}

function whyNeither(body: Uint8Array): readonly [string, string] {
  if (body.length === 0) return ['is empty', 'empty'];
  const isMark =
    (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) ||
    (body[0] === 0xff && body[1] === 0xfe) ||
    (body[0] === 0xfe && body[1] === 0xff);
  return isMark
    ? ['begins with a byte order mark; send UTF-8 without one', 'byte_order_mark']
    : ['is neither a JSON object or array nor a msgpack map or array', 'body_form'];
}
