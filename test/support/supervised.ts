/** A client of a supervisor in this process, for tests that put faults into its shards. */
import { TransportClient, type Client } from '../../client/client.ts';
import { RouterTransport } from '../../client/router-transport.ts';
import { Supervisor, type SupervisorOptions } from '../../sharding/supervisor.ts';
import { TempDirectory } from './cluster.ts';

const POLL_MS = 5;

/** Owns its directory. */
export class Supervised implements AsyncDisposable {
  readonly supervisor: Supervisor;
  readonly client: Client;
  readonly lines: string[];
  readonly #directory: TempDirectory;

  private constructor(supervisor: Supervisor, directory: TempDirectory, lines: string[]) {
    this.supervisor = supervisor;
    this.#directory = directory;
    this.lines = lines;
    const transport = new RouterTransport(supervisor.router, () => Promise.resolve());
    this.client = new TransportClient(transport);
  }

  static async start(options: Omit<SupervisorOptions, 'directory' | 'log'>): Promise<Supervised> {
    const directory = new TempDirectory();
    const lines: string[] = [];
    const log = (line: string): void => void lines.push(line);
    return new Supervised(
      await Supervisor.start({ ...options, directory: directory.path, log }),
      directory,
      lines,
    );
  }

  get directory(): string {
    return this.#directory.path;
  }

  state(shard: number): string {
    return this.supervisor.metrics()[shard]!.state;
  }

  /** Nothing is claimed, nothing waits, no walk is under way. */
  isAtRest(): boolean {
    return this.supervisor
      .metrics()
      .every((one) => one.claimed + one.parked + one.walksInFlight + one.requestsInFlight === 0);
  }

  /** There is no event for what shared memory says: it is looked at until it is so. */
  async until(what: string, isSo: () => boolean, msMax = 30_000): Promise<void> {
    const deadline = performance.now() + msMax;
    while (!isSo()) {
      if (performance.now() > deadline) {
        const counters = this.supervisor
          .metrics()
          .map(({ state, claimed, parked, walksInFlight, requestsInFlight, restarts }) => ({
            state,
            claimed,
            parked,
            walksInFlight,
            requestsInFlight,
            restarts,
          }));
        throw new Error(
          `not so after ${msMax} ms: ${what}\n${JSON.stringify(counters)}\n${this.lines.slice(-20).join('\n')}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.supervisor.stop();
    await this.#directory[Symbol.asyncDispose]();
  }
}
