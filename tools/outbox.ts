/**
 * Messages that a shard has sent and that its peers are not known to have, as replay makes them again. Bounded by what is in flight, unless older ones
 * are asked for: at a moment that is a time, a sender can know already what its peer, whose clock is ahead, has not taken yet.
 */
import { assert } from '../engine/assert.ts';
import type { StateMachine } from '../engine/state-machine.ts';
import { StateReader } from '../engine/state-words.ts';
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

  /** Begins with what an image has of its links: the messages that were not acknowledged. */
  load(links: Uint32Array): void {
    for (const message of linkMessages(links, this.#machine.ledger)) {
      this.#kept[message.to]!.push(message);
    }
  }

  get messages(): readonly SentMessage[] {
    return this.#kept.flat();
  }

  /** After each group: takes its messages in, and forgets those that were acknowledged. */
  add(): void {
    const { outgoing, sent, acknowledged } = this.#machine;
    // The numbers of a group's messages to one peer end with the last one that was sent.
    const next = [...sent];
    for (const { to } of outgoing) next[to]!--;
    for (const { to, body } of outgoing) this.#kept[to]!.push({ to, number: ++next[to]!, body });
    for (const [to, kept] of this.#kept.entries()) {
      if (kept.length === 0) continue;
      const first = Math.min(acknowledged[to]! + 1, this.#keepFrom?.[to] ?? Infinity);
      if (kept.some(({ number }) => number < first)) {
        this.#kept[to] = kept.filter(({ number }) => number >= first);
      }
    }
  }
}

/** The messages that the links of a shard keep, as an image has them, in order of peers and numbers. */
export function linkMessages(
  links: Uint32Array,
  { shard, shards }: { readonly shard: number; readonly shards: number },
): readonly SentMessage[] {
  const messages: SentMessage[] = [];
  const from = new StateReader(links);
  for (let to = 0; to < shards; to++) {
    if (to === shard) continue;
    // What is acknowledged is in the state as well.
    from.takeNumber();
    for (let left = from.take(); left > 0; left--) {
      const number = from.takeNumber();
      // The sender's clock.
      from.takeNumber();
      messages.push({ to, number, body: from.takeList().slice() });
    }
  }
  assert(from.isAtEnd, 'an image has the messages of every link');
  return messages;
}
