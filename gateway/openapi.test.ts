// oxlint-disable-next-line import/extensions -- this package has no export map
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { BatchKind } from '../engine/batch.ts';
import { ACCOUNT_INPUTS, IDS, QUERY, TRANSFER_INPUTS } from './openapi-examples.ts';
import { openapiDocument } from './openapi.ts';
import { parseCreate, parseLookup } from './parse-command.ts';
import { parseFilter } from './parse-filter.ts';

const ajv = new Ajv2020({ strict: false, validateFormats: false });
const document = openapiDocument('1');
ajv.addSchema(document, 'openapi');

/** Every example with the schema beside it, and where both stand. */
function examplesOf(value: unknown, path: string): (readonly [string, unknown])[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'example' in value ? [[`${path}/schema`, value.example] as const] : [];
  const nested = Object.entries(value).flatMap(([name, each]) =>
    name === 'example'
      ? []
      : examplesOf(each, `${path}/${encodeURIComponent(name.replaceAll('/', '~1'))}`),
  );
  return [...own, ...nested];
}

test('every example fits the schema that stands beside it', () => {
  const examples = examplesOf(document, '');
  expect(examples.length).toBeGreaterThan(10);
  for (const [path, example] of examples) {
    const validate = ajv.getSchema(`openapi#${path}`)!;
    expect([path, validate(example), validate.errors]).toEqual([path, true, null]);
  }
});

test('the examples of requests are taken as they stand', () => {
  const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  expect(parseCreate(BatchKind.accounts, bytes(ACCOUNT_INPUTS)).batch.n).toBe(2);
  expect(parseCreate(BatchKind.transfers, bytes(TRANSFER_INPUTS)).batch.n).toBe(3);
  expect(parseLookup(bytes(IDS)).batch.n).toBe(2);
  expect(parseFilter('query_transfers', 'json', bytes(QUERY)).filter.reversed).toBe(true);
});

test('every path says what it is and how it can fail', () => {
  const paths = document['paths'] as Record<string, Record<string, Record<string, object>>>;
  for (const [path, methods] of Object.entries(paths)) {
    for (const { operationId, summary, responses } of Object.values(methods)) {
      expect([path, typeof operationId, typeof summary]).toEqual([path, 'string', 'string']);
      const named = expect.arrayContaining(['200', 'default']) as unknown;
      expect([path, Object.keys(responses!)]).toEqual([path, named]);
    }
  }
});
