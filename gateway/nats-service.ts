/**
 * The NATS edge: subjects to operations, replies to inboxes.
 *
 * PREFIX.v1.OPERATION and PREFIX.v1.shard.K.OPERATION in the queue group `sycee`, both to the same router. Subscriptions are callbacks:
 * a handler runs where the socket is read, and what is too much is answered `overloaded` at once instead of being queued.
 *
 * Failure policy. A lost connection is sought again for ever; answers that fall into the gap are lost, and the caller asks again with the
 * same ids. A message that cannot be answered is not carried out: without a reply subject, or with one that is ours or the server's own
 * (nobody makes this server publish to a subject that its other listeners trust).
 * Ordering of `close`: unsubscribe, answer what was taken, drain the connection.
 */
import {
  headers as newHeaders,
  Match,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Subscription,
} from '@nats-io/transport-node';
import { Packr } from 'msgpackr';
import { connectNats } from '../lib/nats-connection.ts';
import { ERROR_HTTP_STATUS, SyceeError } from '../lib/sycee-error.ts';
import { DEADLINE_HEADER, deadlineOf } from './admission.ts';
import { type EdgeMeter, OTHER_INDEX, STATUS_INDEX } from './edge-meter.ts';
import type { Edge } from './edge.ts';
import { NatsDiscovery } from './nats-discovery.ts';
import {
  type Answer,
  asSyceeError,
  OPERATIONS,
  type Operation,
  startOperation,
} from './operation.ts';
import { statusDocument } from './status-document.ts';
import { type Encoding, encodeProblem, encodingOf } from './wire-codec.ts';

export const QUEUE_GROUP = 'sycee';
const RECONNECT_WAIT_MS = 250;
const PING_INTERVAL_MS = 3_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** How long a server that is not there may hold up a close. */
const DRAIN_MS = 3_000;
/** The server's default, until it has told its own. */
const PAYLOAD_BYTES_DEFAULT = 1 << 20;

export interface NatsOptions {
  readonly edge: Edge;
  readonly meter: EdgeMeter;
  /** nats://[user:password@|token@]host:port, several with commas. */
  readonly url: string;
  readonly prefix: string;
}

export class NatsService {
  readonly #edge: Edge;
  readonly #meter: EdgeMeter;
  readonly #prefix: string;
  readonly #connection: NatsConnection;
  readonly #subscriptions: Subscription[] = [];
  readonly #discovery: NatsDiscovery;

  /** Connects and subscribes. Rejects with a sentence when no server answers now; later losses are mended in the background. */
  static async start(options: NatsOptions): Promise<NatsService> {
    const connection = await connectNow(options);
    const service = new NatsService(options, connection);
    await connection.flush();
    return service;
  }

  private constructor(options: NatsOptions, connection: NatsConnection) {
    this.#edge = options.edge;
    this.#meter = options.meter;
    this.#prefix = options.prefix;
    this.#connection = connection;
    for (const operation of OPERATIONS) {
      this.#subscribe(operation, (message) => this.#answerOperation(operation, message));
    }
    this.#subscribe('status', (message) => this.#answerStatus(message));
    this.#discovery = new NatsDiscovery(connection, {
      version: options.edge.version,
      queueGroup: QUEUE_GROUP,
      prefix: options.prefix,
      meter: options.meter,
      mayReplyTo: (subject) => this.#mayReplyTo(subject),
    });
    void this.#watch();
  }

  get id(): string {
    return this.#discovery.id;
  }

  async close(): Promise<void> {
    const drained = this.#drain();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, DRAIN_MS);
    });
    await Promise.race([drained, late]);
    clearTimeout(timer);
    if (!this.#connection.isClosed()) await this.#connection.close();
  }

  async #drain(): Promise<void> {
    try {
      await Promise.all(this.#subscriptions.map((one) => one.drain()));
      await this.#edge.admission.idle();
      await this.#connection.drain();
    } catch (error: unknown) {
      this.#edge.log(`nats: closed without draining: ${sentenceOf(error)}`);
    }
  }

  #subscribe(operation: string, answer: (message: Msg) => void): void {
    this.#listen(`${this.#prefix}.v1.${operation}`, answer);
    // Whichever shard is named, the request goes to the owners of what is in it.
    this.#listen(`${this.#prefix}.v1.shard.*.${operation}`, (message) => {
      if (this.#namesShard(message.subject)) answer(message);
      else this.#refuseShard(message);
    });
  }

  #listen(subject: string, answer: (message: Msg) => void): void {
    const subscription = this.#connection.subscribe(subject, {
      queue: QUEUE_GROUP,
      callback: (error, message) => {
        if (error === null) answer(message);
        else this.#edge.log(`nats: subscription ${subject}: ${error.message}`);
      },
    });
    this.#subscriptions.push(subscription);
  }

  #namesShard(subject: string): boolean {
    const name = subject.split('.').at(-2)!;
    const { shards } = this.#edge.router.status();
    return /^(0|[1-9]\d?)$/.test(name) && Number(name) < shards.length;
  }

  #refuseShard({ reply, data, subject }: Msg): void {
    if (!this.#mayReplyTo(reply)) {
      this.#meter.ignored++;
      return;
    }
    const started = this.#meter.begin();
    const rule = `0..${this.#edge.router.status().shards.length - 1}`;
    const problem = new SyceeError(
      'malformed_request',
      `the subject names shard ${JSON.stringify(subject.split('.').at(-2))}; this ledger has the shards ${rule}`,
      { field: 'shard', rule },
    );
    this.#meter.fail(OTHER_INDEX, problem);
    this.#publishProblem(reply, answerEncoding(data), problem);
    this.#meter.end(OTHER_INDEX, started);
  }

  /** Hot path. */
  #answerOperation(operation: Operation, message: Msg): void {
    const { reply, data } = message;
    if (!this.#mayReplyTo(reply)) {
      this.#meter.ignored++;
      return;
    }
    const { admission } = this.#edge;
    const started = this.#meter.begin();
    // The bytes are good only until this method returns (lib/nats-connection.ts).
    const encoding = answerEncoding(data);
    const index = OPERATIONS.indexOf(operation);
    let held = 0;
    let isEntered = false;
    const leave = (): void => {
      if (isEntered) admission.leave();
      admission.giveBytes(held);
      this.#meter.end(index, started);
    };
    const succeed = (answer: Answer): void => {
      this.#publishAnswer(reply, answer.payload);
      leave();
    };
    const fail = (error: unknown): void => {
      const problem = asSyceeError(error, this.#edge.log);
      this.#meter.fail(index, problem);
      this.#publishProblem(reply, encoding, problem);
      leave();
    };
    try {
      admission.takeBytes(data.byteLength);
      held = data.byteLength;
      admission.enter();
      isEntered = true;
      startOperation(this.#edge.router, operation, data, {
        deadlineMs: deadlineOfMessage(message.headers),
        answerBytesMax: this.#payloadBytesMax(),
      })
        .then(succeed)
        .catch(fail);
    } catch (error: unknown) {
      fail(error);
    }
  }

  #answerStatus(message: Msg): void {
    const { reply, data } = message;
    if (!this.#mayReplyTo(reply)) {
      this.#meter.ignored++;
      return;
    }
    const started = this.#meter.begin();
    const document = statusDocument(this.#edge);
    const isJson = answerEncoding(data) === 'json';
    this.#publish(reply, isJson ? JSON.stringify(document) : packr.pack(document));
    this.#meter.end(STATUS_INDEX, started);
  }

  /** `$SYS`, `$JS`, `$SRV` and the like are the server's, PREFIX.* is ours. */
  #mayReplyTo(subject: string | undefined): subject is string {
    if (subject === undefined || subject === '' || subject.startsWith('$')) return false;
    return !subject.startsWith(`${this.#prefix}.`) && !subject.startsWith('sycee.');
  }

  #payloadBytesMax(): number {
    return this.#connection.info?.max_payload ?? PAYLOAD_BYTES_DEFAULT;
  }

  /** Throws too_large before anything is sent. */
  #publishAnswer(reply: string, payload: string | Uint8Array): void {
    const bytes = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.byteLength;
    const bytesMax = this.#payloadBytesMax();
    if (bytes > bytesMax) {
      throw new SyceeError(
        'too_large',
        `the answer has ${bytes} bytes, the NATS server allows ${bytesMax}; ask for fewer at once`,
      );
    }
    this.#publish(reply, payload);
  }

  #publishProblem(reply: string, encoding: Encoding, problem: SyceeError): void {
    const headers = newHeaders();
    headers.set('Nats-Service-Error', headerText(`${problem.code}: ${problem.message}`));
    headers.set('Nats-Service-Error-Code', String(ERROR_HTTP_STATUS[problem.code]));
    this.#publish(reply, encodeProblem(encoding, problem), headers);
  }

  /** An answer that cannot be sent is lost, as NATS is at most once: the caller's deadline passes, and he asks again. */
  #publish(reply: string, payload: string | Uint8Array, headers?: MsgHdrs): void {
    try {
      this.#connection.publish(reply, payload, headers === undefined ? undefined : { headers });
    } catch (error: unknown) {
      this.#meter.ignored++;
      this.#edge.log(`nats: an answer was not sent: ${sentenceOf(error)}`);
    }
  }

  async #watch(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect') this.#edge.log('nats: connection lost, seeking it again');
      if (status.type === 'reconnect') this.#edge.log('nats: connected again');
      if (status.type === 'error') this.#edge.log(`nats: ${status.error.message}`);
    }
  }
}

const packr = new Packr({ useRecords: false });

/** What is neither is answered in JSON. */
const answerEncoding = (data: Uint8Array): Encoding => encodingOf(data) ?? 'json';

function deadlineOfMessage(headers: MsgHdrs | undefined): number {
  if (headers === undefined) return 0;
  return deadlineOf(headers.get(DEADLINE_HEADER, Match.IgnoreCase), Date.now());
}

/** A header holds one line. */
const headerText = (text: string): string =>
  text.replaceAll(/[^\u0020-\u007e]+/g, ' ').slice(0, 512);

const sentenceOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

async function connectNow(options: NatsOptions): Promise<NatsConnection> {
  const servers = options.url.split(',').map((one) => parseServer(one.trim()));
  const { username, password } = servers[0]!;
  const credentials =
    username === ''
      ? {}
      : password === ''
        ? { token: username }
        : { user: username, pass: password };
  try {
    return await connectNats({
      servers: servers.map(({ host, scheme }) => `${scheme}://${host}`),
      ...credentials,
      name: `sycee ${options.edge.version}`,
      noAsyncTraces: true,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_WAIT_MS,
      ignoreAuthErrorAbort: true,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: 2,
      timeout: CONNECT_TIMEOUT_MS,
      waitOnFirstConnect: false,
    });
  } catch (error: unknown) {
    const where = servers.map(({ host }) => host).join(', ');
    throw new Error(
      `no NATS server answers at ${where} (${sentenceOf(error)}); start one, or serve with --nats auto or --nats off`,
      { cause: error },
    );
  }
}

interface ServerAddress {
  readonly scheme: string;
  readonly host: string;
  readonly username: string;
  readonly password: string;
}

function parseServer(text: string): ServerAddress {
  const url = new URL(text.includes('://') ? text : `nats://${text}`);
  return {
    scheme: url.protocol.slice(0, -1),
    host: url.host,
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}
