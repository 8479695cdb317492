/**
 * The life of an actor's thread: open the journal, recover, then step while there is work and wait at the doorbell while there is none.
 * Ends by returning (stop) or by throwing (anything else): then nobody answers from this memory again, and the supervisor rebuilds the shard.
 */
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../engine/assert.ts';
import type { Doorbell } from '../lib/doorbell.ts';
import type { Journal } from '../persistence/journal.ts';
import { freeBytes, StorageRoom } from '../persistence/storage-room.ts';
import { ActorSnapshots } from './actor-snapshots.ts';
import { Link } from './link.ts';
import { RingReader, RingWriter } from './ring.ts';
import { ShardActor } from './shard-actor.ts';
import { ShardCounters } from './shard-counters.ts';
import {
  Counter,
  doorbellsOf,
  serializeError,
  ShardState,
  type ControlMessage,
  type FromShard,
  type ShardThreadOptions,
} from './shard-protocol.ts';
import { SnapshotSource } from './snapshot-source.ts';

/** How long an idle actor sleeps between heartbeats. */
const IDLE_WAIT_MS = 100;
/** How long it sleeps when something waits for room in a ring, which rings no doorbell. */
const BACKLOG_WAIT_MS = 1;
/**
 * The event loop has a turn after so many steps. Nothing of ours runs in it, but Node frees there what the collector has found of closed
 * SQLite connections and their statements; without it each segment would leave 35 KiB behind for ever.
 */
const STEPS_BETWEEN_TURNS = 256;

/** Different sentences about damage in one life of a shard. */
const NOTES_MAX = 64;
/** After a commit that found no room, whatever the file system says: longer than the window of rebuilds by their number. */
const DISBELIEF_MS = 15_000;

export async function runShardThread(
  options: ShardThreadOptions,
  openJournal: (onProblem: (problem: string) => void) => Journal,
): Promise<void> {
  assert(parentPort !== null, 'an actor runs on a thread of its own');
  const port = parentPort;
  const tell = (message: FromShard): void => port.postMessage(message);
  const counters = new ShardCounters(options.counters);
  counters.setState(ShardState.recovering);
  try {
    using journal = openJournal((line) => tell({ type: 'note', line }));
    const links = linksOf(options);
    const room = roomOf(options);
    const bells = doorbellsOf(options.doorbells, options.shards);
    const actor = new ShardActor({
      ...options,
      journal,
      links,
      counters,
      room,
      requests: new RingReader(options.requests),
      replies: new RingWriter(options.replies),
      now: clockOf(options),
      ring: (written) => ringWritten(written, bells),
      wall: () => process.hrtime.bigint() + options.clockOffset,
      note: saidOnce((line) => tell({ type: 'note', line })),
      snapshots: new ActorSnapshots({
        ...options,
        journal,
        links,
        counters,
        source: new SnapshotSource(options.snapshots),
        note: (line) => tell({ type: 'note', line }),
      }),
    });
    const replayed = actor.recover();
    const { sent, received, acknowledged } = actor.machine;
    tell({ type: 'recovered', ...replayed, links: { sent, received, acknowledged } });
    if (!options.isHeld || untilBegin(options, actor, counters, links)) {
      journal.secure();
      room.look();
      if (!room.isExhausted) journal.begin();
      counters.setState(ShardState.running);
      tell({ type: 'begun' });
      await runLoop(options, actor, counters, links);
      actor.writeDigest();
    }
    counters.setState(ShardState.stopped);
  } catch (error: unknown) {
    counters.setState(ShardState.failed);
    tell({ type: 'failed', error: serializeError(error) });
    throw error;
  }
  tell({ type: 'stopped' });
}

/** A client may send the same thing over and over; what is said is bounded. */
function saidOnce(say: (line: string) => void): (line: string) => void {
  const said = new Set<string>();
  return (line) => {
    if (said.has(line) || said.size >= NOTES_MAX) return;
    said.add(line);
    say(line);
  };
}

function clockOf({ manualClock, clockOffset }: ShardThreadOptions): () => bigint {
  if (manualClock === undefined) return () => process.hrtime.bigint() + clockOffset;
  const time = new BigInt64Array(manualClock);
  return () => Atomics.load(time, 0);
}

function roomOf({ directory, storage }: ShardThreadOptions): StorageRoom {
  const { reserveBytes, free, wasFull } = storage;
  const given = free === undefined ? undefined : new BigInt64Array(free);
  return new StorageRoom({
    reserveBytes,
    free: () => (given === undefined ? freeBytes(directory) : Number(Atomics.load(given, 0))),
    fullUntilMs: wasFull ? performance.now() + DISBELIEF_MS : undefined,
  });
}

function linksOf({ shard, shards, links }: ShardThreadOptions): (Link | undefined)[] {
  const byPeer: (Link | undefined)[] = Array.from({ length: shards }, () => undefined);
  for (const rings of links) byPeer[rings.peer] = new Link(shard, rings);
  return byPeer;
}

/** Waits until the supervisor lets the shard begin. False: it is to stop, and nothing was changed. */
function untilBegin(
  options: ShardThreadOptions,
  actor: ShardActor,
  counters: ShardCounters,
  links: readonly (Link | undefined)[],
): boolean {
  const own = doorbellsOf(options.doorbells, options.shards)[options.shard]!;
  for (;;) {
    counters.beat();
    const seen = own.seen();
    const told = followControl(options, actor, links);
    if (told !== null) return told === 'begin';
    own.wait(seen, IDLE_WAIT_MS);
  }
}

async function runLoop(
  options: ShardThreadOptions,
  actor: ShardActor,
  counters: ShardCounters,
  links: readonly (Link | undefined)[],
): Promise<void> {
  const bells = doorbellsOf(options.doorbells, options.shards);
  const own = bells[options.shard]!;
  let control = 0;
  for (let steps = 1; ; steps++) {
    if (steps % STEPS_BETWEEN_TURNS === 0) await new Promise(setImmediate);
    const seen = own.seen();
    const isBusy = actor.step();
    ringWritten(actor.written, bells);
    const moved = counters.values[Counter.control]!;
    if (moved !== control) {
      control = moved;
      actor.settle();
      ringWritten(actor.written, bells);
      if (followControl(options, actor, links) === 'stop') return;
      continue;
    }
    if (!isBusy) own.wait(seen, actor.hasBacklog ? BACKLOG_WAIT_MS : actor.idleMs(IDLE_WAIT_MS));
  }
}

function ringWritten(written: Uint8Array, bells: readonly Doorbell[]): void {
  for (let i = 0; i < bells.length; i++) if (written[i] === 1) bells[i]!.ring();
}

/** Does what the supervisor says, up to where it says that the shard is to begin or to stop. */
function followControl(
  { control }: ShardThreadOptions,
  actor: ShardActor,
  links: readonly (Link | undefined)[],
): 'begin' | 'stop' | null {
  for (;;) {
    const received = receiveMessageOnPort(control);
    if (received === undefined) return null;
    const message = received.message as ControlMessage;
    switch (message.type) {
      case 'relink':
        links[message.rings.peer]?.relink(message.rings);
        break;
      case 'begin':
      case 'stop':
        return message.type;
      case 'prepareSnapshot':
        actor.prepareSnapshot(message.attempt);
        break;
      case 'snapshot':
        actor.beginSnapshot(message.attempt);
        break;
      case 'fault':
        suffer(message.fault);
    }
  }
}

function suffer(fault: 'throw' | 'spin'): void {
  if (fault === 'throw') throw new Error('a fault was injected');
  for (;;);
}
