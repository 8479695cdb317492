/**
 * Messages that a shard has sent and that its peers are not known to have, as replay makes them again. Bounded by what is in flight, unless older ones
 * are asked for: at a moment that is a time, a sender can know already what its peer, whose clock is ahead, has not taken yet.
 */
import type { StateMachine } from '../engine/state-machine.ts';
import type { SentMessage } from './shard-task.ts';

export class Outbox {
  readonly #machine: StateMachine;
  readonly #keepFrom: readonly number[] | null;
  readonly #kept: SentMessage[][];

  /** By peer: keep from this number on, whatever is acknowledged. */
  constructor(machine: StateMachine, keepFrom: readonly number[] | null) {
    this.#machine = machine;
    this.#keepFrom = keepFrom;
    this.#kept = Array.from({ length: machine.ledger.shards }, () => []);
  }

  get messages(): readonly SentMessage[] {
    return this.#kept.flat();
  }

  /** After each group: takes its messages in, and forgets those that were acknowledged. */
  add(): void {
    const { outgoing, sent, acknowledged } = this.#machine;
    // The numbers of a group's messages to one peer end with the last one that was sent.
    for (let i = outgoing.length - 1, behind = new Map<number, number>(); i >= 0; i--) {
      const { to, body } = outgoing[i]!;
      const after = behind.get(to) ?? 0;
      behind.set(to, after + 1);
      this.#kept[to]!.push({ to, number: sent[to]! - after, body });
    }
    for (const [to, kept] of this.#kept.entries()) {
      if (kept.length === 0) continue;
      const first = Math.min(acknowledged[to]! + 1, this.#keepFrom?.[to] ?? Infinity);
      if (kept.some(({ number }) => number < first)) {
        this.#kept[to] = kept.filter(({ number }) => number >= first);
      }
    }
  }
}
