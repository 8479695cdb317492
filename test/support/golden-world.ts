/**
 * A whole ledger in one thread, on a real data directory: the product's actors, links, rings, journals, witness, and snapshots, stepped by hand with a clock that
 * stands still. So what it leaves on the disk is the same each time, but for what SQLite draws itself (the salts of a WAL), and work between the shards can be
 * left in the middle.
 */
import { cpSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../../engine/assert.ts';
import { BatchKind } from '../../engine/batch.ts';
import { digestText } from '../../engine/digest.ts';
import { Input } from '../../engine/frame.ts';
import { imagePieces, ImageSection, imageSizes, imageWords } from '../../engine/image.ts';
import { Reply } from '../../engine/open-requests.ts';
import { ACCOUNT_STATUS_NAMES, TRANSFER_STATUS_NAMES } from '../../engine/status.ts';
import { metaChecksum, shardName, type DirectoryMeta } from '../../persistence/data-directory.ts';
import { HeadWitness, makeWitness } from '../../persistence/head-witness.ts';
import { createEmptySegment, PREPARED_NAME } from '../../persistence/segment.ts';
import { SnapshotBeing } from '../../persistence/snapshot-store.ts';
import { SqliteJournal } from '../../persistence/sqlite-journal.ts';
import { StorageRoom } from '../../persistence/storage-room.ts';
import { ActorSnapshots } from '../../sharding/actor-snapshots.ts';
import { Link } from '../../sharding/link.ts';
import { ringBuffer, RingReader, RingWriter } from '../../sharding/ring.ts';
import { ShardActor } from '../../sharding/shard-actor.ts';
import { countersBuffer, ShardCounters } from '../../sharding/shard-counters.ts';
import {
  SNAPSHOT_WORDS,
  SnapshotPhase,
  SnapshotSource,
  SnapshotWord,
  type FromSource,
} from '../../sharding/snapshot-source.ts';
import type { GoldenShard } from './golden-facts.ts';
import type { AccountInput, TransferInput } from './model-ledger.ts';
import { replyAt } from './one-shard.ts';
import { WorldRouter, type RoutedPart, type WorldBatch } from './world-router.ts';

const RING_BYTES = 1 << 16;
const LIVE_NAMES = /^(lock|lock\.pid|ballast)$|-shm$/;

/** An event, and what it is to be answered with: `created` when it does not say. */
export type Planned<Event> = Event & { readonly status?: string };
export type PlannedBatch =
  | { readonly type: 'accounts'; readonly events: readonly Planned<AccountInput>[] }
  | { readonly type: 'transfers'; readonly events: readonly Planned<TransferInput>[] };

interface Shard {
  readonly actor: ShardActor;
  readonly journal: SqliteJournal;
  readonly requests: RingWriter;
  readonly replies: RingReader;
  readonly snapshots: ActorSnapshots;
  readonly words: Int32Array;
  readonly port: MessageChannel;
}

interface Wait {
  readonly part: RoutedPart;
  readonly batch: PlannedBatch;
  readonly statuses: string[];
}

export class GoldenWorld implements Disposable {
  readonly directory: string;
  readonly meta: DirectoryMeta;
  time: bigint;
  #shards: readonly Shard[] = [];
  readonly #router: WorldRouter;
  readonly #waits = new Map<number, Wait>();
  #requests = 0;
  #session = 0;

  constructor(directory: string, meta: DirectoryMeta, time: bigint) {
    this.directory = directory;
    this.meta = meta;
    this.time = time;
    this.#router = new WorldRouter(meta.shards);
    for (let shard = 0; shard < meta.shards; shard++) {
      mkdirSync(join(directory, shardName(shard)), { recursive: true });
    }
    const text = JSON.stringify({ ...meta, checksum: metaChecksum(meta) }, undefined, 2);
    writeFileSync(join(directory, 'sycee.json'), `${text}\n`);
    makeWitness(directory, { ...meta, hasRows: false }, (line) => assert(false, line));
    this.#start();
  }

  #start(): void {
    const { shards } = this.meta;
    this.#session++;
    // By sender and receiver.
    const rings = Array.from({ length: shards }, () =>
      Array.from({ length: shards }, () => ringBuffer(RING_BYTES)),
    );
    this.#shards = Array.from({ length: shards }, (_, shard) => {
      const links = rings.map((row, peer) =>
        peer === shard
          ? undefined
          : new Link(shard, { peer, incoming: row[shard]!, outgoing: rings[shard]![peer]! }),
      );
      return this.#startShard(shard, links);
    });
  }

  #startShard(shard: number, links: readonly (Link | undefined)[]): Shard {
    const { clusterId, shards, seed } = this.meta;
    const directory = join(this.directory, shardName(shard));
    const identity = { clusterId, shard, shards };
    const witness = new HeadWitness(this.directory, identity);
    // As the sealer's thread would: whole, and without a WAL.
    createEmptySegment(join(directory, PREPARED_NAME));
    const journal = SqliteJournal.open({ directory, ...identity, witness });
    const [requests, replies] = [ringBuffer(RING_BYTES), ringBuffer(RING_BYTES)];
    const counters = new ShardCounters(countersBuffer());
    const words = new SharedArrayBuffer(SNAPSHOT_WORDS * 4);
    const port = new MessageChannel();
    const source = new SnapshotSource({ words, port: port.port1 });
    const note = (line: string): void => assert(false, line);
    const own = { ...identity, directory, seed, journal, links, counters };
    const snapshots = new ActorSnapshots({ ...own, source, note });
    const actor = new ShardActor({
      ...own,
      snapshots,
      session: this.#session,
      requests: new RingReader(requests),
      replies: new RingWriter(replies),
      room: new StorageRoom({ reserveBytes: 1, free: () => 2 ** 40 }),
      ring: () => undefined,
      now: () => this.time,
      wall: () => this.time,
    });
    actor.recover();
    const [writer, reader] = [new RingWriter(requests), new RingReader(replies)];
    const place = { snapshots, words: new Int32Array(words), port };
    return { actor, journal, requests: writer, replies: reader, ...place };
  }

  /** Everything is answered and nothing is under way: the shards leave their digests, and begin a new life in new segments. */
  restart(): void {
    this.#settle();
    assert(this.#waits.size === 0, 'everything is answered');
    for (const { actor } of this.#shards) actor.writeDigest();
    this.#close();
    this.#start();
  }

  /** Sends a batch, and lets it happen with all that follows. */
  run(batch: PlannedBatch): void {
    const rest = this.ask(batch);
    this.#settle();
    if (rest !== null) this.#send(rest);
    this.#settle();
    assert(this.#waits.size === 0, () => `no answer to ${JSON.stringify([...this.#waits.keys()])}`);
  }

  /** Sends a batch and nothing else. What is left goes when all of this is answered. */
  ask(batch: PlannedBatch): Wait | null {
    const events = batch.events.map((planned) => {
      const { status: _, ...event } = planned;
      return event;
    });
    const { first, rest } = this.#router.route({ type: batch.type, events } as WorldBatch);
    const statuses: string[] = [];
    for (const part of first) this.#send({ part, batch, statuses });
    return rest === null ? null : { part: rest, batch, statuses };
  }

  #send(wait: Wait): void {
    const { frame, shard } = wait.part;
    const request = ++this.#requests;
    frame[Input.session] = this.#session;
    frame[Input.request] = request;
    const { requests } = this.#shards[shard]!;
    assert(requests.reserve(frame.byteLength), 'the ring has room');
    requests.words.set(frame, requests.at / 4);
    requests.commit();
    this.#waits.set(request, wait);
  }

  /** One step of a shard. */
  step(shard: number): boolean {
    const isBusy = this.#shards[shard]!.actor.step();
    this.#hear(this.#shards[shard]!);
    return isBusy;
  }

  /** The clock goes on, and what is due by then expires. */
  advance(seconds: number): void {
    this.time += BigInt(seconds) * 1_000_000_000n;
    this.#settle();
  }

  #settle(): void {
    for (let isBusy = true; isBusy;) {
      isBusy = this.#shards.map((_, shard) => this.step(shard)).includes(true);
    }
    this.time += 1_000_000n;
  }

  #hear({ replies }: Shard): void {
    while (replies.peek()) {
      const at = replies.at / 4;
      const { words } = replies;
      const wait = this.#waits.get(words[at + Reply.request]!)!;
      this.#waits.delete(words[at + Reply.request]!);
      const { part, batch, statuses } = wait;
      const names = part.kind === BatchKind.accounts ? ACCOUNT_STATUS_NAMES : TRANSFER_STATUS_NAMES;
      for (const [i, status] of replyAt(words, at).statuses.entries()) {
        const row = part.rows[i]!;
        const { id, status: planned = 'created' } = batch.events[row]!;
        statuses[row] = names[status]!;
        assert(statuses[row] === planned, () => `${id} is ${statuses[row]}, not ${planned}`);
      }
      if (batch.type === 'transfers') this.#router.remember(batch.events, statuses);
      replies.release();
    }
  }

  /** As the thread of snapshots writes one, of a shard that stands still meanwhile. Says its sequence. */
  snapshot(shard: number): number {
    const { actor, words, port } = this.#shards[shard]!;
    const { clusterId, shards } = this.meta;
    actor.beginSnapshot(1);
    const { message } = receiveMessageOnPort(port.port2)!;
    const begin = message as Extract<FromSource, { type: 'begin' }>;
    assert(begin.type === 'begin', 'the source says what there is');
    const { sequence, chain, timestamp } = begin.place;
    const directory = join(this.directory, shardName(shard));
    using being = new SnapshotBeing(directory, { clusterId, shard, shards, sequence });
    being.image.write(ImageSection.state, begin.parts.state);
    being.image.write(ImageSection.links, begin.links);
    const { ledger } = actor.machine;
    for (const piece of imagePieces(imageSizes(ledger))) {
      being.image.write(piece.section, imageWords(ledger, piece));
    }
    being.publish({ chain, timestamp, digest: digestText(actor.machine.digest()) });
    Atomics.store(words, SnapshotWord.phase, SnapshotPhase.read);
    return sequence;
  }

  /** How far each shard is, and what it has in flight. */
  heads(): readonly Omit<GoldenShard, 'snapshots'>[] {
    return this.#shards.map(({ actor, journal }, shard) => {
      const { machine } = actor;
      const { parkedCount: parked, claimedCount: claimed, walksUnderWay: walks } = machine;
      const [sent, received] = [[...machine.sent], [...machine.received]];
      const { lastSequence: sequence } = journal;
      const digest = digestText(machine.digest());
      return { shard, sequence, digest, parked, claimed, walks, sent, received };
    });
  }

  /** Copies the directory as a kill would leave it, without what says nothing of the ledger. */
  copyTo(target: string): void {
    cpSync(this.directory, target, {
      recursive: true,
      filter: (path) => {
        const isEmptied = path.endsWith('-wal') && statSync(path).size === 0;
        return !isEmptied && !LIVE_NAMES.test(path.split('/').at(-1)!);
      },
    });
    cpSync(`${this.directory}.head`, `${target}.head`);
    assert(readdirSync(target).includes('head'), 'the witness is there');
  }

  #close(): void {
    for (const { journal, port } of this.#shards) {
      journal.close();
      port.port1.close();
      port.port2.close();
    }
    this.#shards = [];
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}
