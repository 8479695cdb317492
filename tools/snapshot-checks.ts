/**
 * Whether the snapshots of a shard are what they say. First their files: every checksum, whose they are, and the digest of the state that they
 * hold. Then, when a replay comes to the sequence of one, its state: the digest, the place in the chain, and what a digest leaves out and a
 * start goes on with: numbers on links and the messages that they keep, records of open pending transfers, open requests.
 *
 * One snapshot is loaded at a time, before the replay; what stays of it is what is compared.
 */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { ROW_WORDS } from '../engine/batch.ts';
import { digestText, mixWords } from '../engine/digest.ts';
import type { Group } from '../engine/group.ts';
import type { StateMachine } from '../engine/state-machine.ts';
import { SnapshotError } from '../persistence/errors.ts';
import type { SnapshotFiles, SnapshotManifest } from '../persistence/snapshot-manifest.ts';
import { loadSnapshot } from '../persistence/snapshot-store.ts';
import { linkMessages } from './outbox.ts';
import type { SentMessage, ShardTask } from './shard-task.ts';

export interface SnapshotCheck {
  readonly shard: number;
  readonly sequence: number;
  /** The one that is wrong; else the manifest. */
  readonly file: string;
  /** As the manifest says; null when it cannot be read. */
  readonly digest: string | null;
  /** Whether a replay came to its sequence, so that its state could be compared. */
  readonly isCompared: boolean;
  /** What is wrong, and what it means; null for nothing. */
  readonly rule: string | null;
  /** To be known, and not wrong. */
  readonly note: string | null;
}

/** What is compared of two states that should be the same. */
interface StateMark {
  readonly digest: string;
  readonly timestamp: string;
  /** Numbers sent, received, and acknowledged, by peer. */
  readonly links: string;
  readonly messages: string;
  readonly pendings: string;
  readonly requests: number;
}

const MARK_NAMES: Readonly<Record<keyof StateMark, string>> = {
  digest: 'digest',
  timestamp: 'time',
  links: 'numbers on the links',
  messages: 'messages that wait for their acknowledgement',
  pendings: 'open pending transfers',
  requests: 'open requests',
};

interface Loaded {
  readonly files: SnapshotFiles;
  readonly found: { readonly manifest: SnapshotManifest; readonly mark: StateMark } | null;
  check: SnapshotCheck;
}

/** What a replay has at a sequence. */
export interface ReplayedTo {
  readonly machine: StateMachine;
  readonly messages: readonly SentMessage[];
  /** Of the row, in the journal's chain. */
  readonly chain: number;
}

export class SnapshotChecks {
  readonly #bySequence = new Map<number, Loaded>();

  /** Reads all snapshots of the task, one after the other. */
  constructor(task: ShardTask, group: Group) {
    for (const files of task.snapshots.toReversed()) {
      const loaded = load(files, task, group);
      if (loaded !== undefined) this.#bySequence.set(files.sequence, loaded);
    }
  }

  /** Those whose files are sound and that cover what is before a row, as far as nothing less will do: the eldest. */
  covering(first: number): readonly SnapshotFiles[] {
    const sound = this.#bySequence
      .values()
      .find(({ found, files }) => found !== null && files.sequence >= first - 1);
    return sound === undefined ? [] : [sound.files];
  }

  has(sequence: number): boolean {
    return this.#bySequence.has(sequence);
  }

  compare(sequence: number, { machine, messages, chain }: ReplayedTo): void {
    const loaded = this.#bySequence.get(sequence)!;
    if (loaded.found === null) return;
    const { manifest, mark } = loaded.found;
    const rule =
      chain === manifest.chain
        ? differenceRule(mark, markOf(machine, messages))
        : 'it has another checksum for its row than the journal: they are of different histories. A start is refused because of it; move both its files away to have the journal decide alone';
    loaded.check = { ...loaded.check, isCompared: true, rule };
  }

  /** `end`: the last row of the journal, where it could be read to its end. */
  results(end: number | undefined): readonly SnapshotCheck[] {
    return [...this.#bySequence.values()].map(({ check }) => {
      if (end === undefined || check.sequence <= end || check.rule !== null) return check;
      const rule = `it says that its sequence was durable, and the journal ends with ${end}: the newest rows are gone, or the journal is an older copy. A start is refused; put back the newer copy of the journal`;
      return { ...check, rule };
    });
  }
}

/** Undefined when the process that has the directory has removed it meanwhile. */
function load(files: SnapshotFiles, task: ShardTask, group: Group): Loaded | undefined {
  const { shard, seed } = task;
  const { sequence } = files;
  const check = {
    shard,
    sequence,
    file: basename(files.manifest),
    digest: null,
    isCompared: false,
    rule: null,
    note: null,
  };
  try {
    const { manifest, machine, links } = loadSnapshot({ files, identity: task, seed, group });
    const mark = markOf(machine, linkMessages(links, task));
    const own = { ...mark, timestamp: manifest.timestamp };
    return { files, found: { manifest, mark: own }, check: { ...check, digest: manifest.digest } };
  } catch (error: unknown) {
    if (!existsSync(files.manifest)) return undefined;
    if (!(error instanceof SnapshotError)) {
      const rule = `its image cannot be loaded (${String(error)}), though it has its checksums: the version that wrote it was wrong. A start ends with the same error; move both files away`;
      return { files, found: null, check: { ...check, rule } };
    }
    const { message, file, isOtherVersion } = error;
    if (isOtherVersion) {
      const note = `${message}: another version has written it, so it was not checked, and a start passes it over`;
      return { files, found: null, check: { ...check, note } };
    }
    const rule = `${message.slice(file.length + 2)}. A start that comes to it passes it over, for the older one or the journal, which says all that it should`;
    return { files, found: null, check: { ...check, file, rule } };
  }
}

function markOf(machine: StateMachine, messages: readonly SentMessage[]): StateMark {
  const { clockHigh, clockLow } = machine.ledger;
  let pendings = 0;
  machine.forEachPending((record, isExpiring) => {
    pendings = (pendings + mixWords(record, 0, ROW_WORDS) + (isExpiring ? 1 : 0)) | 0;
  });
  return {
    digest: digestText(machine.digest()),
    timestamp: String((BigInt(clockHigh) << 32n) | BigInt(clockLow)),
    links: [machine.sent, machine.received, machine.acknowledged].join('/'),
    messages: messages
      .map(({ to, number, body }) => `${to}:${number}:${mixWords(body, 0, body.length)}`)
      .join(' '),
    pendings: `${machine.ledger.pendings.count}/${pendings}`,
    requests: machine.requests.count,
  };
}

function differenceRule(mark: StateMark, replayed: StateMark): string | null {
  const names = Object.keys(MARK_NAMES) as (keyof StateMark)[];
  const wrong = names.filter((name) => mark[name] !== replayed[name]);
  if (wrong.length === 0) return null;
  const digests =
    mark.digest === replayed.digest
      ? ''
      : ` (digest ${mark.digest}, and the journal gives ${replayed.digest})`;
  const what = wrong.map((name) => MARK_NAMES[name]).join(', ');
  return `its files are whole, and its state is not the one that the journal gives at that sequence: ${what}${digests}. A start would go on from a wrong state; move both its files away, and the journal decides alone`;
}
