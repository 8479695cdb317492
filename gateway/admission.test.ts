import { expect, test } from 'vitest';
import { Admission, deadlineOf } from './admission.ts';

test('requests over the bound are overloaded, and leave room when they leave', async () => {
  const admission = new Admission({ requestsMax: 2 });
  admission.enter();
  admission.enter();
  expect(() => admission.enter()).toThrow(
    expect.objectContaining({ code: 'overloaded', retryable: true }),
  );
  admission.leave();
  admission.enter();
  expect([admission.requests, admission.refused]).toEqual([2, 1]);
  const idle = admission.idle();
  admission.leave();
  admission.leave();
  await idle;
});

test('bytes over the bound are overloaded', () => {
  const admission = new Admission({ bytesMax: 10 });
  admission.takeBytes(10);
  expect(() => admission.takeBytes(1)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  admission.giveBytes(10);
  admission.takeBytes(1);
  expect(admission.bytes).toBe(1);
});

test('a closed admission is not ready', () => {
  const admission = new Admission();
  admission.close();
  expect(() => admission.enter()).toThrow(expect.objectContaining({ code: 'not_ready' }));
});

test('nothing is given back that was not taken', () => {
  expect(() => new Admission().leave()).toThrow('a request leaves once');
  expect(() => new Admission().giveBytes(1)).toThrow(
    'no more bytes are given back than were taken',
  );
});

test.each([
  [undefined, 0],
  ['', 0],
  ['1', 1001],
  ['600000', 601_000],
])('the deadline header %s at second 1 is millisecond %i', (header, expected) => {
  expect(deadlineOf(header, 1000)).toBe(expected);
});

test.each(['0', '-1', '1.5', ' 1', '1e3', '600001', 'soon', '٣'])(
  'the deadline header %s is refused',
  (header) => {
    expect(() => deadlineOf(header, 0)).toThrow(
      expect.objectContaining({ code: 'malformed_request', field: 'Sycee-Deadline-Ms' }),
    );
  },
);
