/** Sycee's own turns: its ordinary scenarios, with their verification, in the forms that the peers are compared with. */
import { HTTP_SLOT_ROWS } from '../http-loader.ts';
import { runHttpLedger } from '../http-rounds.ts';
import { createTransfers } from '../load.ts';
import { warmAndMeasure } from '../runs.ts';
import {
  type Bench,
  loadOf,
  type Measured,
  runScenario,
  type ScenarioContext,
} from '../scenario.ts';
import type { Contender } from './contenders.ts';
import type { Turn } from './turn.ts';

export async function takeSyceeTurn(context: ScenarioContext, contender: Contender): Promise<Turn> {
  const { transport = 'in-process', batch, clients, shape } = contender;
  const isHttp = transport === 'http';
  const options = {
    ...context.options,
    transport,
    batch,
    shards: 1,
    inFlight: isHttp ? context.options.inFlight : clients,
    connections: clients,
  };
  return runScenario(
    { ...context, options },
    {
      load: {
        hotSide: shape === 'hot-account' ? 'either' : undefined,
        ...(isHttp ? { batch: HTTP_SLOT_ROWS } : {}),
      },
      measure: isHttp ? runHttpLedger : shape === 'equal-counts' ? createCount : measureLoad,
    },
  );
}

function measureLoad(bench: Bench): Promise<Measured> {
  return warmAndMeasure(bench, loadOf(bench));
}

async function createCount(bench: Bench): Promise<Measured> {
  const { target, workload, books, options, signal } = bench;
  const { transfers, seconds, latency } = await createTransfers(target.client, workload, books, {
    inFlight: options.inFlight,
    signal,
    count: options.scenarioOptions.transfers,
  });
  return { transfers, seconds, latency: latency.summary() };
}
