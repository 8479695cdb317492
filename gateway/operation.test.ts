import { Packr } from 'msgpackr';
import { expect, test } from 'vitest';
import { FakeRouter } from '../test/support/fake-router.ts';
import { type Operation, OPERATIONS, startOperation } from './operation.ts';

const packr = new Packr({ useRecords: false });

const TRANSFER = { id: 9, debit_account_id: '1', credit_account_id: 2, amount: 5, ledger: 1 };
const MORE = { ...TRANSFER, id: '10', user_data_128: '340282366920938463463374607431768211455' };
const ACCOUNT = { id: '1', ledger: 1, code: 7, flags: ['history'], user_data_64: '9' };
const PAGE = { limit: 2, cursor: '1', timestamp_min: '1', flags: ['reversed'] };

function column(...values: readonly bigint[]): Uint8Array {
  const bytes = Buffer.alloc(16 * values.length);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(value, 16 * i);
  return bytes;
}

const COLUMNS = {
  n: 2,
  id: column(11n, 12n),
  debit_account_id: column(1n, 2n),
  credit_account_id: column(2n, 1n),
  amount: 7,
  ledger: 1,
  code: 1,
};
const IDS = { ids: [9, '10', 11] };

const FORMS: Readonly<Record<Operation, readonly object[]>> = {
  create_accounts: [
    ACCOUNT,
    [ACCOUNT, { ...ACCOUNT, id: 3 }],
    { n: 2, id: column(4n, 5n), ledger: 1 },
  ],
  create_transfers: [TRANSFER, [TRANSFER, MORE], COLUMNS],
  lookup_accounts: [{ ids: ['1', 3] }, { n: 1, id: column(3n) }],
  lookup_transfers: [IDS, { n: 2, id: column(9n, 11n) }],
  get_account_transfers: [{ account_id: '1', ...PAGE }],
  get_account_balances: [{ account_id: 2, ...PAGE }],
  query_accounts: [{ user_data_64: '9', ...PAGE }],
  query_transfers: [{ user_data_128: MORE.user_data_128, ...PAGE }],
  get_change_events: [{ limit: 2, cursor: '1', timestamp_min: '1' }],
};

interface Request {
  readonly operation: Operation;
  readonly bytes: Buffer;
}

const REQUESTS: readonly Request[] = OPERATIONS.flatMap((operation) =>
  FORMS[operation].flatMap((form) => {
    const isColumnar = 'n' in form;
    const packed = { operation, bytes: packr.pack(form) };
    if (isColumnar) return [packed];
    return [packed, { operation, bytes: Buffer.from(JSON.stringify(form)) }];
  }),
);

/** All of them at one router, all begun before the first goes on. */
async function answersTo(requests: readonly Request[], isOverwritten: boolean): Promise<unknown> {
  const router = new FakeRouter();
  let open = (): void => undefined;
  router.gate = new Promise((resolve) => {
    open = resolve;
  });
  const asked = requests.map(({ operation, bytes }) => {
    const body = Buffer.from(bytes);
    const answer = startOperation(router, operation, body, { deadlineMs: 0 });
    if (isOverwritten) body.fill(0xa5);
    return answer;
  });
  open();
  const answers = await Promise.all(asked);
  const batches = router.batches.map(({ words }) => [...words]);
  return { answers, batches, filters: router.filters };
}

test('nothing of a request is read after it was begun: its bytes may be overwritten', async () => {
  const kept = await answersTo(REQUESTS, false);
  expect(await answersTo(REQUESTS, true)).toEqual(kept);
});
