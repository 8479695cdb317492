/** Sycee's own turns: its ordinary scenarios, with their verification, in the forms that the peers are compared with. */
import { type Bench, type Measured, runScenario, type ScenarioContext } from '../scenario.ts';
import { measureLoad, slotsFor, withSender } from '../sender.ts';
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
        ...slotsFor(options),
      },
      measure: shape === 'equal-counts' ? createCount : measureLoad,
    },
  );
}

function createCount(bench: Bench): Promise<Measured> {
  return withSender(bench, async (sender) => {
    const load = await sender.create(bench.options.scenarioOptions.transfers);
    return { ...load, latency: load.latency.summary() };
  });
}
