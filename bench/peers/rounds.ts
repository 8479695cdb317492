/**
 * Sycee and its peers in turns. In each round every contender has one turn, with a server and a directory of its own, and nothing else runs;
 * every other round goes the other way round, since whoever comes later may find the machine warmer. Ratios are of one round.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { unreachable } from '../../engine/assert.ts';
import type { Finished } from '../run.ts';
import { INTERRUPTED, type ScenarioContext } from '../scenario.ts';
import { type Contender, contendersOf, labelOf } from './contenders.ts';
import type { PeerLedger, PeerStart } from './ledger.ts';
import { NO_POSTGRESQL, startPostgresql } from './postgresql.ts';
import { NO_REDIS, startRedis } from './redis.ts';
import { formatPeers, makePeersReport, plotOf } from './report.ts';
import { findPostgresql, findRedis, unprivilegedUser } from './servers.ts';
import { takeSyceeTurn } from './sycee.ts';
import { loadTigerbeetle, startTigerbeetle } from './tigerbeetle.ts';
import { takePeerTurn, type Turn } from './turn.ts';

const NOTHING_TO_COMPARE =
  'none of these peers has one of these shapes: redis has no hot-account, and equal-counts is of tigerbeetle alone';

export async function peers(context: ScenarioContext): Promise<Finished> {
  const { options, signal, say } = context;
  const contenders = contendersOf(options);
  if (contenders.length === 0) throw new Error(NOTHING_TO_COMPARE);
  checkPeers(context);
  const turns = contenders.map((): Turn[] => []);
  const complaints: string[] = [];
  const { rounds, plot } = options.scenarioOptions;
  await mkdir(context.directory, { recursive: true });
  for (let round = 0; round < rounds && !signal.aborted; round++) {
    const order = [...contenders.keys()];
    if (round % 2 === 1) order.reverse();
    for (const at of order) {
      const contender = contenders[at]!;
      const turn = await takeTurn(context, contender).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
      if (turn === undefined || signal.aborted) break;
      turns[at]!.push(turn);
      const name = `${labelOf(contender)}, ${contender.shape}`;
      say(`round ${round + 1} of ${rounds}, ${name}: ${Math.round(turn.transfers / turn.seconds)}`);
      complaints.push(...turn.complaints.map((complaint) => `${name}: ${complaint}`));
    }
  }
  if (signal.aborted) complaints.push(INTERRUPTED);
  const report = makePeersReport(options, { contenders, turns, complaints });
  if (plot !== undefined && report.verified) await writeFile(plot, plotOf(report));
  return { report, text: formatPeers(report) };
}

async function takeTurn(context: ScenarioContext, contender: Contender): Promise<Turn> {
  const directory = path.join(context.directory, 'turn');
  await mkdir(directory);
  // Each turn is one line of progress.
  const own: ScenarioContext = { ...context, directory, say: () => undefined };
  try {
    if (contender.system === 'sycee') return await takeSyceeTurn(own, contender);
    return await takePeerTurn(own, contender, () => startPeer(own, contender));
  } catch (error: unknown) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${labelOf(contender)}, ${contender.shape}: ${why}`, { cause: error });
  } finally {
    await rm(directory, { recursive: true, force: true });
    await rm(`${directory}.head`, { force: true });
  }
}

function startPeer(
  { options, directory }: ScenarioContext,
  { system, clients, batch }: Contender,
): Promise<PeerLedger> {
  const start: PeerStart = { directory, clients, batch };
  switch (system) {
    case 'postgresql':
      return startPostgresql(start);
    case 'redis':
      return startRedis(start);
    case 'tigerbeetle':
      return startTigerbeetle(start, options.scenarioOptions.tigerbeetle!);
    case 'sycee':
      throw new Error('Sycee is not its own peer');
    default:
      return unreachable(system);
  }
}

/** Everything that can be missing is missed before the first turn. */
function checkPeers({ options }: ScenarioContext): void {
  const { peers: asked, tigerbeetle } = options.scenarioOptions;
  if (asked.includes('postgresql')) {
    if (findPostgresql() === undefined) throw new Error(NO_POSTGRESQL);
    unprivilegedUser();
  }
  if (asked.includes('redis') && findRedis() === undefined) throw new Error(NO_REDIS);
  if (tigerbeetle !== undefined) loadTigerbeetle(tigerbeetle);
}
