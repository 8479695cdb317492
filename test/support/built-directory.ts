/** Writes made-up journals to real segments, small ones, and goes on with them as they grow. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SqliteJournal } from '../../persistence/sqlite-journal.ts';
import type { BuiltJournals } from './built-journals.ts';
import { makeMemoryDirectory } from './memory-directory.ts';

export class BuiltDirectory implements Disposable {
  readonly clusterId = 'b'.repeat(32);
  readonly directories: readonly string[];
  readonly #root = makeMemoryDirectory('sycee-built-');
  readonly #journals: readonly SqliteJournal[];
  readonly #built: Pick<BuiltJournals, 'frames'>;

  constructor(
    built: Pick<BuiltJournals, 'frames'> & { readonly shards: number },
    segmentBytesMax: number,
  ) {
    const { shards } = built;
    this.#built = built;
    this.directories = Array.from({ length: shards }, () =>
      mkdtempSync(join(this.#root, 'shard-')),
    );
    this.#journals = this.directories.map((directory, shard) =>
      SqliteJournal.open({ directory, clusterId: this.clusterId, shard, shards, segmentBytesMax }),
    );
    this.write();
  }

  /** Appends what was built since. */
  write(): void {
    for (const [shard, journal] of this.#journals.entries()) {
      for (const { frame, timestamp } of this.#built.frames[shard]!.slice(journal.lastSequence)) {
        journal.append({ sequence: journal.lastSequence + 1, timestamp, frame });
      }
    }
  }

  [Symbol.dispose](): void {
    for (const journal of this.#journals) journal.close();
    rmSync(this.#root, { recursive: true, force: true });
  }
}
