/** Messages between the shards of a world, as links would carry them. */
import { Input, InputType } from '../../engine/frame.ts';
import type { Group } from '../../engine/group.ts';

export interface Message {
  readonly number: number;
  readonly clockLow: number;
  readonly clockHigh: number;
  readonly body: Uint32Array;
}

export function addMessage(group: Group, peer: number, message: Message): void {
  const at = group.addMessage(InputType.link, peer, message.body);
  group.words[at + Input.number] = message.number;
  group.words[at + Input.stamp] = message.clockLow;
  group.words[at + Input.stamp + 1] = message.clockHigh;
}

export const above = (messages: readonly Message[], number: number): Message[] =>
  messages.filter((one) => one.number > number);
