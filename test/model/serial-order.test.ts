/** The checker itself: it accepts what some serial order explains, and nothing else. */
import { describe, expect, test } from 'vitest';
import { Prng } from '../../lib/prng.ts';
import { ModelLedger, type Result } from '../support/model-ledger.ts';
import { placementOf } from '../support/placement.ts';
import {
  History,
  SEARCH_EVENTS_MAX,
  explainedBySearch,
  explainedByTimestamps,
  type LedgerEvent,
  type Operation,
} from '../support/serial-order.ts';

const ALICE = 1n; // debits must not exceed credits
const BANK = 2n;
const SHOP = 3n;
const FLAGS = new Map([[ALICE, 2]]);
const flagsOf = (accountId: bigint): number => FLAGS.get(accountId) ?? 0;

function newLedger(): ModelLedger {
  const ledger = new ModelLedger(placementOf(2));
  for (const id of [ALICE, BANK, SHOP]) {
    const expected = ledger.createAccount({ id, ledger: 1, code: 1, flags: flagsOf(id) });
    ledger.learn([expected], [{ status: 'created', timestamp: id }]);
  }
  return ledger;
}

let nextTimestamp = 1000n;

/** A transfer with the time of its request and of its answer. */
function told(
  [invoked, responded]: readonly [number, number],
  [id, debitAccountId, creditAccountId, amount]: readonly [bigint, bigint, bigint, bigint],
  status: string | null,
): Operation {
  const transfer = { id, debitAccountId, creditAccountId, amount, ledger: 1, code: 1 };
  const results = status === null ? null : [{ status, timestamp: nextTimestamp++ }];
  return { unit: { type: 'transfers', events: [transfer] }, invoked, responded, results };
}

describe('explainedBySearch', () => {
  const isExplained = (...history: readonly Operation[]): boolean =>
    explainedBySearch(newLedger(), history).isExplained;

  test('money that came in before can be spent, and money that came later cannot', () => {
    const income = [10n, BANK, ALICE, 5n] as const;
    const spending = [11n, ALICE, SHOP, 5n] as const;
    expect(isExplained(told([1, 2], income, 'created'), told([3, 4], spending, 'created'))).toBe(
      true,
    );
    expect(
      isExplained(told([1, 2], income, 'created'), told([3, 4], spending, 'exceeds_credits')),
    ).toBe(false);
    expect(isExplained(told([3, 4], income, 'created'), told([1, 2], spending, 'created'))).toBe(
      false,
    );
    expect(
      isExplained(told([3, 4], income, 'created'), told([1, 2], spending, 'exceeds_credits')),
    ).toBe(true);
  });

  test('requests that overlap may take either order', () => {
    const income = told([1, 4], [10n, BANK, ALICE, 5n], 'created');
    expect(isExplained(income, told([2, 3], [11n, ALICE, SHOP, 5n], 'created'))).toBe(true);
    expect(isExplained(income, told([2, 3], [11n, ALICE, SHOP, 5n], 'exceeds_credits'))).toBe(true);
  });

  test('two that spend the same money cannot both have it', () => {
    const income = told([1, 2], [10n, BANK, ALICE, 5n], 'created');
    const one = told([3, 6], [11n, ALICE, SHOP, 5n], 'created');
    expect(isExplained(income, one, told([4, 5], [12n, ALICE, BANK, 5n], 'exceeds_credits'))).toBe(
      true,
    );
    expect(isExplained(income, one, told([4, 5], [12n, ALICE, BANK, 5n], 'created'))).toBe(false);
    expect(isExplained(income, told([4, 5], [12n, ALICE, BANK, 5n], 'exceeds_credits'))).toBe(
      false,
    );
  });

  test('one id is created once, and exists has the timestamp of the original', () => {
    const one = told([1, 4], [10n, BANK, SHOP, 5n], 'created');
    const again = told([2, 3], [10n, BANK, SHOP, 5n], 'exists');
    const { timestamp } = one.results![0]!;
    const original = { ...again, results: [{ status: 'exists', timestamp }] };
    expect(isExplained(one, original)).toBe(true);
    expect(isExplained(one, again)).toBe(false);
    expect(isExplained(one, told([2, 3], [10n, BANK, SHOP, 5n], 'created'))).toBe(false);
    expect(isExplained(original)).toBe(false);
  });

  test('a burnt id stays burnt', () => {
    const burnt = told([1, 2], [10n, ALICE, SHOP, 5n], 'exceeds_credits');
    const income = told([3, 4], [11n, BANK, ALICE, 5n], 'created');
    expect(
      isExplained(burnt, income, told([5, 6], [10n, ALICE, SHOP, 5n], 'id_already_failed')),
    ).toBe(true);
    expect(isExplained(burnt, income, told([5, 6], [10n, ALICE, SHOP, 5n], 'created'))).toBe(false);
    expect(isExplained(income, told([5, 6], [10n, ALICE, SHOP, 5n], 'id_already_failed'))).toBe(
      false,
    );
  });

  test('an event without an answer happened, or not, but not before it was asked', () => {
    const spending = told([3, 4], [11n, ALICE, SHOP, 5n], 'created');
    const broke = told([3, 4], [11n, ALICE, SHOP, 5n], 'exceeds_credits');
    const open = told([1, Infinity], [10n, BANK, ALICE, 5n], null);
    expect(isExplained(open, spending)).toBe(true);
    expect(isExplained(open, broke)).toBe(true);
    expect(isExplained({ ...open, invoked: 5 }, spending)).toBe(false);
    expect(isExplained(open, broke, told([5, 6], [12n, ALICE, SHOP, 5n], 'created'))).toBe(true);
    expect(isExplained(open, spending, told([5, 6], [12n, ALICE, SHOP, 5n], 'created'))).toBe(
      false,
    );
  });

  test('an event of a batch comes after those that it depends on', () => {
    const spending = told([1, 2], [11n, ALICE, SHOP, 5n], 'exceeds_credits');
    const income = told([1, 2], [10n, BANK, ALICE, 5n], 'created');
    expect(isExplained(income, spending)).toBe(true);
    expect(isExplained(income, { ...spending, after: [0] })).toBe(false);
  });

  test('a lost update is found among many clients', () => {
    const events: Operation[] = [told([0, 1], [9n, BANK, ALICE, 10n], 'created')];
    for (let i = 0n; i < 11n; i++) {
      events.push(
        told([2, 3], [10n + i, ALICE, SHOP, 1n], i < 10n ? 'created' : 'exceeds_credits'),
      );
    }
    expect(isExplained(...events)).toBe(true);
    const eleventh = { ...events.at(-1)!, results: [{ status: 'created', timestamp: 1n }] };
    expect(isExplained(...events.slice(0, -1), eleventh)).toBe(false);
  });
});

describe('explainedByTimestamps', () => {
  const income = told([1, 9], [10n, BANK, ALICE, 5n], 'created');
  const spending = told([1, 9], [11n, ALICE, SHOP, 5n], 'created');
  const explain = (history: readonly Operation[], withFailed = false): boolean =>
    explainedByTimestamps(newLedger(), history, { withFailed }).isExplained;
  const at = (operation: Operation, timestamp: bigint): Operation => ({
    ...operation,
    results: [{ ...operation.results![0]!, timestamp }],
  });

  test('created events replay in the order of their timestamps, whatever that of the answers', () => {
    expect(explain([at(spending, 8n), at(income, 7n)])).toBe(true);
    expect(explain([at(spending, 7n), at(income, 8n)])).toBe(false);
    expect(explain([at(spending, 7n), at(income, 7n)])).toBe(false);
    expect(explain([spending])).toBe(false);
  });

  test('failed events take part only where the caller says so', () => {
    const failed = told([1, 9], [12n, ALICE, SHOP, 1n], 'exceeds_credits');
    const history = [at(income, 7n), at(failed, 8n), at(spending, 9n)];
    expect(explain(history, false)).toBe(true);
    expect(explain(history, true)).toBe(false);
    expect(explain([at(failed, 6n), at(income, 7n), at(spending, 9n)], true)).toBe(true);
  });

  test('exists is held against its original, and a burnt id against the created ones', () => {
    const again = told([1, 9], [10n, BANK, ALICE, 5n], 'exists');
    expect(explain([at(income, 7n), at(again, 7n)])).toBe(true);
    expect(explain([at(income, 7n), at(again, 8n)])).toBe(false);
    expect(explain([at(again, 7n)])).toBe(false);
    const burnt = told([1, 9], [11n, ALICE, SHOP, 5n], 'exceeds_credits');
    expect(explain([at(income, 7n), at(burnt, 6n), at(spending, 8n)])).toBe(false);
  });
});

/** A system that is right: each event happens at some moment between its request and its answer. */
async function recordRandomly(prng: Prng, history: History, ledger: ModelLedger): Promise<void> {
  const clients = Array.from({ length: 4 }, async (_, client) => {
    for (let i = 0; i < 2; i++) {
      const events = Array.from({ length: prng.between(1, 2) }, () => randomEvent(prng));
      await history.record(events, async () => {
        const results: Result[] = [];
        for (const event of events) {
          for (let turns = prng.below(6) + client; turns > 0; turns--) await Promise.resolve();
          results.push(happen(ledger, event));
        }
        return results;
      });
    }
  });
  await Promise.all(clients);
}

function randomEvent(prng: Prng): LedgerEvent {
  const debitAccountId = prng.pick([ALICE, ALICE, BANK, SHOP]);
  const creditAccountId = prng.pick([ALICE, BANK, SHOP]);
  const id = BigInt(prng.between(10, 18));
  const amount = BigInt(prng.between(1, 3));
  const transfer = { id, debitAccountId, creditAccountId, amount, ledger: 1, code: 1 };
  return { type: 'transfer', transfer };
}

function happen(ledger: ModelLedger, event: LedgerEvent): Result {
  if (event.type === 'account') throw new Error('no accounts here');
  const expected = ledger.createTransfer(event.transfer);
  const result = { status: expected.status, timestamp: nextTimestamp++ };
  ledger.learn([expected], [result]);
  return expected.status === 'exists'
    ? { ...result, timestamp: expected.record!.timestamp }
    : result;
}

test('random valid histories are accepted, and most of those with one false status are not', async () => {
  let planted = 0;
  let found = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const prng = new Prng(seed);
    const history = new History({ shardOf: placementOf(2) });
    await recordRandomly(prng, history, newLedger());
    const { operations } = history;
    expect(operations.length).toBeLessThanOrEqual(SEARCH_EVENTS_MAX);
    expect(explainedBySearch(newLedger(), operations)).toMatchObject({ isExplained: true });
    expect(explainedByTimestamps(newLedger(), operations, { withFailed: true })).toMatchObject({
      isExplained: true,
    });
    const wrong = prng.below(operations.length);
    const old = operations[wrong]!.results![0]!;
    if (old.status !== 'created' && old.status !== 'exceeds_credits') continue;
    const status = old.status === 'created' ? 'exceeds_credits' : 'created';
    const results = [{ ...old, status }];
    const falsified = operations.with(wrong, { ...operations[wrong]!, results });
    planted++;
    if (!explainedBySearch(newLedger(), falsified).isExplained) found++;
  }
  // The rest is explained by another order, as it should be.
  expect(planted).toBeGreaterThan(50);
  expect(found / planted).toBeGreaterThan(0.85);
});
