/**
 * Service discovery after ADR-32: answers `$SRV.PING|INFO|STATS[.sycee[.ID]]`, so that `nats micro ls|info|stats` find this server.
 * Without a queue group: every instance answers for itself.
 */
import { type Msg, type NatsConnection, nuid } from '@nats-io/transport-node';
import { unreachable } from '../engine/assert.ts';
import type { EdgeMeter } from './edge-meter.ts';
import { OPERATIONS } from './operation.ts';

const SERVICE_NAME = 'sycee';
const VERBS = ['PING', 'INFO', 'STATS'] as const;
type Verb = (typeof VERBS)[number];

export interface DiscoveryOptions {
  readonly version: string;
  readonly prefix: string;
  readonly queueGroup: string;
  readonly meter: EdgeMeter;
  readonly mayReplyTo: (subject: string | undefined) => boolean;
}

export class NatsDiscovery {
  readonly id = nuid.next();
  readonly #options: DiscoveryOptions;
  readonly #started = new Date().toISOString();

  constructor(connection: NatsConnection, options: DiscoveryOptions) {
    this.#options = options;
    for (const verb of VERBS) {
      const whole = `$SRV.${verb}`;
      for (const subject of [
        whole,
        `${whole}.${SERVICE_NAME}`,
        `${whole}.${SERVICE_NAME}.${this.id}`,
      ]) {
        connection.subscribe(subject, {
          callback: (error, message) => {
            if (error === null) this.#answer(verb, message);
          },
        });
      }
    }
  }

  #answer(verb: Verb, message: Msg): void {
    if (!this.#options.mayReplyTo(message.reply)) return;
    message.respond(JSON.stringify(this.#document(verb)));
  }

  #document(verb: Verb): object {
    const { version } = this.#options;
    const identity = { name: SERVICE_NAME, id: this.id, version, metadata: {} };
    switch (verb) {
      case 'INFO':
        return {
          type: 'io.nats.micro.v1.info_response',
          ...identity,
          description: 'Sycee, a durable double-entry ledger engine',
          endpoints: this.#endpoints().map((one) => ({ ...one, metadata: {} })),
        };
      case 'STATS':
        return {
          type: 'io.nats.micro.v1.stats_response',
          ...identity,
          started: this.#started,
          endpoints: this.#statistics(),
        };
      case 'PING':
        return { type: 'io.nats.micro.v1.ping_response', ...identity };
      default:
        return unreachable(verb);
    }
  }

  #endpoints(): readonly { name: string; subject: string; queue_group: string }[] {
    const { prefix, queueGroup } = this.#options;
    return [...OPERATIONS, 'status'].map((name) => ({
      name,
      subject: `${prefix}.v1.${name}`,
      queue_group: queueGroup,
    }));
  }

  #statistics(): readonly object[] {
    const { meter } = this.#options;
    const readings = new Map(meter.read().map((one) => [one.operation, one]));
    return this.#endpoints().map((endpoint) => {
      const reading = readings.get(endpoint.name);
      const requests = reading?.requests ?? 0;
      const nanoseconds = Math.round((reading?.seconds ?? 0) * 1e9);
      let errors = 0;
      for (const count of reading?.errors.values() ?? []) errors += count;
      return {
        ...endpoint,
        num_requests: requests,
        num_errors: errors,
        last_error: reading?.lastError ?? '',
        processing_time: nanoseconds,
        average_processing_time: requests === 0 ? 0 : Math.round(nanoseconds / requests),
      };
    });
  }
}
