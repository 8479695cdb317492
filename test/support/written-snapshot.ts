/** Snapshots of a state machine that stands still, written as the thread of snapshots writes them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestText } from '../../engine/digest.ts';
import { TransferFlags } from '../../engine/flags.ts';
import { imagePieces, ImageSection, imageSizes, imageWords } from '../../engine/image.ts';
import type { SnapshotManifest } from '../../persistence/snapshot-manifest.ts';
import { SnapshotBeing } from '../../persistence/snapshot-store.ts';
import { accountOf, accountsFrame, OneShard, transferOf, transfersFrame } from './one-shard.ts';

export const IDENTITY = { clusterId: 'c'.repeat(32), shard: 0, shards: 1 };

/** A directory of snapshots, and the shard that they are of. */
export class WrittenSnapshots implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'sycee-snapshots-'));
  readonly shard = new OneShard();

  constructor() {
    const accounts = Array.from({ length: 20 }, (_, i) => accountOf(BigInt(i + 1)));
    this.shard.run([accountsFrame(accounts)], 1_000_000n);
  }

  /** Some plain transfers, and a pending one with user data. */
  transfer(first: number): void {
    const transfers = Array.from({ length: 30 }, (_, i) => {
      const plain = transferOf(BigInt(first + i), BigInt(1 + (i % 20)), BigInt(1 + ((i + 7) % 20)));
      return i % 5 === 0 ? { ...plain, flags: TransferFlags.pending, userData64: 5n } : plain;
    });
    this.shard.run([transfersFrame(transfers)], BigInt(first) * 1_000_000n + 2_000_000n);
  }

  write(): SnapshotManifest {
    const { machine, journal } = this.shard;
    const sequence = journal.lastSequence;
    const parts = machine.beginImage();
    machine.endImage(true);
    using being = new SnapshotBeing(this.directory, { ...IDENTITY, sequence });
    being.image.write(ImageSection.state, parts.state);
    being.image.write(ImageSection.links, Uint32Array.of(1, 2, 3));
    for (const piece of imagePieces(imageSizes(machine.ledger))) {
      being.image.write(piece.section, imageWords(machine.ledger, piece));
    }
    const digest = digestText(machine.digest());
    return being.publish({ chain: journal.checksum(sequence), timestamp: '7', digest });
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
