/**
 * What a stranger may send (H1 to H7 of the reliability plan): bodies for the create operations, each with the refusal that it must meet.
 *
 * All are refused before the ledger sees them, over HTTP and NATS alike; bodies over a megabyte are for HTTP alone.
 */
import { Packr } from 'msgpackr';

export interface HostileInput {
  readonly what: string;
  readonly body: string | Uint8Array;
  readonly type: 'application/json' | 'application/msgpack';
  /** `malformed_request` unless it is another. */
  readonly code?: 'too_large';
}

const packr = new Packr({ useRecords: false });
const SOUND = '"debit_account_id":1,"credit_account_id":2,"ledger":1,"code":1';
const DEPTH = 100_000;

const json = (what: string, body: string | Uint8Array): HostileInput => ({
  what,
  body,
  type: 'application/json',
});
const msgpack = (what: string, body: Uint8Array): HostileInput => ({
  what,
  body,
  type: 'application/msgpack',
});
const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);
const latin = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** A transfer whose amount is written so. */
const amount = (text: string): string => `{"id":50,${SOUND},"amount":${text}}`;
const packedTransfer = (fields: object): Uint8Array =>
  packr.pack({
    id: 50,
    debit_account_id: 1,
    credit_account_id: 2,
    amount: 1,
    ledger: 1,
    code: 1,
    ...fields,
  });

const MALFORMED: readonly HostileInput[] = [
  json('H1 nothing', ''),
  json('H1 white space', ' \n\t'),
  json('H1 half an object', '{"id":1,'),
  json('H1 a lone word', 'transfer'),
  json('H1 a string', '"transfer"'),
  json('H1 null', 'null'),
  json('H1 a comma too many', `{"id":50,${SOUND},"amount":1,}`),
  json('H1 a comment', `{"id":50,/* x */${SOUND}}`),
  json('H1 single quotes', "{'id':50}"),
  json('H1 an array with a hole', `[{"id":50,${SOUND},"amount":1},,]`),
  json('H1 an array of numbers', '[1,2,3]'),
  json('H1 noise', bytes(0x7b, 0xff, 0x00, 0x80, 0xc3)),
  msgpack('H1 a map that is cut off', packedTransfer({}).subarray(0, 20)),
  msgpack('H1 a map of a type that is never used', bytes(0x81, 0xc1, 0xc1)),
  msgpack('H1 an empty map', bytes(0x80, 0x00)),
  msgpack('H1 an extension', bytes(0x81, 0xa2, 0x69, 0x64, 0xd4, 0x01, 0x00)),
  msgpack('H1 a date', packedTransfer({ id: new Date(0) })),
];

const PROTOTYPES: readonly HostileInput[] = [
  json('H2 __proto__ with an object', `{"__proto__":{"x":1},"id":50,${SOUND},"amount":1}`),
  json('H2 __proto__ as an amount', `{"id":50,${SOUND},"amount":{"__proto__":{"x":1}}}`),
  json('H2 constructor', `{"constructor":{"prototype":{"x":1}},"id":50,${SOUND}}`),
  json('H2 prototype', `{"prototype":{"x":1},"id":50,${SOUND}}`),
  json('H2 __proto__ with an escape', `{"\\u005f_proto__":{"x":1},"id":50,${SOUND}}`),
  json('H2 __proto__ as a flag', `{"id":50,${SOUND},"flags":["__proto__"]}`),
  json('H2 toString', `{"toString":1,"id":50,${SOUND}}`),
  msgpack(
    'H2 __proto__ in msgpack',
    packr.pack(
      new Map<string, unknown>([
        ['__proto__', { x: 1 }],
        ['id', 50],
      ]),
    ),
  ),
  msgpack(
    'H2 constructor in msgpack',
    packr.pack(new Map([['constructor', { prototype: { x: 1 } }]])),
  ),
];

const SIZES: readonly HostileInput[] = [
  json('H3 arrays in arrays', '['.repeat(DEPTH)),
  json('H3 arrays in arrays that end', '['.repeat(DEPTH) + ']'.repeat(DEPTH)),
  json('H3 objects in objects', '{"id":'.repeat(DEPTH)),
  json('H3 arrays as an amount', amount('['.repeat(DEPTH))),
  msgpack('H3 arrays in arrays in msgpack', new Uint8Array(DEPTH).fill(0x91)),
  msgpack('H3 maps in maps in msgpack', new Uint8Array(DEPTH).fill(0x81)),
  msgpack('H3 an array that says 2^32 - 1', bytes(0xdd, 0xff, 0xff, 0xff, 0xff, 0x80)),
  msgpack('H3 a map that says 2^32 - 1', bytes(0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 0x61)),
  msgpack(
    'H3 a bin that says 2^32 - 1',
    bytes(0x81, 0xa2, 0x69, 0x64, 0xc6, 0xff, 0xff, 0xff, 0xff),
  ),
  {
    ...msgpack(
      'H3 columns that say 2^32 - 1',
      packr.pack({ n: 2 ** 32 - 1, id: new Uint8Array(16) }),
    ),
    code: 'too_large',
  },
  msgpack('H3 columns that are too short', packr.pack({ n: 3, id: new Uint8Array(32), ledger: 1 })),
  {
    ...json(
      'H3 one event too many',
      `[${Array.from({ length: 8190 }, () => '{"id":1}').join(',')}]`,
    ),
    code: 'too_large',
  },
];

const NUMBERS: readonly HostileInput[] = [
  ...[
    '-0',
    '-1',
    '0.1',
    '1.0',
    '1e3',
    '1E400',
    '-1e400',
    '9007199254740992',
    '01',
    '+1',
    '0x10',
    'NaN',
    'Infinity',
    '-Infinity',
    'true',
    'null',
    '{}',
    '[]',
  ].map((text) => json(`H4 the amount ${text}`, amount(text))),
  ...[
    '',
    ' 1',
    '1 ',
    '-1',
    '+1',
    '1.0',
    '1e3',
    '0x1',
    'NaN',
    'Infinity',
    '1_000',
    String(2n ** 128n),
    '9'.repeat(1000),
    '０１',
    '１',
    '١',
    '²',
  ].map((text) => json(`H4 the amount "${text.slice(0, 40)}"`, amount(JSON.stringify(text)))),
  ...[
    ['ledger', String(2 ** 32)],
    ['ledger', '-1'],
    ['ledger', '"1e0"'],
    ['code', '65536'],
    ['code', '1.5'],
    ['user_data_64', `"${2n ** 64n}"`],
    ['user_data_32', String(2 ** 32)],
    ['timeout', '1e1'],
    ['flags', '65536'],
    ['flags', '-1'],
    ['timestamp', '"-1"'],
  ].map(([field, text]) =>
    json(`H4 the field ${field} as ${text}`, `{"id":50,"${field}":${text}}`),
  ),
  ...[0.5, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 70, -(2n ** 63n), true, null].map(
    (value) => msgpack(`H4 the amount ${value} in msgpack`, packedTransfer({ amount: value })),
  ),
];

const FORMS: readonly HostileInput[] = [
  json('H5 a doubled key', `{"id":50,"id":51,${SOUND},"amount":1}`),
  json('H5 a key that is doubled by an escape', `{"id":50,"\\u0069d":51,${SOUND}}`),
  json('H5 something behind the end', `{"id":50,${SOUND},"amount":1}{"id":51}`),
  json('H5 a zero byte behind the end', `{"id":50,${SOUND},"amount":1}\0`),
  json('H5 a byte order mark', `\uFEFF{"id":50,${SOUND}}`),
  json('H5 UTF-16', Buffer.from(`{"id":50,${SOUND}}`, 'utf16le')),
  json('H5 Latin-1', latin(`{"id":50,"caf\u00e9":1}`)),
  json('H5 a lone surrogate', '{"id":50,"\\ud800":1}'),
  json('H5 a zero byte in a string', '{"id":"5\\u00000"}'),
  json('H5 a raw zero byte in a string', '{"id":"5\0"}'),
  json('H5 a composed field name', '{"id":50,"le\u0301dger":1}'),
  json('H5 overlong UTF-8', bytes(0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d)),
  msgpack(
    'H5 a doubled key in msgpack',
    bytes(0x82, 0xa2, 0x69, 0x64, 0x01, 0xa2, 0x69, 0x64, 0x02),
  ),
  msgpack(
    'H5 something behind the end in msgpack',
    Buffer.concat([packedTransfer({}), bytes(0x01)]),
  ),
  msgpack('H5 a key that is no string', bytes(0x81, 0x01, 0x01)),
];

const INJECTIONS: readonly HostileInput[] = [
  ...[
    "1'; DROP TABLE journal_row; --",
    '1 OR 1=1',
    '1"; DELETE FROM meta',
    'x'.repeat(1 << 19),
  ].map((text) =>
    json(`H6 the id ${text.slice(0, 32)}`, `{"id":${JSON.stringify(text)},${SOUND}}`),
  ),
  ...['acct.>', '*', '>', 'a b', 'a.b', '$SYS.>', '1\r\nPUB x 1', '..'].map((text) =>
    json(`H7 the id ${JSON.stringify(text)}`, `{"id":${JSON.stringify(text)},${SOUND}}`),
  ),
];

export const HOSTILE_INPUTS: readonly HostileInput[] = [
  ...MALFORMED,
  ...PROTOTYPES,
  ...SIZES,
  ...NUMBERS,
  ...FORMS,
  ...INJECTIONS,
];

/** Filters of `query_transfers`, each with the refusal that it must meet. */
export const HOSTILE_FILTERS: readonly HostileInput[] = [
  ...MALFORMED,
  json('an array', '[]'),
  json('an array of filters', '[{}]'),
  json('a doubled field', '{"ledger":1,"ledger":1}'),
  json('an unknown field', '{"account_id":1}'),
  json('the count of rows', '{"n":1}'),
  json('columns in JSON', '{"columns":true}'),
  json('__proto__', '{"__proto__":{"limit":1}}'),
  json('__proto__ as a flag', '{"flags":["__proto__"]}'),
  json('a doubled flag', '{"flags":["reversed","reversed"]}'),
  json('a side of no account', '{"flags":["debits"]}'),
  json('a flag that is a number', '{"flags":[1]}'),
  json('a bit that means nothing', '{"flags":2}'),
  json('a page too long', '{"limit":8190}'),
  json('a page of 2^32 rows', `{"limit":${2 ** 32}}`),
  json('a page of minus one row', '{"limit":-1}'),
  json('a page of half a row', '{"limit":0.5}'),
  json('a limit as text', '{"limit":"10"}'),
  json('a time with a fraction', '{"timestamp_min":1.5}'),
  json('a time of 65 bits', `{"timestamp_max":"${2n ** 64n}"}`),
  json('a time before all', '{"timestamp_min":"-1"}'),
  json('a time as an object', '{"timestamp_min":{}}'),
  json('a code of 17 bits', '{"code":65536}'),
  json('a ledger that is nothing', '{"ledger":null}'),
  json('a cursor that is a number', '{"cursor":1}'),
  json('a cursor that is nothing', '{"cursor":null}'),
  json('a cursor that is nested', '{"cursor":["x"]}'),
  json('a cursor with a blank', '{"cursor":"a b"}'),
  json('a cursor with an escape', '{"cursor":"\\u0041"}'),
  json('a cursor of other letters', '{"cursor":"\u00e4"}'),
  json('a cursor of a megabyte', `{"cursor":"${'x'.repeat(1 << 19)}"}`),
  json('arrays in arrays', '['.repeat(DEPTH)),
  json('objects in a field', `{"ledger":${'{"ledger":'.repeat(DEPTH)}`),
  msgpack('a float', packr.pack({ ledger: 1.5 })),
  msgpack('a number that became a float', packr.pack({ timestamp_min: 2 ** 60 })),
  msgpack('a date', packr.pack({ timestamp_min: new Date(0) })),
  msgpack('columns that are a number', packr.pack({ columns: 1 })),
  msgpack('columns that are text', packr.pack({ columns: 'true' })),
  msgpack('a flag that is true', packr.pack({ flags: true })),
  msgpack('a bin of 15 bytes', packr.pack({ user_data_128: new Uint8Array(15) })),
  msgpack('a bin for a number', packr.pack({ limit: new Uint8Array(4) })),
  msgpack('a cursor that is a bin', packr.pack({ cursor: new Uint8Array(4) })),
  msgpack('a map that says 2^32 - 1', bytes(0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 0x61)),
  msgpack('maps in maps', new Uint8Array(DEPTH).fill(0x81)),
];

/** What may stand behind the `?` of an account's transfers, each refused. */
export const HOSTILE_QUERIES: readonly string[] = [
  'limit=8190',
  'limit=-1',
  'limit=1.5',
  'limit=1e3',
  'limit=',
  'limit',
  'limit=01',
  'limit=%2010',
  'limit=10&limit=10',
  'limit[]=10',
  'limit=NaN',
  'limit=9999999999999999999999999999999999999999999',
  'account_id=1',
  'ledger=1',
  'columns=true',
  '__proto__=1',
  '__proto__[limit]=1',
  'constructor=1',
  'flags=nope',
  'flags=debits,debits',
  'flags=debits,',
  'flags=8',
  'flags=__proto__',
  'flags=debits&flags=credits',
  'code=65536',
  'code=x',
  'timestamp_min=2026-01-01',
  'timestamp_max=18446744073709551616',
  'user_data_128=340282366920938463463374607431768211456',
  'user_data_64=-0',
  'cursor=a%20b',
  'cursor=%00',
  'cursor=%E2%82%AC',
  'cursor=a&cursor=b',
  `cursor=${'x'.repeat(5000)}`,
  'a=1&b=2',
  '%ZZ=1',
  '=',
];
