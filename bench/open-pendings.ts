/**
 * What an open pending transfer takes in memory: so many are created and left open. Table bytes are what the shards have for accounts, ids,
 * and open pending transfers; their growth is exact, in steps of what the tables grow by. Resident growth is of the whole process, and in
 * process that includes the load and what the router remembers. In the end every amount is pending and nothing is posted.
 */
import { growthOfEach } from './figures.ts';
import { createTransfers } from './load.ts';
import {
  type Bench,
  type Measured,
  runScenario,
  type ScenarioContext,
  type ScenarioResult,
} from './scenario.ts';
import { residentBytes } from './target.ts';

export function openPendings(context: ScenarioContext): Promise<ScenarioResult> {
  const { timeoutSeconds, hasUserData } = context.options.scenarioOptions;
  return runScenario(context, {
    load: { transfers: { pendingTimeoutSeconds: timeoutSeconds, hasUserData } },
    measure,
    amountsIn: 'pending',
  });
}

async function measure(bench: Bench): Promise<Measured> {
  const { target, workload, books, options, signal, say } = bench;
  const count = options.scenarioOptions.pendings;
  const tablesBefore = target.tableBytes();
  const residentBefore = await residentBytes(target.pid);
  say(`creating ${count} pending transfers`);
  const load = await createTransfers(target.client, workload, books, {
    inFlight: options.inFlight,
    signal,
    count,
  });
  const { transfers: open, seconds, latency } = load;
  const tables = target.tableBytes();
  const resident = await residentBytes(target.pid);
  return {
    transfers: open,
    seconds,
    latency: latency.summary(),
    figures: {
      open_pendings: open,
      table_bytes_before: tablesBefore ?? null,
      table_bytes: tables ?? null,
      table_bytes_per_open_pending: growthOfEach(tablesBefore, tables, open),
      resident_bytes_per_open_pending: growthOfEach(residentBefore, resident, open),
    },
  };
}
