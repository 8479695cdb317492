/** The model as a ledger: it undoes what fails, can be copied, and its digest tells ledgers apart. */
import { expect, test } from 'vitest';
import { SECOND, type AccountInput, type TransferInput } from './ledger-records.ts';
import { ModelLedger, type Result } from './model-ledger.ts';
import { placementOf } from './placement.ts';
import { WholeBatches } from './whole-batches.ts';

const accounts = [1n, 2n, 3n].map((id): AccountInput => ({ id, ledger: 1, code: 1, flags: 8 }));

function transferOf(id: bigint, more: Partial<TransferInput> = {}): TransferInput {
  const sides = { debitAccountId: 1n, creditAccountId: 2n };
  return { id, ...sides, amount: 10n, ledger: 1, code: 1, ...more };
}

function newLedger(): ModelLedger {
  const ledger = new ModelLedger(placementOf(2));
  ledger.createAccounts(accounts);
  return ledger;
}

const statusOf = (ledger: ModelLedger, event: TransferInput): string =>
  ledger.createTransfer(event).status;

test('a chain that fails leaves the ledger as it was, whatever it did', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const shardOf = placementOf(1);
    const ledger = new ModelLedger(shardOf);
    const placement = { shards: 1, shardOf };
    const batches = new WholeBatches({ seed, placement, now: () => ledger.now });
    const defects: (string | null)[] = [];
    for (let i = 0; i < 60; i++) {
      const batch = batches.next();
      if (batch.type === 'wait') ledger.advance(batch.seconds);
      else if (batch.type === 'accounts') ledger.createAccounts(batch.events);
      else {
        defects.push(defectOfFailedChain(ledger, batch.events));
        ledger.createTransfers(batch.events);
      }
    }
    expect(defects.filter((one) => one !== null)).toEqual([]);
  }
});

/** Books the events as one chain whose last event fails, and says what that has changed. */
function defectOfFailedChain(ledger: ModelLedger, events: readonly TransferInput[]): string | null {
  const before = wholeOf(ledger);
  const chain = events.map((event) => ({ ...event, flags: (event.flags ?? 0) | 1 }));
  const end = transferOf(1n << 90n, { code: 0, flags: chain[0]!.flags & 256 });
  const answers = ledger.createTransfers([...chain, end]);
  if (answers.some(({ status }) => status === 'created')) return 'something was created';
  return wholeOf(ledger) === before ? null : `${before} became ${wholeOf(ledger)}`;
}

/** All but the burnt ids: the event that breaks a chain may burn its own. */
function wholeOf(ledger: ModelLedger): string {
  const flags = ledger.accounts().map((one) => one.flags);
  return [ledger.digest().split(';').slice(0, 2), ledger.changes().length, flags].join(';');
}

test('a copy goes its own way, with what is pending in it', () => {
  const ledger = newLedger();
  ledger.createTransfers([transferOf(1n, { flags: 2, timeout: 5 }), transferOf(2n, { flags: 66 })]);
  const copy = ledger.clone();
  expect(copy.digest()).toBe(ledger.digest());
  copy.advance(5);
  expect(copy.digest()).not.toBe(ledger.digest());
  const end = { pendingId: 1n, flags: 4, ledger: 0, code: 0 };
  expect(statusOf(copy, transferOf(3n, end))).toBe('pending_transfer_expired');
  expect(statusOf(ledger, transferOf(3n, end))).toBe('debit_account_already_closed');
  const opens = { pendingId: 2n, flags: 8, ledger: 0, code: 0 };
  expect(statusOf(ledger, transferOf(4n, opens))).toBe('created');
  expect(statusOf(copy, transferOf(5n))).toBe('debit_account_already_closed');
  expect(statusOf(ledger, transferOf(5n))).toBe('created');
});

test('a digest of plain transfers names balances, transfers and burnt ids', () => {
  const ledger = newLedger();
  ledger.createTransfers([transferOf(1n), transferOf(2n, { creditAccountId: 9n })]);
  const shardOf = placementOf(2);
  const key = shardOf(1n);
  expect(ledger.digest()).toBe(`1 10 0,2 0 10,3 0 0;${key}/1;${key}/2`);
});

test('time goes by what is learnt: expired is what is as old as its timeout', () => {
  const ledger = newLedger();
  const second = 1_800_000_000n * SECOND;
  const expected = ledger.createTransfers([transferOf(1n, { flags: 2, timeout: 5 })]);
  const results: Result[] = [{ status: 'created', timestamp: second }];
  ledger.learn(expected, results);
  expect(ledger.now).toBe(second);
  const end = transferOf(2n, { pendingId: 1n, flags: 4, ledger: 0, code: 0 });
  ledger.advanceTo(second + 5n * SECOND - 1n);
  expect(ledger.clone().createTransfer(end).status).toBe('created');
  ledger.advanceTo(second + 5n * SECOND);
  expect(statusOf(ledger, end)).toBe('pending_transfer_expired');
  expect(ledger.lookupAccounts([1n])[0]).toMatchObject({ debitsPending: 0n, debitsPosted: 0n });
  expect(ledger.changes().map(({ type }) => type)).toEqual([
    'two_phase_pending',
    'two_phase_expired',
  ]);
});

test('an event that exists in the chain that made it has no original when that fails', () => {
  const ledger = newLedger();
  const twice = transferOf(1n, { flags: 1 });
  const answers = ledger.createTransfers([twice, twice, transferOf(2n)]);
  expect(answers.map(({ status }) => status)).toEqual([
    'linked_event_failed',
    'exists',
    'linked_event_failed',
  ]);
  expect(answers[1]!.record).toBeUndefined();
});
