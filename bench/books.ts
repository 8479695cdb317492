/**
 * What the ledger must hold after a run: for each account the debits and credits of every acknowledged transfer, kept apart from the
 * ledger under test. Sums stay exact: amounts are below 2^10, and 2^43 of them fit into a double.
 */
import { TransferStatus } from '../engine/status.ts';
import type { Slot } from './slots.ts';
import type { Workload } from './workload.ts';

export class Books {
  readonly #workload: Workload;
  readonly #debits: Float64Array;
  readonly #credits: Float64Array;
  /** Acknowledged as created. */
  created = 0;
  /** Answered with any other status: none is expected. */
  refused = 0;
  firstRefusal = 0;

  constructor(workload: Workload) {
    this.#workload = workload;
    this.#debits = new Float64Array(workload.accounts);
    this.#credits = new Float64Array(workload.accounts);
  }

  /** Costs nothing per transfer when all were created, which is how it should be. */
  acknowledge(slot: Slot, statuses: Uint16Array, created: number): void {
    this.created += created;
    if (created === statuses.length) {
      slot.created++;
      return;
    }
    this.refused += statuses.length - created;
    for (const [row, status] of statuses.entries()) {
      if (status === TransferStatus.created) this.#add(slot, row, 1);
      else this.firstRefusal ||= status;
    }
  }

  /** One transfer that was created so many times, with another id each time. */
  acknowledgeRow(slot: Slot, row: number, times: number): void {
    this.created += times;
    this.#add(slot, row, times);
  }

  /** So many transfers each account is in; of requests that were created whole, and before the books are closed. */
  entries(): Uint32Array {
    const entries = new Uint32Array(this.#workload.accounts);
    for (const { created, debits, credits } of this.#slots()) {
      if (created === 0) continue;
      for (const account of debits) entries[account]! += created;
      for (const account of credits) entries[account]! += created;
    }
    return entries;
  }

  /** Debits and credits of each account, and the amount of all transfers. To be called once, when nothing is under way. */
  close(): { debits: Float64Array; credits: Float64Array; amount: number } {
    for (const slot of this.#slots()) {
      if (slot.created === 0) continue;
      for (let row = 0; row < slot.amounts.length; row++) this.#add(slot, row, slot.created);
      slot.created = 0;
    }
    return {
      debits: this.#debits,
      credits: this.#credits,
      amount: this.#debits.reduce((sum, one) => sum + one, 0),
    };
  }

  *#slots(): Generator<Slot> {
    for (const { slots } of this.#workload.rings) yield* slots;
  }

  #add(slot: Slot, row: number, times: number): void {
    const amount = slot.amounts[row]! * times;
    this.#debits[slot.debits[row]!]! += amount;
    this.#credits[slot.credits[row]!]! += amount;
  }
}
