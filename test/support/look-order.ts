/** The log of a run of a scenario, and what look-ups of accounts may have seen in it. */
import type { Result, TransferInput } from './model-ledger.ts';
import type { Part, Plan, Scenario } from './scenario-plans.ts';
import type { Operation } from './serial-order.ts';

export type Entry =
  | { readonly text: string; readonly type: 'ask'; readonly plan: Plan }
  | {
      readonly text: string;
      readonly type: 'expired';
      readonly home: number;
      readonly id: bigint;
      readonly timestamp: bigint;
    }
  | {
      readonly text: string;
      readonly type: 'told';
      readonly part: Part;
      readonly plan: Plan;
      readonly results: readonly Result[];
    };

interface Touch {
  readonly asked: number;
  readonly told: number;
  /** What the look-up saw, or what the transfer added. */
  readonly seen: string | null;
  readonly debits: bigint;
  readonly credits: bigint;
}

/** The look-ups of each account have an order among the transfers that touched it. */
export function lookDefect(
  log: readonly Entry[],
  operations: readonly Operation[],
  scenario: Scenario,
): string | null {
  const looks = log.flatMap((entry, i) =>
    entry.type === 'told' && entry.part.frame === null
      ? [{ entry, told: i, asked: log.findIndex((one) => one.text === entry.plan.key) }]
      : [],
  );
  if (looks.length === 0) return null;
  // The same count of time for both: places in the log.
  const placeOf = (transfer: TransferInput, type: 'ask' | 'told'): number =>
    log.findIndex((entry) => entry.type === type && hasEvent(entry, transfer));
  const created = operations.flatMap(({ unit, results }) =>
    unit.type === 'transfers'
      ? unit.events.filter((_, i) => results![i]!.status === 'created')
      : [],
  );
  for (const id of new Set(looks.map(({ entry }) => entry.part.look))) {
    const touches: Touch[] = looks
      .filter(({ entry }) => entry.part.look === id)
      .map(({ entry, told, asked }) => {
        return { asked, told, seen: entry.results[0]!.status, debits: 0n, credits: 0n };
      });
    for (const transfer of created) {
      const { debitAccountId, creditAccountId, amount } = transfer;
      if (debitAccountId !== id && creditAccountId !== id) continue;
      const debits = debitAccountId === id ? amount : 0n;
      const credits = creditAccountId === id ? amount : 0n;
      const asked = placeOf(transfer, 'ask');
      touches.push({ asked, told: placeOf(transfer, 'told'), seen: null, debits, credits });
    }
    const funded = scenario.funding.reduce(
      ([debits, credits], one) => [
        debits + (one.debitAccountId === id ? one.amount : 0n),
        credits + (one.creditAccountId === id ? one.amount : 0n),
      ],
      [0n, 0n],
    ) as [bigint, bigint];
    if (!hasOrder(touches, funded)) return `a look-up of account ${id} fits nowhere`;
  }
  return null;
}

function hasEvent(entry: Entry, transfer: TransferInput): boolean {
  if (entry.type === 'expired') return false;
  const isIt = (place: number): boolean => {
    const event = entry.plan.events[place];
    return event?.type === 'transfer' && event.transfer === transfer;
  };
  return entry.type === 'ask'
    ? entry.plan.events.some((_, place) => isIt(place))
    : entry.part.places.some(isIt);
}

function hasOrder(
  touches: readonly Touch[],
  [debits, credits]: readonly [bigint, bigint],
): boolean {
  if (touches.length === 0) return true;
  const firstTold = Math.min(...touches.map(({ told }) => told));
  return touches.some((one, i) => {
    if (one.asked > firstTold) return false;
    if (one.seen !== null && one.seen !== `${debits}/${credits}`) return false;
    const rest = touches.toSpliced(i, 1);
    return hasOrder(rest, [debits + one.debits, credits + one.credits]);
  });
}
