/**
 * Finds the last moment at or before given rows at which the journals of all shards fit together.
 *
 * Recovery accepts journals that end with the rows c (one for each shard) if for every two shards i and j
 *
 *   C1  what j has received from i, i has sent:               received(j, i, c[j]) <= sent(i, j, c[i])
 *   C2  what i knows that j has, j has:                       acknowledged(i, j, c[i]) <= received(j, i, c[j])
 *
 * Everything between is made good by the links: messages follow from journalled groups, so replay makes them again, and i keeps those that
 * it does not know to be received, and sends them from where j says. By C1 j never waits for a number that is behind it; by C2 i still has
 * all that j lacks.
 *
 * Each condition says that something that only grows with one cut is at most something that only grows with another one. So if two cuts
 * fulfil them, the later of both for each shard does too: there is one last cut, and lowering the left side wherever a condition fails, as
 * little as possible, ends there. A live system fulfils both at every moment (nothing is sent before it is durable, and nothing is acknowledged
 * before that), so the last cut lies at or behind every moment up to which everything was there when its rows were read.
 *
 * `sent` is not in the journals. A message carries its sender's clock, though, which is the timestamp of the row it followed from: it was sent
 * by c[i] if no row behind c[i] has a timestamp that is as old. (Rows without events can share one; then this asks for a little more than C1.)
 */
import { assert } from '../engine/assert.ts';

/** What the journal of one shard says of its links. Sequences go from 0, before the first row. */
export interface CutShard {
  /** Whatever was sent with at most this stamp, the rows up to this one have sent. */
  sentUpTo(sequence: number): bigint;
  /** The number of the last message from a peer among the rows up to this one. */
  received(peer: number, sequence: number): number;
  /** The last row up to this one such that all messages from the peer up to it have at most this stamp. */
  lastReceiving(peer: number, sequence: number, stampMax: bigint): number;
  /** The last row up to this one such that all acknowledgements of the peer up to it have at most this number. */
  lastAcknowledging(peer: number, sequence: number, numberMax: number): number;
}

/** The last rows that fit together, none behind its `top`. */
export function findCut(shards: readonly CutShard[], tops: readonly number[]): number[] {
  assert(shards.length === tops.length, 'each shard has its row');
  const cut = [...tops];
  let isLowered = true;
  while (isLowered) {
    isLowered = false;
    for (const [i, sender] of shards.entries()) {
      for (const [j, receiver] of shards.entries()) {
        if (i === j) continue;
        const before = cut[i]! + cut[j]!;
        cut[j] = receiver.lastReceiving(i, cut[j]!, sender.sentUpTo(cut[i]!));
        cut[i] = sender.lastAcknowledging(j, cut[i]!, receiver.received(i, cut[j]));
        if (cut[i] + cut[j] < before) isLowered = true;
      }
    }
  }
  return cut;
}
