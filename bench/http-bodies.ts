/**
 * What a load process sends over HTTP: bodies with ids that nobody else uses, and an account of every id. Acknowledged transfers are counted by
 * their pair of accounts, and what was never answered is kept, so that the books can be closed afterwards.
 */
import { CODE, LEDGER } from './slots.ts';
import { type RingOptions, type SlotSource, Workload, type WorkloadOptions } from './workload.ts';

export interface LoadSetup {
  readonly workload: WorkloadOptions;
  /** Rings that the workload has besides its first one. */
  readonly rings: readonly Partial<RingOptions>[];
  /** Every request is of pending transfers, and is followed by one that posts them: by their ids alone, or with their accounts, ledger, and code. */
  readonly posts?: 'inherit' | 'name' | undefined;
  /** Which of the load processes this one is: each begins elsewhere in the rings. */
  readonly worker: number;
  readonly workers: number;
}

/** A request, by its first transfer. */
export interface Sent {
  readonly ring: number;
  /** The other transfers have those that follow. */
  readonly pair: number;
  /** The ids of the others count up from it, and go on with those of the posts. */
  readonly id: string;
  readonly rows: number;
  /** The pending transfers were answered, and their posts were not. */
  readonly isPosting: boolean;
}

export interface Tally {
  /** By ring, then by pair: how many transfers were created, or pending and posted. */
  readonly created: readonly (readonly number[])[];
  readonly unanswered: readonly Sent[];
}

const PAIRS_MAX = 65_536;
/** Below it are the transfers of a worker, and six bits of workers from it on. */
const WORKER_BIT = 42n;
const PLAIN = '}';
const LINKED = ',"flags":["linked"]}';
const PENDING = ',"flags":["pending"]}';
const INHERITED = '","pending_id":"';
const POST = `","amount":"${2n ** 128n - 1n}","flags":["post_pending_transfer"]}`;

/** Of whole slots, so that chains do not fall apart where the ring begins again. */
export function pairCount({ slots }: SlotSource): number {
  const { n } = slots[0]!.batch;
  return Math.min(slots.length, Math.max(1, Math.floor(PAIRS_MAX / n))) * n;
}

/** Pair p is row p % batch of slot p / batch. */
export function pairOf({ slots }: SlotSource, pair: number): { slot: number; row: number } {
  const { n } = slots[0]!.batch;
  return { slot: Math.floor(pair / n), row: pair % n };
}

/** Whether a transfer of a request is linked to the next one: the last chain of a request may be shorter. */
export function isLinked(chain: number, row: number, rows: number): boolean {
  return row % chain !== chain - 1 && row !== rows - 1;
}

/** The text of a transfer behind its id. */
interface Pair {
  readonly sides: string;
  readonly whole: string;
}

export class Bodies {
  readonly #setup: LoadSetup;
  readonly #created: readonly Uint32Array[];
  readonly #unanswered: Sent[] = [];
  /** By who sends it. */
  readonly #underWay = new Map<object, Sent>();
  readonly #pairs: readonly (readonly Pair[])[];
  readonly #next: number[];
  #id: bigint;

  constructor(setup: LoadSetup) {
    const { worker, workers } = setup;
    const workload = new Workload(setup.workload);
    for (const ring of setup.rings) workload.addRing(ring);
    this.#setup = setup;
    this.#created = workload.rings.map((ring) => new Uint32Array(pairCount(ring)));
    this.#pairs = workload.rings.map((ring) => pairsOf(workload, ring));
    this.#next = workload.rings.map((ring) => {
      const { n } = ring.slots[0]!.batch;
      return Math.floor((pairCount(ring) / n / workers) * worker) * n;
    });
    this.#id =
      (BigInt(Date.now()) << 80n) | (BigInt(process.pid) << 48n) | (BigInt(worker) << WORKER_BIT);
  }

  /** Whether every request is followed by one that posts it. */
  get hasPosts(): boolean {
    return this.#setup.posts !== undefined;
  }

  /** A body that was never sent before, noted as under way for whoever sends it: posts of what it has pending, or something new. */
  next(sender: object, ring: number, rows: number): string {
    const before = this.#underWay.get(sender);
    if (before?.isPosting === true) return this.#post(before);
    const pair = this.#next[ring]!;
    this.#next[ring] = (pair + rows) % this.#pairs[ring]!.length;
    const first = this.#id + 1n;
    const isPending = this.hasPosts;
    this.#id += BigInt(isPending ? rows * 2 : rows);
    const sent = { ring, pair, id: String(first), rows, isPosting: false };
    this.#underWay.set(sender, sent);
    const { chain = 1 } = this.#setup.workload;
    const pairs = this.#pairs[ring]!;
    const texts: string[] = [];
    for (let row = 0; row < rows; row++) {
      const end = isPending ? PENDING : isLinked(chain, row, rows) ? LINKED : PLAIN;
      const { whole } = pairs[(pair + row) % pairs.length]!;
      texts.push(`{"id":"${first + BigInt(row)}${whole}${end}`);
    }
    return bodyOf(texts);
  }

  /** Whether what is under way for a sender are posts. */
  isPosting(sender: object): boolean {
    return this.#underWay.get(sender)?.isPosting === true;
  }

  /** What was refused in an answered array shows in the balances, which are compared. */
  answered(sender: object): void {
    const sent = this.#underWay.get(sender)!;
    if (this.hasPosts && !sent.isPosting) {
      this.#underWay.set(sender, { ...sent, isPosting: true });
      return;
    }
    const created = this.#created[sent.ring]!;
    for (let row = 0; row < sent.rows; row++) created[(sent.pair + row) % created.length]!++;
    this.#underWay.delete(sender);
  }

  /** What a sender has under way is for `tally`: whether it has happened is not known. */
  lost(sender: object): void {
    const sent = this.#underWay.get(sender);
    if (sent !== undefined) this.#unanswered.push(sent);
    this.#underWay.delete(sender);
  }

  /** As `lost` for all senders, when a slice is over. */
  allLost(): void {
    this.#unanswered.push(...this.#underWay.values());
    this.#underWay.clear();
  }

  /** Of what went to another server than the ledger. */
  forget(): void {
    this.#underWay.clear();
  }

  tally(): Tally {
    return { created: this.#created.map((of) => [...of]), unanswered: this.#unanswered };
  }

  #post({ ring, pair, id, rows }: Sent): string {
    const pairs = this.#pairs[ring]!;
    const isNamed = this.#setup.posts === 'name';
    const texts: string[] = [];
    for (let row = 0; row < rows; row++) {
      const pending = BigInt(id) + BigInt(row);
      const { sides } = pairs[(pair + row) % pairs.length]!;
      const named = isNamed
        ? `${sides},"ledger":${LEDGER},"code":${CODE},"pending_id":"`
        : INHERITED;
      texts.push(`{"id":"${pending + BigInt(rows)}${named}${pending}${POST}`);
    }
    return bodyOf(texts);
  }
}

/** An object for one, else an array. */
const bodyOf = (texts: readonly string[]): string =>
  texts.length === 1 ? texts[0]! : `[${texts.join(',')}]`;

function pairsOf(workload: Workload, ring: SlotSource): readonly Pair[] {
  return Array.from({ length: pairCount(ring) }, (_, pair) => {
    const { slot, row } = pairOf(ring, pair);
    const { debits, credits, amounts } = ring.slots[slot]!;
    const debit = workload.accountId(debits[row]!);
    const credit = workload.accountId(credits[row]!);
    const sides = `","debit_account_id":"${debit}","credit_account_id":"${credit}"`;
    return {
      sides,
      whole: `${sides},"amount":"${amounts[row]}","ledger":${LEDGER},"code":${CODE}`,
    };
  });
}
