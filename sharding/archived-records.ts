/**
 * Loads the records that a group needs, and knows what becomes of the group when one of them lies in an archived segment that is not there: the
 * requests that need it are refused as a whole, before anything of them is executed or journalled; link messages that need it, and those
 * behind them on the same link, go back to their link and are tried again a moment later; everything else of the group goes on. So an
 * archive that is away never ends a shard's thread.
 *
 * What is parked needs nothing that was not read when it came, but for records that were moved away since. Then nothing of the group is
 * executed, and the shard tries again.
 *
 * A record in a row that is damaged refuses the requests that need it in the same way: whoever sends an id again must not be able to end the thread.
 * What comes from another shard cannot be refused, and would wait for ever: then the damage is thrown.
 */
import { Input, INPUT_WORDS, InputType, isRequest } from '../engine/frame.ts';
import type { Group } from '../engine/group.ts';
import { ReplyKind } from '../engine/open-requests.ts';
import type { StateMachine } from '../engine/state-machine.ts';
import { isSegmentArchived, JournalError } from '../persistence/errors.ts';
import type { Link, LinkMessage } from './link.ts';
import type { RecordReader } from './record-reader.ts';

/** Between two tries of what waits for the archive. */
const RETRY_MS = 100;

export interface ArchivedRecordsParts {
  /** A start may load another one. */
  readonly machine: () => StateMachine;
  readonly group: Group;
  readonly records: RecordReader;
  /** By peer. */
  readonly links: readonly (Link | undefined)[];
  readonly beat: () => void;
  /** Answers a request of which nothing is started. */
  readonly refuse: (request: number, missing: MissingRecord) => void;
  /** Told of damage that requests were refused for. */
  readonly onDamage: (error: JournalError) => void;
}

/** `sequence`: of the row that is damaged, or the first of the archived segment. */
export type MissingRecord =
  | { readonly kind: typeof ReplyKind.archived; readonly sequence: number }
  | {
      readonly kind: typeof ReplyKind.damaged;
      readonly sequence: number;
      readonly error: JournalError;
    };

export class ArchivedRecords {
  readonly #parts: ArchivedRecordsParts;
  /** Peers whose next message waits for the archive, until then. */
  readonly #heldUntil = new Map<number, number>();

  constructor(parts: ArchivedRecordsParts) {
    this.#parts = parts;
  }

  /** Whether the messages of a peer wait for the archive just now. */
  isHeld(peer: number): boolean {
    const until = this.#heldUntil.get(peer);
    if (until === undefined) return false;
    if (performance.now() < until) return true;
    this.#heldUntil.delete(peer);
    return false;
  }

  /** Puts on the shelf what the group needs. False: nothing is left of the group that can be executed just now. */
  load(): boolean {
    const { group } = this.#parts;
    if (this.#missing() === undefined) return true;
    this.#reduce(this.#takeApart());
    if (group.inputs === 0 && !this.#parts.machine().pumpAgain) return false;
    const missing = this.#missing();
    if (missing === undefined) return true;
    // Of what is parked.
    if (missing.kind === ReplyKind.damaged) throw missing.error;
    for (const input of this.#takeApart()) this.#giveBack(input, missing);
    return false;
  }

  /** Of what is needed, what cannot be read. */
  #missing(): MissingRecord | undefined {
    const { records, beat } = this.#parts;
    const machine = this.#parts.machine();
    machine.want();
    try {
      records.load(machine.shelf, beat);
      return undefined;
    } catch (error: unknown) {
      if (isSegmentArchived(error)) return { kind: ReplyKind.archived, sequence: error.segment };
      if (!(error instanceof JournalError) || error.damage === undefined) throw error;
      return { kind: ReplyKind.damaged, sequence: error.damage.sequence, error };
    }
  }

  /** Copies of the inputs; the group is empty afterwards. */
  #takeApart(): Uint32Array[] {
    const { group } = this.#parts;
    const { words, sequence } = group;
    const inputs = group.inputAt.map((at) => words.slice(at, at + words[at + Input.bytes]! / 4));
    group.reset(sequence);
    return inputs;
  }

  /** Fills the group with those inputs that have what they need. */
  #reduce(inputs: readonly Uint32Array[]): void {
    const { group } = this.#parts;
    const kept: Uint32Array[] = [];
    const heldPeers = new Set<number>();
    for (const input of inputs) {
      const isLink = input[Input.type] === InputType.link;
      const isBehind = isLink && heldPeers.has(input[Input.peer]!);
      group.reset(group.sequence);
      addInput(group, input);
      const missing = isBehind ? BEHIND : this.#missing();
      if (missing === undefined) {
        kept.push(input);
        continue;
      }
      if (isLink) heldPeers.add(input[Input.peer]!);
      if (missing.kind === ReplyKind.damaged) {
        if (isLink) throw missing.error;
        this.#parts.onDamage(missing.error);
      }
      this.#giveBack(input, missing);
    }
    group.reset(group.sequence);
    for (const input of kept) addInput(group, input);
  }

  /** Acknowledgements and expiries come again by themselves. */
  #giveBack(input: Uint32Array, missing: MissingRecord): void {
    const { links, refuse } = this.#parts;
    if (isRequest(input[Input.type]!)) refuse(input[Input.request]!, missing);
    if (input[Input.type] !== InputType.link) return;
    const peer = input[Input.peer]!;
    this.#heldUntil.set(peer, performance.now() + RETRY_MS);
    links[peer]!.putBack(messageOf(input));
  }
}

/** Of a message behind one that waits: it is looked at when that has been taken. */
const BEHIND: MissingRecord = { kind: ReplyKind.archived, sequence: 0 };

function addInput(group: Group, input: Uint32Array): void {
  const type = input[Input.type]! as InputType;
  if (isRequest(type)) {
    group.addRequest(input, 0, input.length);
    return;
  }
  const at = group.addMessage(type, input[Input.peer]!, input.subarray(INPUT_WORDS));
  for (let w = Input.number; w < INPUT_WORDS; w++) group.words[at + w] = input[w]!;
}

function messageOf(input: Uint32Array): LinkMessage {
  return {
    number: input[Input.number]! + input[Input.number + 1]! * 4294967296,
    clockLow: input[Input.stamp]!,
    clockHigh: input[Input.stamp + 1]!,
    body: input.slice(INPUT_WORDS),
  };
}
