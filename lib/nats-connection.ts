/**
 * Connects to NATS with the library's protocol and a way of our own to read its socket.
 *
 * The library has a new buffer for each read, and copies what came in several of them two or three times: five times the bytes that arrive, and the
 * collector marks the heap for it many times a second. Here the socket is read into memory that is used again (nats-frames.ts). SO A MESSAGE IS GOOD
 * ONLY WHILE ITS CALLBACK RUNS: what is needed of it later has to be copied, and every subscription has a callback.
 *
 * What comes encrypted is read the library's way, since Node decrypts it into memory of its own. So are connections that somebody else in this process
 * makes with the library, which has one factory of transports for all; where he does so, ours may come to be read that way when they are made again.
 */
import { createConnection, type Socket } from 'node:net';
import {
  deferred,
  errors,
  hasWsProtocol,
  INFO,
  type NatsConnection,
  NatsConnectionImpl,
  type NodeConnectionOptions,
  type ServerInfo,
  setTransportFactory,
} from '@nats-io/transport-node';
// oxlint-disable-next-line import/extensions -- this package has no export map
import { nodeResolveHost, NodeTransport } from '@nats-io/transport-node/lib/node_transport.js';
import { NatsFrames } from './nats-frames.ts';

/** Tells our connections from others to the factory that they share. */
const MARK = 'readsIntoUsedMemory';

interface Address {
  readonly hostname: string;
  readonly port: number;
}

export async function connectNats(options: NodeConnectionOptions): Promise<NatsConnection> {
  if (hasWsProtocol(options)) {
    throw errors.InvalidArgumentError.format('servers', 'are no websockets: use nats:// or tls://');
  }
  setTransportFactory({ factory: () => new NatsSocket(), dnsResolveFn: nodeResolveHost });
  return NatsConnectionImpl.connect({ ...options, [MARK]: true } as NodeConnectionOptions);
}

class NatsSocket extends NodeTransport {
  /** Undefined where the library reads. */
  #frames: NatsFrames | undefined;
  /** Views that the protocol was given, and those that it is done with. */
  #given = 0;
  #taken = 0;

  override dial(address: Address): Promise<Socket> {
    // Its debugging prints what it reads.
    if (!(MARK in this.options) || this.options.debug === true) return super.dial(address);
    this.#frames = new NatsFrames();
    const socket = this.#socketInto(address, this.#frames);
    const dialed = deferred<Socket>();
    const fault = faultOf(socket);
    void fault.catch((error: unknown) => dialed.reject(error));
    socket.once('connect', () => {
      socket.removeAllListeners();
      dialed.resolve(socket);
    });
    return dialed;
  }

  #socketInto({ port, hostname: host }: Address, frames: NatsFrames): Socket {
    let isOtherFree = true;
    // Microtasks run between two reads, so the protocol has looked at the one when the other comes, unless it waits for something.
    const callback = (bytes: number): boolean => {
      isOtherFree = this.#given === this.#taken;
      const view = frames.took(bytes);
      if (view !== undefined) {
        this.#given++;
        this.yields.push(view);
        this.signal.resolve();
      }
      return true;
    };
    const onread = { buffer: () => frames.room(isOtherFree), callback };
    return createConnection({ port, host, noDelay: true, onread });
  }

  override async peekInfo(): Promise<ServerInfo> {
    if (this.#frames === undefined) return super.peekInfo();
    await Promise.race([this.signal, faultOf(this.socket)]);
    this.socket.removeAllListeners();
    const match = INFO.exec(Buffer.from(this.yields[0]!).toString());
    if (match === null) throw new Error('the NATS server does not begin with INFO');
    return JSON.parse(match[1]!) as ServerInfo;
  }

  override iterate(): AsyncIterableIterator<Uint8Array> {
    return this.#frames === undefined ? super.iterate() : this.#views();
  }

  async *#views(): AsyncIterableIterator<Uint8Array> {
    try {
      while (!this.done) {
        if (this.yields.length === 0) {
          this.signal = deferred();
          await this.signal;
        }
        for (const view of this.yields.splice(0)) {
          yield view;
          this.#taken++;
        }
      }
    } finally {
      // Where the protocol or a callback has thrown, nobody reads any more: the connection is made anew.
      if (!this.done) this.socket.destroy();
    }
  }
}

/** Rejects when the socket is closed. */
function faultOf(socket: Socket): Promise<never> {
  return new Promise((_resolve, reject) => {
    let fault: Error | undefined;
    socket.once('error', (error) => {
      fault = error;
    });
    socket.once('close', () => reject(fault ?? new Error('the connection was closed')));
  });
}
