import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { BatchKind, COLUMN_BYTES, COLUMNS } from '../engine/batch.ts';
import { BATCH_EVENTS_MAX } from '../engine/limits.ts';
import {
  bytes16,
  concat,
  KINDS,
  maxOf,
  refusal,
  refused,
  refusedLookup,
  rowsOf,
  utf8,
} from '../test/support/parsed-rows.ts';
import { encodeColumns } from './columnar-codec.ts';
import { BODY_BYTES_MAX, rulesOf } from './field-rules.ts';
import { parseCreate, parseLookup } from './parse-command.ts';

const packr = new Packr({ useRecords: false });
const { accounts, transfers } = BatchKind;
const TRANSFER_NAMES = rulesOf(transfers).fields.names;

describe('fields', () => {
  test.each([
    ['{"id":1,"id":1}', 'id doubled_field'],
    ['[{"id":1},{"id":1,"amount":1,"amount":2}]', 'transfers[1].amount doubled_field'],
    ['{"amonut":1}', 'amonut unknown_field'],
    ['[{"id":1},{"debits_posted":1}]', 'transfers[1].debits_posted unknown_field'],
    ['{"":1}', '"" unknown_field'],
    ['{"ID":1}', 'ID unknown_field'],
    ['{"n":1}', 'n unknown_field'],
    ['{"id\0":1}', ' syntax'],
    ['{"\\u0069d":1}', ' escape'],
    ['{"id":1,"__proto__":{"x":1}}', '__proto__ unknown_field'],
    ['{"constructor":{"prototype":{"x":1}}}', 'constructor unknown_field'],
    ['[{"prototype":1}]', 'transfers[0].prototype unknown_field'],
    ['{"toString":1}', 'toString unknown_field'],
    ['{"ｉd":1}', '???d unknown_field'],
    [`{"${'a'.repeat(100_000)}":1}`, `${'a'.repeat(40)}... unknown_field`],
  ])('%.60s is refused', (body, expected) => {
    expect(refused(body)).toBe(`malformed_request ${expected}`);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  test.each(['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'n2', 'ID', 'Amount'])(
    'a msgpack map with %s is refused, alone, in an array, and with columns',
    (name) => {
      const map = concat([0xa0 | name.length], utf8(name), [0x81, 0xa1, 0x78, 1]);
      const unknown = (path: string): string => `malformed_request ${path} unknown_field`;
      expect(refused(concat([0x81], map))).toBe(unknown(name));
      expect(refused(concat([0x91, 0x81], map))).toBe(unknown(`transfers[0].${name}`));
      expect(refused(concat([0x82, 0xa1, 0x6e, 1], map))).toBe(unknown(name));
      expect(refusedLookup(concat([0x81], map))).toBe(unknown(name));
      expect(({} as { x?: unknown }).x).toBeUndefined();
    },
  );

  test('a doubled field of a msgpack map is refused, n and columns included', () => {
    const id = [0xa2, 0x69, 0x64, 1];
    const n = [0xa1, 0x6e, 1];
    expect(refused(concat([0x82], id, id))).toBe('malformed_request id doubled_field');
    expect(refused(concat([0x91, 0x82], id, id))).toBe(
      'malformed_request transfers[0].id doubled_field',
    );
    expect(refused(concat([0x83], n, id, n))).toBe('malformed_request n doubled_field');
    expect(refused(concat([0x91, 0x82], id, n))).toBe(
      'malformed_request transfers[0].n unknown_field',
    );
    expect(refused(concat([0x81, 1, 1]))).toBe('malformed_request  type');
  });

  test('a left-out field is 0, and no field at all is the ledger’s to refuse', () => {
    for (const body of [utf8('{}'), utf8(' [ { } ] '), concat([0x80]), packr.pack({ n: 1 })]) {
      const { batch } = parseCreate(transfers, body);
      expect(rowsOf(batch)).toEqual([Array.from({ length: COLUMNS }, () => 0n)]);
    }
  });
});

describe('flags', () => {
  const flagsOf = (kind: BatchKind, body: Uint8Array): bigint[] =>
    rowsOf(parseCreate(kind, body).batch).map((row) => row[11]!);

  test('flags are taken as names and as an integer', () => {
    const both = ['credits_must_not_exceed_debits', 'debits_must_not_exceed_credits'];
    for (const body of [
      utf8(JSON.stringify({ flags: both })),
      utf8('{"flags":6}'),
      packr.pack({ flags: both }),
      packr.pack({ flags: 6 }),
      packr.pack({ n: 1, flags: both }),
      packr.pack({ n: 1, flags: Uint8Array.of(6, 0) }),
    ]) {
      expect(flagsOf(accounts, body)).toEqual([6n]);
    }
    expect(flagsOf(accounts, utf8('{"flags":[ ]}'))).toEqual([0n]);
  });

  test('every flag is taken by its name and by its bit', () => {
    for (const kind of KINDS) {
      for (const [bit, name] of rulesOf(kind).flags.names.entries()) {
        const column = new Uint8Array(new Uint16Array([0x8000, 1 << bit]).buffer);
        for (const body of [
          utf8(`{"flags":["${name}"]}`),
          utf8(`{"flags":${1 << bit}}`),
          packr.pack({ flags: [name] }),
          packr.pack({ n: 1, flags: 1 << bit }),
        ]) {
          expect(flagsOf(kind, body)).toEqual([BigInt(1 << bit)]);
        }
        const flags = flagsOf(kind, packr.pack({ n: 2, flags: column }));
        expect(flags).toEqual([0x8000n, BigInt(1 << bit)]);
      }
    }
  });

  test('pending_status is of an answer, and an unknown field of an event', () => {
    for (const body of [utf8('{"pending_status":"none"}'), packr.pack({ pending_status: 0 })]) {
      expect(refused(body)).toBe('malformed_request pending_status unknown_field');
    }
  });

  test('reserved bits pass to the ledger', () => {
    const column = new Uint8Array(new Uint16Array([0x8000, 0x4000]).buffer);
    expect(flagsOf(transfers, utf8('{"flags":32768}'))).toEqual([0x8000n]);
    expect(flagsOf(transfers, packr.pack({ n: 2, flags: column }))).toEqual([0x8000n, 0x4000n]);
  });

  test.each([
    ['["nope"]', 'unknown_flag'],
    ['["Linked"]', 'unknown_flag'],
    ['[""]', 'unknown_flag'],
    ['["__proto__"]', 'unknown_flag'],
    ['["credits_must_not_exceed_debits","credits_must_not_exceed_debits"]', 'doubled_flag'],
    ['[1]', 'type'],
    ['[null]', 'type'],
    ['[[]]', 'nesting'],
    ['[{}]', 'nesting'],
    ['"linked"', 'type'],
    ['[', 'type'],
    ['["linked",]', 'type'],
    ['["history\\n"]', 'escape'],
    ['65536', 'range'],
  ])('flags %s is refused', (flags, rule) => {
    expect(refused(`{"flags":${flags}}`, accounts)).toBe(`malformed_request flags ${rule}`);
  });
});

describe('the frame of a body', () => {
  test.each<readonly [string, Uint8Array, string]>([
    ['nothing', utf8(''), 'empty'],
    ['a byte order mark', concat([0xef, 0xbb, 0xbf], utf8('{}')), 'byte_order_mark'],
    ['UTF-16', concat([0xff, 0xfe, 0x7b, 0, 0x7d, 0]), 'byte_order_mark'],
    ['a string', utf8('"x"'), 'body_form'],
    ['a number', utf8('17'), 'body_form'],
    ['null', utf8('null'), 'body_form'],
    ['NUL', concat([0]), 'body_form'],
    ['nil of msgpack', concat([0xc0]), 'body_form'],
    ['white space', utf8(' \n'), 'type'],
    ['an open object', utf8('{'), 'syntax'],
    ['an open array', utf8('['), 'syntax'],
    ['an open event', utf8('[{}'), 'syntax'],
    ['a closing bracket of another kind', utf8('[{}}'), 'syntax'],
    ['a last comma', utf8('{"id":1,}'), 'syntax'],
    ['a last comma of an array', utf8('[{},]'), 'syntax'],
    ['no colon', utf8('{"id" 1}'), 'syntax'],
    ['single quotes', utf8("{'id':1}"), 'syntax'],
    ['a comment', utf8('{/**/}'), 'syntax'],
    ['an empty array', utf8('[ ]'), 'empty'],
    ['an empty array of msgpack', concat([0x90]), 'empty'],
    ['no rows', concat([0x81, 0xa1, 0x6e, 0]), 'empty'],
    ['trailing bytes', utf8('{} x'), 'trailing_bytes'],
    ['two objects', utf8('{}{}'), 'trailing_bytes'],
    ['a trailing NUL', utf8('{}\0'), 'trailing_bytes'],
    ['trailing bytes of msgpack', concat([0x80, 0xc0]), 'trailing_bytes'],
    ['trailing bytes of an array of msgpack', concat([0x91, 0x80, 0]), 'trailing_bytes'],
    ['trailing bytes of columns', concat([0x81, 0xa1, 0x6e, 1, 0]), 'trailing_bytes'],
    ['a number among events', utf8('[1]'), 'type'],
    ['a string among events', utf8('["1"]'), 'type'],
    ['an array among events', utf8('[[{}]]'), 'nesting'],
    ['a number among maps', concat([0x91, 1]), 'type'],
    ['an array among maps', concat([0x91, 0x91, 0x80]), 'nesting'],
    ['NUL between tokens', utf8('{\0}'), 'syntax'],
    [
      'a lone surrogate in a name',
      concat(utf8('{"'), [0xed, 0xa0, 0x80], utf8('":1}')),
      'unknown_field',
    ],
    [
      'a lone surrogate in a value',
      concat(utf8('{"id":"1'), [0xed, 0xa0, 0x80], utf8('"}')),
      'number_form',
    ],
    ['invalid UTF-8', concat(utf8('{"id":"'), [0xff], utf8('"}')), 'number_form'],
    ['invalid UTF-8 in a msgpack name', concat([0x81, 0xa2, 0xff, 0xfe, 1]), 'unknown_field'],
    ['an escaped surrogate', utf8('{"id":"\\ud800"}'), 'escape'],
    ['a no-break space', utf8('{\u00a0}'), 'syntax'],
  ])('%s is refused', (_, body, rule) => {
    const error = refusal(() => parseCreate(transfers, body));
    expect([error.code, error.rule]).toEqual(['malformed_request', rule]);
    expect(error.message.length).toBeLessThan(400);
  });

  test('a full batch fits as JSON with all fields at their widest, flags by name, and blanks', () => {
    const widest = String(2n ** 128n - 2n);
    const flags = ['linked', 'pending', 'balancing_debit', 'balancing_credit', 'imported'];
    const event = JSON.stringify(
      {
        id: widest,
        debit_account_id: widest,
        credit_account_id: widest,
        amount: widest,
        pending_id: widest,
        user_data_128: widest,
        user_data_64: String(2n ** 64n - 1n),
        user_data_32: 2 ** 32 - 1,
        timeout: 2 ** 32 - 1,
        ledger: 2 ** 32 - 1,
        code: 2 ** 16 - 1,
        flags: [...flags, 'closing_debit', 'closing_credit'],
        timestamp: String(2n ** 63n - 1n),
      },
      undefined,
      1,
    );
    const body = utf8(`[${Array.from({ length: BATCH_EVENTS_MAX }, () => event).join(', ')}]`);
    expect(body.length).toBeGreaterThan(4 << 20);
    expect(parseCreate(transfers, body).batch.n).toBe(BATCH_EVENTS_MAX);
  });

  test('more than a full batch and more than 8 MiB are too large', () => {
    const full = Array.from({ length: BATCH_EVENTS_MAX }, () => '{}').join();
    expect(parseCreate(transfers, utf8(`[${full}]`)).batch.n).toBe(BATCH_EVENTS_MAX);
    const tooMany = 'too_large - batch_events_max';
    expect(refused(`[${full},{}]`)).toBe(tooMany);
    const maps = new Uint8Array(BATCH_EVENTS_MAX + 1).fill(0x80);
    const count = BATCH_EVENTS_MAX + 1;
    expect(refused(concat([0xdc, count >> 8, count & 255], maps))).toBe(tooMany);
    expect(refused(packr.pack({ n: count }))).toBe(tooMany);
    expect(refused(packr.pack({ n: 2n ** 60n }))).toBe(tooMany);
    expect(refusedLookup(JSON.stringify({ ids: Array(count).fill(1) }))).toBe(tooMany);
    expect(refusedLookup(packr.pack({ ids: Array(count).fill(1) }))).toBe(tooMany);
    const spaces = new Uint8Array(BODY_BYTES_MAX + 1).fill(0x20);
    expect(refused(spaces)).toBe('too_large - body_bytes_max');
    expect(refusedLookup(spaces)).toBe('too_large - body_bytes_max');
  });

  test.each<readonly [string, Uint8Array]>([
    ['100,000 arrays in JSON', utf8('['.repeat(100_000))],
    ['100,000 objects in JSON', utf8('{"id":'.repeat(100_000))],
    ['100,000 arrays in the flags', utf8(`{"flags":${'['.repeat(100_000)}`)],
    ['100,000 arrays in msgpack', new Uint8Array(100_000).fill(0x91)],
    [
      '100,000 maps in msgpack',
      concat([0x81, 0xa2, 0x69, 0x64], new Uint8Array(100_000).fill(0x81)),
    ],
    ['2^31 maps', concat([0xdd, 0x80, 0, 0, 0])],
    ['2^32 - 1 maps', concat([0xdd, 255, 255, 255, 255, 0x80])],
    ['2^31 fields', concat([0xdf, 0x80, 0, 0, 0])],
    ['a name of 2^31 bytes', concat([0x81, 0xdb, 0x80, 0, 0, 0, 0x69])],
    ['a bin of 2^31 bytes', concat([0x81, 0xa2, 0x69, 0x64, 0xc6, 0x80, 0, 0, 0, 1])],
    ['flags of 2^31 names', concat([0x81, 0xa5], utf8('flags'), [0xdd, 0x80, 0, 0, 0])],
  ])('%s are refused at once', (_, body) => {
    const before = process.memoryUsage().arrayBuffers;
    const error = refusal(() => parseCreate(transfers, body));
    expect(error.code).toBe('malformed_request');
    expect(['nesting', 'length', 'type']).toContain(error.rule);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });
});

describe('shapes', () => {
  const value = (i: number, column: number): bigint =>
    (maxOf(column) / BigInt(i + 2)) * (column === 11 ? 0n : 1n);
  const events = Array.from({ length: 40 }, (_, i) =>
    Array.from({ length: COLUMNS }, (__, column) =>
      column === 9 ? 7n : column === 8 ? 0n : value(i, column),
    ),
  );

  const asJson = (event: readonly bigint[]): object =>
    Object.fromEntries(
      TRANSFER_NAMES.map((name, column) => [
        name,
        COLUMN_BYTES[column]! >= 8 ? String(event[column]) : Number(event[column]),
      ]),
    );

  const asMap = (event: readonly bigint[]): object =>
    Object.fromEntries(
      TRANSFER_NAMES.map((name, column) => {
        const width = COLUMN_BYTES[column]!;
        if (width === 16) return [name, bytes16(event[column]!)];
        return [name, width === 8 ? event[column] : Number(event[column])];
      }),
    );

  const asColumns = (): object => ({
    n: events.length,
    ...Object.fromEntries(
      TRANSFER_NAMES.map((name, column) => [
        name,
        concat(...events.map((event) => bytes16(event[column]!).subarray(0, COLUMN_BYTES[column]))),
      ]),
    ),
  });

  test('the same transfers in every shape and encoding give the same rows', () => {
    const columns = packr.pack(asColumns());
    const first = parseCreate(transfers, columns);
    for (const [body, shape, encoding] of [
      [utf8(JSON.stringify(events.map(asJson))), 'many', 'json'],
      [utf8(JSON.stringify(events.map(asJson), null, 2)), 'many', 'json'],
      [packr.pack(events.map(asJson)), 'many', 'msgpack'],
      [packr.pack(events.map(asMap)), 'many', 'msgpack'],
      [columns, 'columns', 'msgpack'],
      [concat([0], columns).subarray(1), 'columns', 'msgpack'],
      [encodeColumns(first.batch), 'columns', 'msgpack'],
      [
        encodeColumns(parseCreate(transfers, packr.pack(events.map(asMap))).batch),
        'columns',
        'msgpack',
      ],
    ] as const) {
      const parsed = parseCreate(transfers, body);
      expect([parsed.shape, parsed.encoding]).toEqual([shape, encoding]);
      expect(rowsOf(parsed.batch)).toEqual(events);
    }
    for (const event of events) {
      for (const body of [utf8(JSON.stringify(asJson(event))), packr.pack(asMap(event))]) {
        const parsed = parseCreate(transfers, body);
        expect(parsed.shape).toBe('one');
        expect(rowsOf(parsed.batch)).toEqual([event]);
      }
    }
  });

  test('a row never shows what an earlier request wrote', () => {
    parseCreate(transfers, utf8(JSON.stringify(events.map(asJson))));
    const { batch } = parseCreate(transfers, utf8('[{"id":1},{"code":2}]'));
    const expected = [0, 1].map(() => Array.from({ length: COLUMNS }, () => 0n));
    expected[0]![0] = 1n;
    expected[1]![10] = 2n;
    expect(rowsOf(batch)).toEqual(expected);
    refusal(() => parseCreate(transfers, utf8('{"amount":5,"x":1}')));
    expect(rowsOf(parseCreate(transfers, concat([0x80])).batch)[0]![3]).toBe(0n);
  });

  test('a batch owns its bytes: the body may be overwritten afterwards', () => {
    const columns = Uint8Array.from(packr.pack(asColumns()));
    const { batch } = parseCreate(transfers, columns);
    columns.fill(0xff);
    parseCreate(transfers, utf8(JSON.stringify(events.map(asJson).toReversed())));
    expect(rowsOf(batch)).toEqual(events);
  });

  test('a column is a bin of n values or one value, whatever n is', () => {
    const id = bytes16(2n ** 127n + 5n);
    const idsOf = (body: object): bigint[] =>
      rowsOf(parseCreate(transfers, packr.pack(body)).batch).map((row) => row[0]!);
    expect(idsOf({ n: 1, id })).toEqual([2n ** 127n + 5n]);
    expect(idsOf({ id, n: 3 })).toEqual(Array(3).fill(2n ** 127n + 5n));
    expect(idsOf({ n: 2, id: 9n })).toEqual([9n, 9n]);
    expect(idsOf({ n: 2, id: String(2n ** 128n - 1n) })).toEqual(Array(2).fill(2n ** 128n - 1n));
    for (const length of [0, 1, 15, 17, 31, 33, 48]) {
      const body = packr.pack({ n: 2, id: new Uint8Array(length) });
      expect(refused(body)).toBe('malformed_request id length');
    }
    for (const [name, length] of [
      ['ledger', 4],
      ['code', 2],
      ['code', 3],
      ['timestamp', 7],
    ] as const) {
      const body = packr.pack({ n: 2, [name]: new Uint8Array(length) });
      expect(refused(body)).toBe(`malformed_request ${name} length`);
    }
  });
});

describe('parseLookup', () => {
  const ids = [0n, 1n, 2n ** 53n - 1n, 2n ** 64n, 2n ** 127n + 3n, 2n ** 128n - 1n];

  test('every form gives the same ids', () => {
    for (const [body, shape] of [
      [utf8(JSON.stringify({ ids: ids.map(String) })), 'many'],
      [
        utf8(
          ' { "ids" : [0, "1", 9007199254740991, "18446744073709551616",' +
            ` "${ids[4]}" , "${ids[5]}" ] } `,
        ),
        'many',
      ],
      [packr.pack({ ids: ids.map(String) }), 'many'],
      [packr.pack({ ids: ids.map(bytes16) }), 'many'],
      [packr.pack({ n: ids.length, id: concat(...ids.map(bytes16)) }), 'columns'],
      [packr.pack({ id: concat(...ids.map(bytes16)), n: ids.length }), 'columns'],
    ] as const) {
      const parsed = parseLookup(body);
      expect([parsed.shape, parsed.batch.kind]).toEqual([shape, BatchKind.ids]);
      expect(rowsOf(parsed.batch).map((row) => row[0])).toEqual(ids);
    }
  });

  test.each<readonly [string | Uint8Array, string]>([
    ['{}', ' missing_field'],
    ['[1]', ' type'],
    ['{"ids":[]}', 'ids empty'],
    ['{"ids":1}', 'ids type'],
    ['{"ids":[1,1e3]}', 'ids[1] number_form'],
    ['{"ids":[1,"x"]}', 'ids[1] number_form'],
    ['{"ids":[[1]]}', 'ids[0] nesting'],
    ['{"ids":[null]}', 'ids[0] type'],
    ['{"ids":[1],"ids":[1]}', 'ids doubled_field'],
    ['{"ids":[1],"limit":1}', 'limit unknown_field'],
    ['{"id":[1]}', 'id unknown_field'],
    ['{"__proto__":[1]}', '__proto__ unknown_field'],
    ['{"ids":[1]}}', ' trailing_bytes'],
    ['{"ids":[1', 'ids[0] syntax'],
    [packr.pack({}), ' missing_field'],
    [packr.pack({ id: 1 }), ' missing_field'],
    [packr.pack([1]), ' nesting'],
    [packr.pack({ ids: [] }), 'ids empty'],
    [packr.pack({ ids: 7 }), 'ids type'],
    [packr.pack({ ids: [1, 1.5] }), 'ids[1] float'],
    [packr.pack({ ids: [new Uint8Array(15)] }), 'ids[0] length'],
    [packr.pack({ ids: [1], n: 1 }), 'n unknown_field'],
    [packr.pack({ n: 2, id: new Uint8Array(33) }), 'id length'],
    [packr.pack({ n: 0 }), 'n empty'],
    [packr.pack({ n: 1, amount: 1 }), 'amount unknown_field'],
  ])('%s is refused', (body, expected) => {
    expect(refusedLookup(body)).toBe(`malformed_request ${expected}`);
  });

  test.each([
    "'; drop table transfers; --",
    '1 or 1=1',
    'acct.>',
    '*',
    '1.2',
    '1\r\nPUB x',
    '../../etc/passwd',
    '%00',
    'e\u0301',
    '\u00e9',
    'x'.repeat(1_000_000),
  ])('the id %.30j is refused everywhere', (id) => {
    const rules = ['number_form', 'escape'];
    expect(rules).toContain(refusal(() => parseLookup(utf8(JSON.stringify({ ids: [id] })))).rule);
    expect(rules).toContain(refusal(() => parseLookup(packr.pack({ ids: [id] }))).rule);
    expect(rules).toContain(refusal(() => parseLookup(packr.pack({ n: 1, id }))).rule);
    for (const name of ['id', 'debit_account_id']) {
      const json = utf8(JSON.stringify([{ [name]: id }]));
      expect(rules).toContain(refusal(() => parseCreate(transfers, json)).rule);
      const packed = packr.pack([{ [name]: id }]);
      expect(rules).toContain(refusal(() => parseCreate(transfers, packed)).rule);
    }
  });
});
