/** Shows one snapshot: what its manifest says, the sections of its image, and what was in flight in its state. All of it is read, and every checksum compared. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { Group } from '../engine/group.ts';
import { ImageSection } from '../engine/image.ts';
import { LinkHead } from '../engine/link-message.ts';
import type { StateMachine } from '../engine/state-machine.ts';
import { DataDirectoryError } from '../persistence/errors.ts';
import {
  readOwnManifest,
  snapshotOf,
  type SnapshotFiles,
  type SnapshotManifest,
} from '../persistence/snapshot-manifest.ts';
import { checkImage, loadSnapshot } from '../persistence/snapshot-store.ts';
import { MESSAGE_KINDS } from './conservation.ts';
import { formatTime } from './moment.ts';
import { linkMessages } from './outbox.ts';
import type { SentMessage } from './shard-task.ts';
import type { Sink } from './sink.ts';
import { columnsOf, writeTable } from './table.ts';
import { UsageError } from './usage.ts';

/** A state is loaded without the seed of its directory: nothing is looked up in it by id. */
const NO_SEED = 0;

interface Section {
  readonly number: number;
  readonly name: string;
  readonly blocks: number;
  readonly bytes: number;
}

/** Throws SNAPSHOT_UNUSABLE. */
export function inspectSnapshot(sink: Sink, path: string, json: boolean): void {
  const files = filesOf(path);
  const manifest = readOwnManifest(files);
  const sections = sectionsOf(files, manifest);
  const group = new Group();
  const { machine, links } = loadSnapshot({ files, identity: manifest, seed: NO_SEED, group });
  const state = stateObject(machine);
  const messages = linkMessages(links, manifest).map(messageObject);
  if (json) {
    const { chain, checksum, timestamp, ...rest } = manifest;
    const document = {
      type: 'snapshot',
      ...rest,
      chain: hex(chain),
      checksum: hex(checksum),
      timestamp,
      time: formatTime(BigInt(timestamp)),
      sections,
      state,
      messages,
    };
    sink.line(JSON.stringify(document));
    return;
  }
  writeManifest(sink, files, manifest);
  writeTable(sink, columnsOf('section# name blocks# bytes#'), () =>
    sections.map(({ number, name, blocks, bytes }) => [
      String(number),
      name,
      String(blocks),
      String(bytes),
    ]),
  );
  sink.line('');
  writeTable(sink, columnsOf('of_its_state #'), () =>
    Object.entries(state).map(([name, count]) => [name.replaceAll('_', ' '), String(count)]),
  );
  sink.line('');
  if (messages.length === 0) {
    sink.line('no message to another shard waits for its acknowledgement');
    return;
  }
  sink.line('sent to other shards, and not acknowledged');
  writeTable(sink, columnsOf('to# message# kind walk words#'), () =>
    messages.map((message) => Object.values(message).map(String)),
  );
}

function filesOf(path: string): SnapshotFiles {
  const files = snapshotOf(path);
  if (files === undefined) {
    throw new UsageError(
      `--snapshot ${path} is no snapshot by its name, as snapshot-000000008100.image or .json is`,
    );
  }
  if (!existsSync(files.manifest) && !existsSync(files.image)) {
    throw new DataDirectoryError('DATA_MISSING', `${path} is not there`);
  }
  return files;
}

function sectionsOf({ image }: SnapshotFiles, manifest: SnapshotManifest): readonly Section[] {
  const sections: { number: number; name: string; blocks: number; bytes: number }[] = [];
  const names = Object.entries(ImageSection).map(([name, number]) => [number, name] as const);
  const nameOf = new Map<number, string>(names);
  checkImage(image, manifest, (number, bytes) => {
    let section = sections.find((one) => one.number === number);
    if (section === undefined) {
      section = { number, name: nameOf.get(number) ?? 'unknown', blocks: 0, bytes: 0 };
      sections.push(section);
    }
    section.blocks++;
    section.bytes += bytes;
  });
  return sections;
}

function stateObject(machine: StateMachine): Readonly<Record<string, number>> {
  const { accounts, transferIndex, pendings } = machine.ledger;
  return {
    accounts: accounts.rows,
    transfer_ids: transferIndex.count,
    open_pendings: pendings.count,
    expiring: pendings.expiring,
    walks_under_way: machine.walksUnderWay,
    claims: machine.claimedCount,
    parked: machine.parkedCount,
    open_requests: machine.requests.count,
  };
}

function messageObject({ to, number, body }: SentMessage) {
  return {
    to,
    number,
    kind: MESSAGE_KINDS[body[LinkHead.kind]!] ?? 'unknown',
    walk: `${body[LinkHead.first]}:${body[LinkHead.walk]}`,
    words: body.length,
  };
}

function writeManifest(sink: Sink, files: SnapshotFiles, manifest: SnapshotManifest): void {
  const { clusterId, shard, shards, sequence, chain, timestamp } = manifest;
  const { bytes, checksum, digest, written } = manifest;
  sink.line(`${basename(files.image)}: shard ${shard} of ${shards}, cluster ${clusterId}`);
  sink.line(
    `sequence ${sequence}, ${formatTime(BigInt(timestamp))}, chain ${hex(chain)}, digest ${digest}`,
  );
  sink.line(`${bytes} bytes, checksum ${hex(checksum)}, written ${written}`);
  sink.line('');
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0');
}
