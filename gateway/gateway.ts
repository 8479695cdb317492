/**
 * Opens the edges that the settings name over a running ledger: admission, metrics, HTTP, NATS, and with `--nats auto` a nats-server.
 *
 * All or none: when one cannot be opened, the others are closed again. `close` stops taking on both edges, answers what was taken, and
 * leaves the ledger to its owner.
 */
import {
  findNatsServer,
  maskUrl,
  type NatsServer,
  NO_NATS_SERVER,
  startNatsServer,
} from '../lib/nats-server.ts';
import { Admission } from './admission.ts';
import { EdgeMeter } from './edge-meter.ts';
import type { Edge } from './edge.ts';
import { type HttpServer, startHttp } from './http-server.ts';
import { Metrics, type ShardReading } from './metrics.ts';
import type { NatsService } from './nats-service.ts';
import { areWritable } from './readiness.ts';
import type { RequestRouter } from './request-router.ts';

const NATS_PORT = 4222;

/** What the operator has settled; the configuration of the process has this and more. */
export interface GatewaySettings {
  readonly http: { readonly host: string; readonly port: number } | 'off';
  readonly httpConnectionsMax: number;
  readonly token: string | undefined;
  readonly nats:
    | { readonly type: 'off' }
    | { readonly type: 'auto' }
    | { readonly type: 'url'; readonly url: string };
  readonly natsPrefix: string;
  readonly requestsMax: number;
  readonly bytesMax: number;
}

/** What the edges need of a supervisor. */
export interface RunningLedger {
  readonly router: RequestRouter;
  readonly shards: number;
  state(): string;
  metrics(): readonly ShardReading[];
}

export interface Gateway {
  readonly http: HttpServer | undefined;
  /** The address of the NATS server, without credentials. */
  readonly natsUrl: string | undefined;
  close(): Promise<void>;
}

export interface GatewayOptions {
  readonly version: string;
  readonly log: (line: string) => void;
}

/** Opens the edges that the configuration names, or none of them when one fails. */
export async function startGateway(
  config: GatewaySettings,
  ledger: RunningLedger,
  options: GatewayOptions,
): Promise<Gateway> {
  const admission = new Admission(config);
  let isClosing = false;
  const edge: Edge = {
    router: ledger.router,
    admission,
    version: options.version,
    log: options.log,
    isReady: () => !isClosing && ledger.state() === 'ready' && areWritable(ledger.router.status()),
  };
  const meters = { http: new EdgeMeter('http'), nats: new EdgeMeter('nats') };
  const metrics = new Metrics({
    version: options.version,
    shards: () => ledger.metrics(),
    meters: [meters.http, meters.nats],
    admission,
  });
  let http: HttpServer | undefined;
  let nats: OpenNats | undefined;
  const close = async (): Promise<void> => {
    isClosing = true;
    await Promise.all([http?.close(), nats?.service.close()]);
    await admission.idle();
    admission.close();
    await nats?.server?.stop();
  };
  try {
    nats = await openNats(config, { edge, isClosing: () => isClosing }, meters.nats);
    if (config.http !== 'off') {
      const { token, httpConnectionsMax } = config;
      const context = { edge, meter: meters.http, metrics, token };
      http = await startHttp({ ...context, connectionsMax: httpConnectionsMax }, config.http);
    }
  } catch (error: unknown) {
    await close();
    throw error;
  }
  return { http, natsUrl: nats?.url, close };
}

interface OpenNats {
  readonly service: NatsService;
  readonly server: NatsServer | undefined;
  readonly url: string;
}

async function openNats(
  config: GatewaySettings,
  { edge, isClosing }: { readonly edge: Edge; readonly isClosing: () => boolean },
  meter: EdgeMeter,
): Promise<OpenNats | undefined> {
  const { nats, natsPrefix: prefix } = config;
  if (nats.type === 'off') return undefined;
  // Who has no NATS does not load its client.
  const { NatsService } = await import('./nats-service.ts');
  if (nats.type === 'url') {
    const service = await NatsService.start({ edge, meter, url: nats.url, prefix });
    return { service, server: undefined, url: maskUrl(nats.url) };
  }
  if (findNatsServer() === undefined) {
    edge.log(`NATS is off: ${NO_NATS_SERVER}`);
    return undefined;
  }
  const server = await startOwnServer(edge.log);
  const { url } = server;
  let isGivenUp = false;
  void watchOwnServer(server, edge, () => isGivenUp || isClosing());
  try {
    const service = await NatsService.start({ edge, meter, url, prefix });
    return { service, server, url };
  } catch (error: unknown) {
    isGivenUp = true;
    await server.stop();
    throw error;
  }
}

/** On the port where NATS clients look first, or on a free one when another server is there. */
async function startOwnServer(log: (line: string) => void): Promise<NatsServer> {
  try {
    return await startNatsServer({ port: NATS_PORT });
  } catch (error: unknown) {
    log(`${(error as Error).message}; taking a free port`);
    return startNatsServer();
  }
}

async function watchOwnServer(
  server: NatsServer,
  edge: Edge,
  isClosing: () => boolean,
): Promise<void> {
  await server.ended;
  if (isClosing()) return;
  edge.log('nats: the nats-server of this process has ended; start Sycee again to bring it back');
}
