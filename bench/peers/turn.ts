/**
 * One turn of a peer: a fresh server with an empty directory, accounts, load, and the books. A turn that does not verify has complaints, and
 * its figures are not shown. The server is stopped whatever happens.
 */
import { Transfer } from '../../engine/batch.ts';
import { TransferStatus } from '../../engine/status.ts';
import { LatencyHistogram, type LatencyMs } from '../../lib/histogram.ts';
import { Books } from '../books.ts';
import { type Load, runLoops, runSteps } from '../load.ts';
import { NOTHING_ANSWERED, type Run, runOf, warmAndMeasure } from '../runs.ts';
import type { ScenarioContext } from '../scenario.ts';
import { CODE, columnAt, LEDGER, pickIds, type Slot } from '../slots.ts';
import { Workload } from '../workload.ts';
import type { Contender } from './contenders.ts';
import { type Call, ID_BYTES, idBytes, type PeerLedger, type Statuses, writeId } from './ledger.ts';

/** Pairs of accounts in the load. Fewer for single calls, each of which is a batch of its own in memory. */
const PAIRS = { single: 1 << 16, batch: 1 << 17 } as const;
/** More for each account would change nothing. */
const PAIRS_EACH = 16;

export interface Turn {
  readonly transfers: number;
  readonly seconds: number;
  readonly latency: LatencyMs;
  readonly complaints: readonly string[];
}

interface Prepared {
  readonly call: Call;
  readonly ids: Buffer;
  readonly created: Uint16Array;
}

export async function takePeerTurn(
  context: ScenarioContext,
  contender: Contender,
  start: () => Promise<PeerLedger>,
): Promise<Turn> {
  const ledger = await start();
  try {
    return await new PeerTurn(context, contender, ledger).take();
  } finally {
    await ledger.stop();
  }
}

class PeerTurn {
  readonly #context: ScenarioContext;
  readonly #contender: Contender;
  readonly #ledger: PeerLedger;
  readonly #workload: Workload;
  readonly #books: Books;
  readonly #prepared = new Map<Slot, Prepared>();
  readonly #free: number[];

  constructor(context: ScenarioContext, contender: Contender, ledger: PeerLedger) {
    const { batch, clients, shape } = contender;
    const { accounts, seed } = context.options;
    this.#context = context;
    this.#contender = contender;
    this.#ledger = ledger;
    this.#workload = new Workload({
      accounts,
      shards: 1,
      crossShard: undefined,
      batch,
      seed,
      inFlight: clients,
      pairs: Math.min(accounts * PAIRS_EACH, batch === 1 ? PAIRS.single : PAIRS.batch),
      hotSide: shape === 'hot-account' ? 'either' : undefined,
    });
    this.#books = new Books(this.#workload);
    this.#free = Array.from({ length: clients }, (_, client) => client);
  }

  async take(): Promise<Turn> {
    const { accountIds, slots } = this.#workload;
    const accounts = { ids: idBytes(accountIds), ledger: LEDGER, code: CODE, flags: 0 };
    await this.#ledger.createAccounts(accounts);
    for (const slot of slots) this.#prepared.set(slot, this.#prepare(slot));
    const { transfers, seconds, latency } = await this.#measure();
    // An interrupted turn is thrown away, and to count what is stored can take as long as the load did.
    if (this.#context.signal.aborted) return { transfers, seconds, latency, complaints: [] };
    const complaints = [
      ...(transfers === 0 ? [NOTHING_ANSWERED] : []),
      ...(await this.#sendAgain()),
      ...(await compareBooks(this.#ledger, accounts.ids, this.#books)),
    ];
    return { transfers, seconds, latency, complaints };
  }

  #prepare({ debits, credits, amounts }: Slot): Prepared {
    const { accountIds } = this.#workload;
    const call = this.#ledger.prepare({
      debits: idBytes(pickIds(accountIds, debits)),
      credits: idBytes(pickIds(accountIds, credits)),
      amounts: [...amounts],
      ledger: LEDGER,
      code: CODE,
      flags: 0,
    });
    const ids = Buffer.alloc(amounts.length * ID_BYTES);
    return { call, ids, created: new Uint16Array(amounts.length) };
  }

  async #measure(): Promise<Run> {
    const { signal, options } = this.#context;
    const inFlight = this.#contender.clients;
    if (this.#contender.shape !== 'equal-counts') {
      return warmAndMeasure(this.#context, (seconds) =>
        runSteps({ inFlight, signal, seconds }, (record) => this.#step(record)),
      );
    }
    return runOf(await this.#create(options.scenarioOptions.transfers));
  }

  async #create(count: number): Promise<Load> {
    const latency = new LatencyHistogram();
    const { clients: inFlight, batch } = this.#contender;
    const { signal } = this.#context;
    const began = performance.now();
    let [asked, transfers] = [0, 0];
    const record = (created: number, sent: number): void => {
      transfers += created;
      latency.record(performance.now() - sent);
    };
    await runLoops({ inFlight, signal }, async (isOver) => {
      while (asked < count && !isOver()) {
        asked += batch;
        await this.#step(record);
      }
    });
    return { transfers, seconds: (performance.now() - began) / 1000, latency };
  }

  async #step(record: (created: number, sent: number) => void): Promise<void> {
    const slot = this.#workload.take();
    const { call, ids, created } = this.#prepared.get(slot)!;
    const { words, n } = slot.batch;
    const from = columnAt(slot.batch, Transfer.id);
    for (let row = 0; row < n; row++) writeId(ids, row * ID_BYTES, words, from + row * 4);
    const client = this.#free.pop()!;
    const sent = performance.now();
    const statuses = await call(client, ids);
    this.#free.push(client);
    const good = countCreated(statuses, n);
    this.#books.acknowledge(slot, statuses === null ? created : Uint16Array.from(statuses), good);
    this.#workload.giveBack(slot);
    record(good, sent);
  }

  /** The last request of some slot comes again: every transfer is answered `exists`, and the books will show that nothing was done. */
  async #sendAgain(): Promise<readonly string[]> {
    const slot = this.#workload.slots.find(({ created }) => created > 0);
    if (slot === undefined) return ['nothing was created'];
    const { call, ids } = this.#prepared.get(slot)!;
    const statuses = await call(0, ids);
    if (statuses?.every((status) => status === TransferStatus.exists) === true) return [];
    return [`sent again, transfers were answered ${String(statuses)}`];
  }
}

function countCreated(statuses: Statuses, n: number): number {
  return statuses === null ? n : statuses.filter((status) => status === 0).length;
}

const COMPLAINTS_MAX = 5;
const sum = (all: Float64Array): number => all.reduce((total, one) => total + one, 0);

/** Each account holds what was acknowledged, debits are credits, and as many transfers are stored. */
export async function compareBooks(
  ledger: Pick<PeerLedger, 'balances' | 'countTransfers'>,
  ids: Buffer,
  books: Books,
): Promise<readonly string[]> {
  const complaints: string[] = [];
  if (books.refused > 0) {
    complaints.push(`${books.refused} transfers were refused, first with ${books.firstRefusal}`);
  }
  const stored = await ledger.countTransfers();
  if (stored !== books.created) {
    complaints.push(`${stored} transfers are stored, ${books.created} were acknowledged`);
  }
  const { debits, credits, pending } = await ledger.balances(ids);
  const expected = books.close();
  const [debitSum, creditSum] = [sum(debits), sum(credits)];
  if (debitSum !== creditSum || debitSum !== expected.amount) {
    complaints.push(
      `debits are ${debitSum}, credits are ${creditSum}, acknowledged amounts are ${expected.amount}`,
    );
  }
  if (pending !== 0) complaints.push(`${pending} is pending, and should be nothing`);
  for (let account = 0; account < debits.length && complaints.length < COMPLAINTS_MAX; account++) {
    const [debit, credit] = [expected.debits[account], expected.credits[account]];
    if (debits[account] === debit && credits[account] === credit) continue;
    complaints.push(
      `account ${account} has debits ${debits[account]} and credits ${credits[account]}, acknowledged were ${debit} and ${credit}`,
    );
  }
  return complaints;
}
