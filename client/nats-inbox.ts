/**
 * Where answers over NATS come in: one subscription for all requests of a connection, each with a reply subject of its own, as the library's
 * `request` has it. Here since that keeps a Map of its requests, and under a steady load of small ones the collector then finds none of them dead
 * (lib/slot-table.ts), and makes two promises, a race, and a timer for each.
 *
 * A try ends with a copy of its answer, or is rejected: with an error of the library (NoRespondersError, TimeoutError, PermissionViolationError, what
 * `publish` throws), or with one that says that the headers cannot be read. An answer that comes after that is dropped.
 */
import {
  createInbox,
  errors,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type PermissionViolationError,
} from '@nats-io/transport-node';
import { SlotTable } from '../lib/slot-table.ts';

/** How late the end of a try may be. */
const SWEEP_MS = 20;
const NO_RESPONDERS = 503;

export interface NatsRequest {
  readonly subject: string;
  readonly bytes: Uint8Array;
  readonly headers: MsgHdrs;
  readonly timeoutMs: number;
}

export interface NatsAnswer {
  readonly bytes: Uint8Array;
  readonly headers: MsgHdrs | undefined;
}

interface Waiting {
  readonly subject: string;
  /** Tells requests apart that have the same place one after the other. */
  readonly number: number;
  /** By the monotonic clock, ms. */
  readonly endsAt: number;
  readonly resolve: (answer: NatsAnswer) => void;
  readonly reject: (error: Error) => void;
}

export class NatsInbox {
  readonly #connection: NatsConnection;
  readonly #prefix: string;
  readonly #waiting = new SlotTable<Waiting>();
  #isSubscribed = false;
  #lastNumber = 0;
  #sweep: NodeJS.Timeout | undefined;

  constructor(connection: NatsConnection, inboxPrefix: string | undefined) {
    this.#connection = connection;
    this.#prefix = `${createInbox(inboxPrefix)}.`;
  }

  request({ subject, bytes, headers, timeoutMs }: NatsRequest): Promise<NatsAnswer> {
    return new Promise((resolve, reject) => {
      if (!this.#isSubscribed) this.#subscribe();
      const number = ++this.#lastNumber;
      const endsAt = performance.now() + timeoutMs;
      const slot = this.#waiting.add({ subject, number, endsAt, resolve, reject });
      this.#sweep ??= setInterval(() => this.#endLate(), SWEEP_MS);
      try {
        const reply = `${this.#prefix}${slot}-${number}`;
        this.#connection.publish(subject, bytes, { reply, headers });
      } catch (error: unknown) {
        this.#waiting.remove(slot);
        throw error;
      }
    });
  }

  /** Ends every try under way. */
  endAll(error: Error): void {
    clearInterval(this.#sweep);
    this.#sweep = undefined;
    for (const { reject } of this.#waiting.takeAll()) reject(error);
  }

  /** The server says what the client may not do, and not for which request: it is the same for all of a subject. */
  refused(error: PermissionViolationError): void {
    const isInbox = error.subject.startsWith(this.#prefix);
    if (isInbox && error.operation === 'subscription') this.#isSubscribed = false;
    this.#end((one) => isInbox || one.subject === error.subject, error);
  }

  #subscribe(): void {
    this.#connection.subscribe(`${this.#prefix}*`, {
      // What the library says of the subscription itself comes by the connection's status, too.
      callback: (error, message) => {
        if (error === null) this.#answered(message);
      },
    });
    this.#isSubscribed = true;
  }

  // Hot path.
  #answered(message: Msg): void {
    const { subject } = message;
    const dash = subject.lastIndexOf('-');
    const slot = Number(subject.slice(this.#prefix.length, dash));
    const waiting = this.#waiting.get(slot);
    if (waiting === undefined || waiting.number !== Number(subject.slice(dash + 1))) return;
    this.#waiting.remove(slot);
    // The message is good only until this method returns (lib/nats-connection.ts).
    try {
      const { data, headers } = message;
      const isNobodyThere = data.length === 0 && headers?.code === NO_RESPONDERS;
      if (isNobodyThere) waiting.reject(new errors.NoRespondersError(waiting.subject));
      else waiting.resolve({ bytes: Buffer.from(data), headers });
    } catch (error: unknown) {
      waiting.reject(new Error('the headers of an answer cannot be read', { cause: error }));
    }
  }

  #endLate(): void {
    const now = performance.now();
    this.#end(({ endsAt }) => endsAt <= now, new errors.TimeoutError());
    if (this.#waiting.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #end(isOver: (waiting: Waiting) => boolean, error: Error): void {
    for (const [slot, one] of this.#waiting.entries()) {
      if (!isOver(one)) continue;
      this.#waiting.remove(slot);
      one.reject(error);
    }
  }
}
