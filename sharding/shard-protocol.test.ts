import { describe, expect, test } from 'vitest';
import { SHARDS_MAX } from '../engine/limits.ts';
import { DataDirectoryError, JournalError } from '../persistence/errors.ts';
import { linkRingBytes, serializeError } from './shard-protocol.ts';

describe('serializeError', () => {
  test('keeps name, message, code, and exit code, with every cause', () => {
    const root = new Error('disk full');
    const middle = new JournalError('JOURNAL_WRITE_FAILED', 'the append failed', root);
    const error = new DataDirectoryError('DATA_DAMAGED', 'bring back a backup', middle);
    const plain = structuredClone(serializeError(error));
    expect(plain).toMatchObject({
      name: 'DataDirectoryError',
      message: 'bring back a backup',
      code: 'DATA_DAMAGED',
      exitCode: 3,
      cause: {
        name: 'JournalError',
        code: 'JOURNAL_WRITE_FAILED',
        exitCode: undefined,
        cause: { name: 'Error', message: 'disk full', code: undefined, cause: undefined },
      },
    });
    expect(plain.stack).toContain('bring back a backup');
  });

  test('what was thrown and is no error becomes one; codes that are not text are left out', () => {
    expect(serializeError('no')).toMatchObject({ name: 'Error', message: 'no', code: undefined });
    expect(serializeError(undefined).message).toBe('undefined');
    expect(serializeError(Object.assign(new Error('x'), { code: 5, exitCode: '3' }))).toMatchObject(
      {
        code: undefined,
        exitCode: undefined,
      },
    );
    expect(serializeError(new Error('x', { cause: 'y' })).cause).toMatchObject({ message: 'y' });
  });
});

test('all link rings together stay within their bound, and each is a power of two', () => {
  for (let shards = 1; shards <= SHARDS_MAX; shards++) {
    const bytes = linkRingBytes(shards);
    expect(Number.isInteger(Math.log2(bytes))).toBe(true);
    expect(bytes * shards * (shards - 1)).toBeLessThanOrEqual(256 << 20);
    expect(bytes).toBeGreaterThanOrEqual(64 << 10);
  }
});
