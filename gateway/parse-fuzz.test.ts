/** Hostile bytes: sound requests mutated at random. Whatever comes, the outcome is a batch, a filter, or a `SyceeError`, and soon. */
import { Packr } from 'msgpackr';
import { expect, test } from 'vitest';
import { batchDefect, BatchKind } from '../engine/batch.ts';
import { Prng } from '../lib/prng.ts';
import { SyceeError } from '../lib/sycee-error.ts';
import { rulesOf } from './field-rules.ts';
import { encodingOfBody, parseCreate, parseLookup } from './parse-command.ts';
import { parseFilter } from './parse-filter.ts';
import { QUERY_OPERATIONS } from './wire-codec-filters.ts';

const CASES = 50_000;
const SEED = 20_260_411;
const SLOW_MS = 50;
/** Two creates, lookups, and every kind of filter. */
const OPERATIONS = 3 + QUERY_OPERATIONS.length;

const packr = new Packr({ useRecords: false });
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const one = {
  id: '338953138925153547590470800371487866881',
  debit_account_id: '1',
  credit_account_id: 2,
  amount: '18446744073709551616',
  user_data_64: '18446744073709551615',
  ledger: 1,
  code: 10,
  flags: [],
};
const account = { id: '7', ledger: 1, code: 1, flags: ['debits_must_not_exceed_credits'] };

const seeds: readonly Uint8Array[] = [
  utf8(JSON.stringify(one)),
  utf8(JSON.stringify([one, one], null, 1)),
  utf8(JSON.stringify([account, { ...account, flags: 6 }])),
  utf8('{"ids":["1",2,"340282366920938463463374607431768211455"]}'),
  packr.pack(one),
  packr.pack([one, { ...one, id: new Uint8Array(16).fill(1), user_data_64: 2n ** 64n - 1n }]),
  packr.pack(account),
  packr.pack({ n: 3, id: new Uint8Array(48).fill(3), ledger: 1, code: new Uint8Array(6).fill(1) }),
  packr.pack({ n: 2, id: 1, flags: new Uint8Array(4), timestamp: new Uint8Array(8) }),
  packr.pack({ ids: [1, '2', new Uint8Array(16)] }),
  packr.pack({ n: 2, id: new Uint8Array(32) }),
].map((bytes) => Uint8Array.from(bytes));

const filterSeeds: readonly Uint8Array[] = [
  utf8('{"account_id":"1","limit":10,"flags":["debits","reversed"],"cursor":"AbC-_9"}'),
  utf8('{"ledger":1,"user_data_128":"7","timestamp_min":"5","flags":1}'),
  packr.pack({ account_id: new Uint8Array(16).fill(1), flags: ['credits'], columns: true }),
  packr.pack({ timestamp_max: 2n ** 63n, limit: 8189, cursor: 'x' }),
].map((bytes) => Uint8Array.from(bytes));

const texts =
  '{ } [ ] , : " - 1e400 0 null "id": "ids":[1] __proto__ "flags":["linked"] 99999999999999999999'
    .split(' ')
    .concat('\\', '\0', '９', '\ud800', ' \n\t');
const heads = [
  0xc0, 0xc1, 0xc4, 0xc7, 0xca, 0xcb, 0xcf, 0xd3, 0xd6, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xff,
];
const fragments: readonly Uint8Array[] = texts.map(utf8).concat(
  heads.map((byte) => Uint8Array.of(byte)),
  Uint8Array.of(0xdd, 255, 255, 255, 255),
  Uint8Array.of(0xa2, 0x69, 0x64),
  Uint8Array.of(0xc6, 128, 0, 0, 0),
);

function mutated(prng: Prng, sound: readonly Uint8Array[]): Uint8Array {
  const below = (limit: number): number => prng.below(limit);
  let bytes = sound[below(sound.length)]!;
  for (let left = 1 + below(4); left > 0; left--) {
    const at = below(bytes.length + 1);
    const rest = at + below(bytes.length - at + 1);
    switch (below(6)) {
      case 0:
        bytes = Uint8Array.from(bytes);
        if (at < bytes.length) bytes[at] = bytes[at]! ^ (1 << below(8));
        break;
      case 1:
        bytes = Uint8Array.from(bytes);
        if (at < bytes.length) bytes[at] = below(256);
        break;
      case 2:
        bytes = bytes.slice(0, at);
        break;
      case 3:
        bytes = joined(bytes.subarray(0, at), bytes.subarray(rest));
        break;
      case 4:
        bytes = joined(bytes.subarray(0, rest), bytes.subarray(at));
        break;
      default:
        bytes = joined(
          bytes.subarray(0, at),
          fragments[below(fragments.length)]!,
          bytes.subarray(at),
        );
    }
  }
  return bytes;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

type Outcome = 'batch' | 'filter' | 'refused';

function parsed(body: Uint8Array, operation: number): Outcome {
  try {
    if (operation > 2) {
      parseFilter(QUERY_OPERATIONS[operation - 3]!, encodingOfBody(body), body);
      return 'filter';
    }
    const kind = operation === 0 ? BatchKind.transfers : BatchKind.accounts;
    const { batch } = operation === 2 ? parseLookup(body) : parseCreate(kind, body);
    const defect = batchDefect(batch.words, 0, batch.byteLength);
    if (defect !== null) throw new Error(`the batch is ${defect}`);
    return 'batch';
  } catch (error: unknown) {
    if (!(error instanceof SyceeError)) throw error;
    if (error.rule === undefined) throw new Error('the refusal names no rule', { cause: error });
    return 'refused';
  }
}

test(`${CASES} mutated requests give a batch, a filter, or a refusal, none of them slowly (seed ${SEED})`, () => {
  const prng = new Prng(SEED);
  const count = { batch: 0, filter: 0, refused: 0 };
  for (let i = 0; i < CASES; i++) {
    const operation = prng.below(OPERATIONS);
    const body = mutated(prng, operation < 3 ? seeds : filterSeeds);
    const shown = (): string =>
      `case ${i}, operation ${operation}: ${Buffer.from(body).toString('hex')}`;
    const timed = (): number => {
      const start = performance.now();
      try {
        count[parsed(body, operation)]++;
      } catch (error: unknown) {
        throw new Error(shown(), { cause: error });
      }
      return performance.now() - start;
    };
    // A pause of the machine is not the parser's: what is slow must be so again.
    if (timed() > SLOW_MS && timed() > SLOW_MS) throw new Error(`slow: ${shown()}`);
  }
  expect(count.batch).toBeGreaterThan(CASES / 150);
  expect(count.filter).toBeGreaterThan(CASES / 150);
  expect(count.refused).toBeGreaterThan(CASES / 2);
  expect(Object.keys(Object.prototype)).toEqual([]);
});

test('every prefix of a sound request is refused, and every single bit flip is survived', () => {
  for (const body of [...seeds, ...filterSeeds]) {
    for (let length = 0; length < body.length; length++) {
      for (let operation = 0; operation < OPERATIONS; operation++) {
        expect(parsed(body.slice(0, length), operation)).toBe('refused');
      }
    }
    for (let bit = 0; bit < body.length * 8; bit++) {
      const flipped = Uint8Array.from(body);
      flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7));
      for (let operation = 0; operation < OPERATIONS; operation++) parsed(flipped, operation);
    }
  }
});

test('the largest bodies that a transport lets through are read within a few blinks', () => {
  const names = rulesOf(BatchKind.transfers).fields.names;
  const widest = (name: string): string =>
    name.endsWith('_id') || name === 'id' ? `"${'1'.repeat(38)}"` : '0';
  const event = `{${names.map((name) => `"${name}":${widest(name)}`).join()}}`;
  const many = utf8(`[${Array.from({ length: 8189 }, () => event).join()}]`);
  const long = utf8(`{"id":"${'1'.repeat(4_000_000)}"}`);
  const blank = utf8(`${' '.repeat(2_000_000)}{}${' '.repeat(2_000_000)}`);
  const nested = utf8('['.repeat(4_000_000));
  for (const body of [many, long, blank, nested]) {
    const start = performance.now();
    parsed(body, 0);
    expect(performance.now() - start).toBeLessThan(1000);
  }
});
