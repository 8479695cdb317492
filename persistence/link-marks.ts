/**
 * What the journal of one shard says of its links: by peer, the last message received, when that was sent, and up to where the peer is known to
 * have received. Read from the inputs of frames; nothing is executed. What was *sent* does not stand in frames, since replay makes it again:
 * when a message was sent does, because it carries its sender's clock, which is the timestamp of the sender's row.
 */
import { HEAD_WORDS, Head, Input, InputType } from '../engine/frame.ts';

export interface LinkInput {
  readonly type: 'received' | 'acknowledged';
  readonly peer: number;
  readonly number: number;
  /** Of a received message: the clock of the sender's row, ns. */
  readonly stamp: bigint;
}

/** The link messages and acknowledgements among the inputs of a frame, in order. */
export function linkInputsOf(frame: Uint8Array): LinkInput[] {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const word = (at: number): number => view.getUint32(at * 4, true);
  const inputs: LinkInput[] = [];
  let at = HEAD_WORDS;
  for (let left = word(Head.inputs); left > 0; left--) {
    const type = word(at + Input.type);
    if (type === InputType.link || type === InputType.acknowledged) {
      const isLink = type === InputType.link;
      inputs.push({
        type: isLink ? 'received' : 'acknowledged',
        peer: word(at + Input.peer),
        number: word(at + Input.number) + word(at + Input.number + 1) * 4294967296,
        stamp: isLink
          ? (BigInt(word(at + Input.stamp + 1)) << 32n) | BigInt(word(at + Input.stamp))
          : 0n,
      });
    }
    at += word(at + Input.bytes) >> 2;
  }
  return inputs;
}

/** The state of all links after some row. Numbers are 0 where nothing was received or acknowledged yet. */
export class LinkMarks {
  readonly received: Float64Array;
  readonly stamps: BigUint64Array;
  readonly acknowledged: Float64Array;

  constructor(shards: number) {
    this.received = new Float64Array(shards);
    this.stamps = new BigUint64Array(shards);
    this.acknowledged = new Float64Array(shards);
  }

  addFrame(frame: Uint8Array): void {
    for (const { type, peer, number, stamp } of linkInputsOf(frame)) {
      if (type === 'received') {
        this.received[peer] = number;
        this.stamps[peer] = stamp;
      } else if (number > this.acknowledged[peer]!) this.acknowledged[peer] = number;
    }
  }

  copy(): LinkMarks {
    const copy = new LinkMarks(this.received.length);
    copy.received.set(this.received);
    copy.stamps.set(this.stamps);
    copy.acknowledged.set(this.acknowledged);
    return copy;
  }

  toJson(): LinkMarksJson {
    return {
      received: [...this.received],
      stamps: Array.from(this.stamps, String),
      acknowledged: [...this.acknowledged],
    };
  }

  /** Undefined when it is not of this form. */
  static fromJson(json: unknown, shards: number): LinkMarks | undefined {
    if (typeof json !== 'object' || json === null) return undefined;
    const { received, stamps, acknowledged } = json as Record<string, unknown>;
    if (!isNumbers(received, shards) || !isNumbers(acknowledged, shards)) return undefined;
    if (!isStamps(stamps, shards)) return undefined;
    const marks = new LinkMarks(shards);
    marks.received.set(received);
    marks.acknowledged.set(acknowledged);
    marks.stamps.set(stamps.map(BigInt));
    return marks;
  }
}

export interface LinkMarksJson {
  readonly received: readonly number[];
  readonly stamps: readonly string[];
  readonly acknowledged: readonly number[];
}

function isNumbers(value: unknown, count: number): value is number[] {
  if (!Array.isArray(value) || value.length !== count) return false;
  return value.every((one) => Number.isSafeInteger(one) && Number(one) >= 0);
}

function isStamps(value: unknown, count: number): value is string[] {
  if (!Array.isArray(value) || value.length !== count) return false;
  return value.every((one) => typeof one === 'string' && /^\d{1,20}$/.test(one));
}
