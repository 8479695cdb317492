import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { digestText } from '../engine/digest.ts';
import { Group } from '../engine/group.ts';
import { IDENTITY, WrittenSnapshots } from '../test/support/written-snapshot.ts';
import type { JournalIdentity } from './checksum-chain.ts';
import { listSnapshots, readManifest, type SnapshotFiles } from './snapshot-manifest.ts';
import { loadSnapshot } from './snapshot-store.ts';

const GROUP_BYTES = 1 << 20;
const group = new Group(GROUP_BYTES);
const UNUSABLE = expect.objectContaining({ code: 'SNAPSHOT_UNUSABLE' }) as Error;

const load = (files: SnapshotFiles, identity: JournalIdentity = IDENTITY) =>
  loadSnapshot({ files, identity, seed: 7, group });
const loadBeside = (files: SnapshotFiles) =>
  loadSnapshot({ files, identity: IDENTITY, seed: 7, group, besideMin: 0 });

const messageOf = (act: () => unknown): string => {
  try {
    act();
    return 'nothing';
  } catch (error: unknown) {
    expect(error).toEqual(UNUSABLE);
    return (error as Error).message;
  }
};

describe('a snapshot', () => {
  test('is loaded with the state, and the words of the links, that it was written with', () => {
    using written = new WrittenSnapshots();
    written.transfer(100);
    const manifest = written.write();
    const [files] = listSnapshots(written.directory);
    expect(readManifest(files!, IDENTITY)).toEqual(manifest);
    const { machine, links } = load(files!);
    expect([...links]).toEqual([1, 2, 3]);
    expect(digestText(machine.digest())).toBe(manifest.digest);
    expect(machine.digest()).toEqual(written.shard.machine.digest());
  });

  test('is the same when a thread beside reads it', () => {
    using written = new WrittenSnapshots();
    written.transfer(100);
    const { digest } = written.write();
    const [files] = listSnapshots(written.directory);
    const [beside, here] = [loadBeside(files!), load(files!)];
    expect(beside.links).toEqual(here.links);
    expect(digestText(beside.machine.digest())).toBe(digest);
  });

  test('is kept until two newer ones are there, and leaves nothing else', () => {
    using written = new WrittenSnapshots();
    const sequences: number[] = [];
    for (let i = 1; i <= 4; i++) {
      written.transfer(100 * i);
      sequences.unshift(written.write().sequence);
      writeFileSync(join(written.directory, `snapshot-00000000009${i}.image.writing`), 'half');
      writeFileSync(join(written.directory, `snapshot-00000000009${i}.image`), 'no manifest');
    }
    written.transfer(900);
    sequences.unshift(written.write().sequence);
    const kept = listSnapshots(written.directory).map(({ sequence }) => sequence);
    expect(kept).toEqual(sequences.slice(0, 2));
    expect(readdirSync(written.directory)).toHaveLength(4);
  });

  test('is refused when a byte of it is another one, wherever that is', () => {
    using written = new WrittenSnapshots();
    written.transfer(100);
    written.write();
    const [files] = listSnapshots(written.directory);
    const whole = readFileSync(files!.image);
    // Most of the image is empty slots of the one bucket: a few places in them do.
    const places = Array.from({ length: 24 }, (_, i) => Math.floor((i / 24) * whole.length));
    for (let at = 0; at < 512; at += 8) places.push(at, whole.length - 1 - at);
    for (const [i, at] of places.entries()) {
      const bytes = Buffer.from(whole);
      bytes[at] = bytes[at]! ^ (1 << (i % 8));
      writeFileSync(files!.image, bytes);
      expect(() => load(files!), `byte ${at}`).toThrow(UNUSABLE);
    }
    writeFileSync(files!.image, whole);
    const manifest = readFileSync(files!.manifest);
    for (let at = 0; at < manifest.length; at++) {
      const bytes = Buffer.from(manifest);
      bytes[at] = bytes[at]! ^ (1 << (at % 7));
      writeFileSync(files!.manifest, bytes);
      expect(() => readManifest(files!, IDENTITY), `byte ${at}`).toThrow(UNUSABLE);
    }
    writeFileSync(files!.manifest, manifest);
    expect(load(files!).manifest.sequence).toBe(files!.sequence);
  });

  test('is refused with the same sentence when a thread beside reads it', () => {
    using written = new WrittenSnapshots();
    written.transfer(100);
    written.write();
    const [files] = listSnapshots(written.directory);
    const whole = readFileSync(files!.image);
    for (const fraction of [0, 0.001, 0.3, 0.6, 0.9999]) {
      const bytes = Buffer.from(whole);
      const at = Math.floor(whole.length * fraction);
      bytes[at] = bytes[at]! ^ 4;
      writeFileSync(files!.image, bytes);
      const [beside, here] = [messageOf(() => loadBeside(files!)), messageOf(() => load(files!))];
      expect(beside).toBe(here);
      expect(beside).not.toBe('nothing');
    }
  });

  test('is refused when it is cut, or longer, or there is no image', () => {
    using written = new WrittenSnapshots();
    written.write();
    const [files] = listSnapshots(written.directory);
    const whole = readFileSync(files!.image);
    for (const length of [0, 63, 64, 80, 1000, whole.length - 24, whole.length - 1]) {
      truncateSync(files!.image, length);
      expect(() => load(files!)).toThrow(/the image has \d+ bytes, not/);
      writeFileSync(files!.image, whole);
    }
    writeFileSync(files!.image, Buffer.concat([whole, whole]));
    expect(() => load(files!)).toThrow(UNUSABLE);
  });

  test("is refused when it is another's", () => {
    using written = new WrittenSnapshots();
    written.write();
    const [files] = listSnapshots(written.directory);
    for (const other of [{ clusterId: 'd'.repeat(32) }, { shards: 2 }]) {
      expect(() => load(files!, { ...IDENTITY, ...other })).toThrow(/of another shard/);
    }
  });
});
