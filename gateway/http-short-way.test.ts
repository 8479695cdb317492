import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Packr } from 'msgpackr';
import { expect, test } from 'vitest';
import { TransferStatus } from '../engine/status.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { type HttpEdge, httpEdge } from '../test/support/http-edge.ts';
import type { AdmissionLimits } from './admission.ts';
import { BODY_BYTES_MAX } from './field-rules.ts';
import { type HttpOptions, startHttp } from './http-server.ts';
import { shortWay } from './http-short-way.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };
const MSGPACK_TYPE = { 'Content-Type': 'application/msgpack' };
const TRANSFER = {
  id: 9,
  debit_account_id: 1,
  credit_account_id: 2,
  amount: 5,
  ledger: 1,
  code: 1,
};
const ONE = JSON.stringify(TRANSFER);
const PACKED = new Packr({ useRecords: false }).pack([TRANSFER, { ...TRANSFER, id: 10 }]);

interface Request {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  readonly options?: Partial<HttpOptions>;
  readonly limits?: AdmissionLimits;
  readonly prepare?: (edge: HttpEdge) => void;
}

function bytesOf(path: string, { headers, body }: Request): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const length = 'Content-Length' in headers || 'Transfer-Encoding' in headers ? [] : [body.length];
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: x',
    'Connection: close',
    ...lines,
    ...length.map((bytes) => `Content-Length: ${bytes}`),
    '',
    '',
  ];
  return Buffer.concat([Buffer.from(head.join('\r\n')), Buffer.from(body)]);
}

/** What comes back until the connection ends, without the date: the status line, the headers, and the body. */
function send(port: number, bytes: Uint8Array): Promise<readonly string[]> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      const [head = '', body = ''] = text.split('\r\n\r\n', 2);
      const [status = '', ...headers] = head.split('\r\n');
      const kept = headers.filter((header) => !header.startsWith('Date:'));
      resolve([status, ...kept, body]);
    });
  });
}

/** The answer at a new edge, and what the edge has counted when it has gone. */
async function ask(path: string, request: Request) {
  const edge = httpEdge(request.options, request.limits);
  request.prepare?.(edge);
  const server = await startHttp(edge.options, { host: '127.0.0.1', port: 0 });
  const answer = await send(server.port, bytesOf(path, request));
  await server.close();
  const counted = edge.meter
    .read()
    .filter(({ requests }) => requests > 0)
    .map(({ operation, requests, errors, lastError }) => ({
      operation,
      requests,
      errors: [...errors].filter(([, count]) => count > 0),
      lastError,
    }));
  const { admission, router } = edge;
  const held = [admission.requests, admission.bytes, admission.refused];
  return { answer, counted, held, deadlines: router.deadlines.length, batches: router.batches };
}

const cases: readonly (readonly [string, number, Request])[] = [
  ['one transfer', 201, { headers: JSON_TYPE, body: ONE }],
  ['an array', 200, { headers: JSON_TYPE, body: `[${ONE}]` }],
  ['msgpack', 200, { headers: MSGPACK_TYPE, body: PACKED }],
  ['msgpack that is said to be JSON', 400, { headers: JSON_TYPE, body: PACKED }],
  ['JSON that is said to be msgpack', 400, { headers: MSGPACK_TYPE, body: ONE }],
  [
    'a type with a charset',
    201,
    { headers: { 'Content-Type': 'application/json; charset=utf-8' }, body: ONE },
  ],
  ['no type', 415, { headers: {}, body: ONE }],
  ['no JSON', 400, { headers: JSON_TYPE, body: '{"id"' }],
  ['a field that there is not', 400, { headers: JSON_TYPE, body: ONE.replace('code', 'kode') }],
  ['nothing', 400, { headers: JSON_TYPE, body: '' }],
  [
    'a body in pieces',
    201,
    {
      headers: { ...JSON_TYPE, 'Transfer-Encoding': 'chunked' },
      body: `${ONE.length.toString(16)}\r\n${ONE}\r\n0\r\n\r\n`,
    },
  ],
  [
    'a body that is compressed',
    415,
    { headers: { ...JSON_TYPE, 'Content-Encoding': 'gzip' }, body: ONE },
  ],
  ['a deadline', 201, { headers: { ...JSON_TYPE, 'Sycee-Deadline-Ms': '2000' }, body: ONE }],
  [
    'a deadline that is none',
    400,
    { headers: { ...JSON_TYPE, 'Sycee-Deadline-Ms': 'soon' }, body: ONE },
  ],
  ['a body that is too long', 413, { headers: JSON_TYPE, body: ' '.repeat(BODY_BYTES_MAX + 1) }],
  ['more bytes than are let in', 429, { headers: JSON_TYPE, body: ONE, limits: { bytesMax: 10 } }],
  [
    'a status that HTTP has a code for',
    422,
    {
      headers: JSON_TYPE,
      body: ONE,
      prepare: ({ router }) => (router.outcome = TransferStatus.exceeds_credits),
    },
  ],
  [
    'a refusal of the router',
    507,
    {
      headers: JSON_TYPE,
      body: ONE,
      prepare: ({ router }) => (router.rejection = new SyceeError('storage_full', 'full')),
    },
  ],
  [
    'a fault',
    504,
    {
      headers: JSON_TYPE,
      body: ONE,
      prepare: ({ router }) => (router.rejection = new TypeError('oh')),
    },
  ],
  [
    'a closed edge',
    503,
    { headers: JSON_TYPE, body: ONE, prepare: ({ admission }) => admission.close() },
  ],
  ['a token that is missing', 401, { headers: JSON_TYPE, body: ONE, options: { token: 'secret' } }],
  [
    'a wrong token',
    401,
    {
      headers: { ...JSON_TYPE, Authorization: 'Bearer other' },
      body: ONE,
      options: { token: 'secret' },
    },
  ],
  [
    'the token',
    201,
    {
      headers: { ...JSON_TYPE, Authorization: 'bearer secret' },
      body: ONE,
      options: { token: 'secret' },
    },
  ],
];

test.each(cases)(
  '%s is answered alike by the short way and by fastify',
  async (_, status, request) => {
    const short = await ask('/v1/transfers', request);
    expect(short.answer[0]).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    // Fastify takes the same path with a question mark, which the short way leaves alone.
    expect(short).toEqual(await ask('/v1/transfers?', request));
    expect(short.held.slice(0, 2)).toEqual([0, 0]);
  },
);

const LONG = 'the rest';

/** Whether a request goes the short way. */
async function isShort(
  path: string,
  request: Request,
  { isOpen = true, isAllowed = true } = {},
): Promise<boolean> {
  const { options } = httpEdge();
  const way = { isOpen: () => isOpen, isAllowed: () => isAllowed };
  const server = createServer(
    shortWay(options, { ...way, rest: (_, response) => response.end(LONG) }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const answer = await send(port, bytesOf(path, request));
  await new Promise((resolve) => server.close(resolve));
  return answer.at(-1) !== LONG;
}

test('the short way is for transfers of a length and a type that are named, and for whoever is let in', async () => {
  const usual: Request = { headers: JSON_TYPE, body: ONE };
  expect(await isShort('/v1/transfers', usual)).toBe(true);
  expect(await isShort('/v1/transfers', { headers: MSGPACK_TYPE, body: PACKED })).toBe(true);
  for (const path of ['/v1/accounts', '/v1/transfers/', '/v1/transfers?', '/v1/transfers/lookup']) {
    expect([path, await isShort(path, usual)]).toEqual([path, false]);
  }
  expect(await isShort('/v1/transfers', { headers: {}, body: ONE })).toBe(false);
  expect(await isShort('/v1/transfers', { headers: JSON_TYPE, body: '' })).toBe(false);
  const gzip = { ...JSON_TYPE, 'Content-Encoding': 'gzip' };
  expect(await isShort('/v1/transfers', { headers: gzip, body: ONE })).toBe(false);
  expect(await isShort('/v1/transfers', usual, { isOpen: false })).toBe(false);
  expect(await isShort('/v1/transfers', usual, { isAllowed: false })).toBe(false);
});
