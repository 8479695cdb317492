/**
 * Stops the actor of one shard for a while, as a processor that is taken away would: by the inspector, which has its thread wait for a `sleep` in the middle of
 * what it does. The ledger has nothing for that and does not know of it.
 */
import { Session } from 'node:inspector/promises';

export class ShardPauses implements Disposable {
  readonly #session = new Session();
  /** By the name of the thread. */
  readonly #threads = new Map<string, string>();
  #messages = 0;

  static async attach(): Promise<ShardPauses> {
    const pauses = new ShardPauses();
    const session = pauses.#session;
    session.connect();
    session.on('NodeWorker.attachedToWorker', ({ params }) => {
      const { title } = params.workerInfo;
      pauses.#threads.set(title.replace(/^\[worker \d+\] /, ''), params.sessionId);
    });
    await session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
    return pauses;
  }

  /** Resolves when the thread was told, which then stands still for so long. */
  async pause(shard: number, ms: number): Promise<void> {
    const sessionId = this.#threads.get(`shard ${shard}`);
    if (sessionId === undefined) throw new Error(`there is no thread of shard ${shard}`);
    // Not by Atomics.wait: the thread may be in one, and V8 has one for each thread.
    const expression = `process.getBuiltinModule('child_process').spawnSync('sleep', ['${ms / 1000}'])`;
    const message = { id: ++this.#messages, method: 'Runtime.evaluate', params: { expression } };
    await this.#session.post('NodeWorker.sendMessageToWorker', {
      sessionId,
      message: JSON.stringify(message),
    });
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }
}
