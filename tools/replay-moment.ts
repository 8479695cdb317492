/**
 * Replays shards to one moment. At a time, each shard ends with its last row up to then. That a row which took a message is later than the one that
 * sent it is certain; that an acknowledgement is later than what it acknowledges is not, where the peer's clock was ahead. Then the sender has
 * forgotten what was still in flight at that time, and is replayed again, keeping it.
 */
import type { ShardRequest } from './shard-pool.ts';
import type { ShardAnswer, ShardDamage, ShardState } from './shard-task.ts';

export interface ReplayedMoment {
  readonly states: readonly ShardState[];
  readonly damages: readonly ShardDamage[];
  /** Snapshots that could not be used, as sentences. */
  readonly passedOver: readonly string[];
}

/** `isTime`: the requests are for all shards, at one time. */
export async function replayMoment(
  requests: readonly ShardRequest[],
  replay: (requests: readonly ShardRequest[]) => Promise<readonly ShardAnswer[]>,
  { isTime }: { readonly isTime: boolean },
): Promise<ReplayedMoment> {
  const found = sorted(await replay(requests));
  if (!isTime || found.damages.length > 0) return found;
  const again = requests.filter(({ shard }) => hasForgotten(found.states[shard]!, found.states));
  if (again.length === 0) return found;
  const kept = sorted(
    await replay(
      again.map((request) => {
        const keepFrom = found.states.map(({ received }) => received[request.shard]! + 1);
        return { ...request, keepFrom };
      }),
    ),
  );
  const states = found.states.map(
    (state) => kept.states.find(({ shard }) => shard === state.shard) ?? state,
  );
  const passedOver = [...new Set([...found.passedOver, ...kept.passedOver])];
  return { states, damages: kept.damages, passedOver };
}

function hasForgotten({ shard, acknowledged }: ShardState, states: readonly ShardState[]): boolean {
  return states.some((peer) => acknowledged[peer.shard]! > peer.received[shard]!);
}

function sorted(answers: readonly ShardAnswer[]): ReplayedMoment {
  return {
    states: answers.flatMap((answer) => (answer.type === 'state' ? [answer.state] : [])),
    damages: answers.flatMap((answer) => (answer.type === 'damage' ? [answer.damage] : [])),
    passedOver: answers.flatMap(({ passedOver }) => passedOver),
  };
}
