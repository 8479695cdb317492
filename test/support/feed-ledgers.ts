/** Feeds a system and the model the same random batches, one after the other, and holds every reply against the model's. */
import type { LedgerClient } from './ledger-client.ts';
import type { Result } from './ledger-records.ts';
import { differenceOfResults, type ModelLedger } from './model-ledger.ts';
import type { WholeBatch, WholeBatches } from './whole-batches.ts';

/** A little more than it says: what was created in the same instant is older than the seconds waited. */
const WAIT_MORE_SECONDS = 0.001;

export interface Fed {
  readonly client: LedgerClient;
  readonly model: ModelLedger;
  readonly batches: WholeBatches;
  /** Turns the system's clock, and resolves when all that is then due has expired. */
  readonly advance: (seconds: number) => Promise<void>;
}

/** Feeds both until so many events went in. Throws where they differ. */
export async function feedWhole(fed: Fed, eventsMin: number): Promise<void> {
  for (let events = 0; events < eventsMin;) {
    const batch = fed.batches.next();
    if (batch.type !== 'wait') events += batch.events.length;
    await feedBatch(fed, batch);
  }
}

export async function feedBatch(fed: Fed, batch: WholeBatch): Promise<readonly Result[]> {
  const { client, model, batches, advance } = fed;
  if (batch.type === 'wait') {
    const seconds = batch.seconds + WAIT_MORE_SECONDS;
    await advance(seconds);
    model.advance(seconds);
    return [];
  }
  const isOfAccounts = batch.type === 'accounts';
  const { results } = isOfAccounts
    ? await client.createAccounts(batch.events)
    : await client.createTransfers(batch.events);
  const expected = isOfAccounts
    ? model.createAccounts(batch.events)
    : model.createTransfers(batch.events);
  model.learn(expected, results);
  const difference = differenceOfResults(expected, results);
  if (difference !== null) {
    throw new Error(`${batch.events.length} ${batch.type}: ${difference}`);
  }
  if (!isOfAccounts) {
    const statuses = results.map(({ status }) => status);
    batches.learn(batch.events, statuses);
  }
  return results;
}
