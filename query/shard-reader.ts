/** Everything that reads the journal of one shard: its connections, its frames, its index, and what is known of its accounts' chains. */
import { JournalReader, type JournalReaderOptions } from '../persistence/journal-reader.ts';
import { ChainCache } from './chain-cache.ts';
import { FrameStore } from './frame-store.ts';
import type { FilterMemory } from './segment-index.ts';
import { ShardIndex } from './shard-index.ts';

/** Of all shards together; each has at least 4 MiB of both. */
const FRAMES_BYTES_MAX = 32 << 20;
const CHAINS_BYTES_MAX = 64 << 20;

export class ShardReader implements Disposable {
  readonly shard: number;
  readonly shards: number;
  readonly journal: JournalReader;
  readonly frames: FrameStore;
  readonly chains: ChainCache;
  readonly index: ShardIndex;

  private constructor(
    { shard, shards }: JournalReaderOptions,
    journal: JournalReader,
    memory: FilterMemory,
  ) {
    this.shard = shard;
    this.shards = shards;
    this.journal = journal;
    this.frames = new FrameStore(journal, shards, Math.max(FRAMES_BYTES_MAX / shards, 4 << 20));
    this.chains = new ChainCache(Math.max(CHAINS_BYTES_MAX / shards, 4 << 20));
    const { frames } = this;
    this.index = new ShardIndex({ journal, frames, memory, shard, shards });
  }

  static open(options: JournalReaderOptions, memory: FilterMemory): ShardReader {
    return new ShardReader(options, JournalReader.open(options), memory);
  }

  close(): void {
    this.frames.close();
    this.journal.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
