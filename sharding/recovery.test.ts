import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Group } from '../engine/group.ts';
import { listSnapshots } from '../persistence/snapshot-manifest.ts';
import { IDENTITY, WrittenSnapshots } from '../test/support/written-snapshot.ts';
import { recoverState } from './recovery.ts';

const group = new Group(1 << 20);

interface Found {
  readonly sequence: number | undefined;
  readonly notes: readonly string[];
}

/** What is found where the journal has these rows. */
function found(
  { directory, shard }: WrittenSnapshots,
  journal: { firstSequence?: number; lastSequence?: number; checksum?: () => number } = {},
): Found {
  const notes: string[] = [];
  const loaded = recoverState({
    ...IDENTITY,
    directory,
    seed: 7,
    group,
    journal: {
      firstSequence: 1,
      lastSequence: shard.journal.lastSequence,
      checksum: (sequence) => shard.journal.checksum(sequence),
      ...journal,
    },
    note: (line) => notes.push(line),
    onProgress: () => undefined,
  });
  return { sequence: loaded?.manifest.sequence, notes };
}

function written(): { readonly snapshots: WrittenSnapshots; readonly sequences: number[] } {
  const snapshots = new WrittenSnapshots();
  const sequences = [100, 200].map((first) => {
    snapshots.transfer(first);
    return snapshots.write().sequence;
  });
  snapshots.transfer(300);
  return { snapshots, sequences };
}

const damaged = (message: RegExp): Error =>
  expect.objectContaining({
    code: 'DATA_DAMAGED',
    message: expect.stringMatching(message) as string,
  }) as Error;

describe('a shard recovers', () => {
  test('from its newest snapshot, from the one before when that is damaged, else from its journal', () => {
    const { snapshots, sequences } = written();
    using _ = snapshots;
    expect(found(snapshots)).toEqual({ sequence: sequences[1], notes: [] });
    const [newest, older] = listSnapshots(snapshots.directory);
    writeFileSync(newest!.image, 'something else');
    const second = found(snapshots);
    expect(second.sequence).toBe(sequences[0]);
    expect(second.notes.join()).toMatch(/passed over: snapshot-0+3\.image: the image has 14 bytes/);
    writeFileSync(older!.manifest, '{}');
    const third = found(snapshots);
    expect(third.sequence).toBeUndefined();
    expect(third.notes).toHaveLength(2);
  });

  test('without the segments that a snapshot covers, and not without others', () => {
    const { snapshots, sequences } = written();
    using _ = snapshots;
    const [older, newest] = sequences as [number, number];
    const behind = found(snapshots, { firstSequence: newest + 1 });
    expect(behind.sequence).toBe(newest);
    expect(behind.notes).toEqual([]);
    expect(() => found(snapshots, { firstSequence: newest + 2 })).toThrow(
      damaged(/the journal begins with/),
    );
    writeFileSync(listSnapshots(snapshots.directory)[0]!.manifest, '');
    expect(found(snapshots, { firstSequence: older + 1 }).sequence).toBe(older);
    writeFileSync(listSnapshots(snapshots.directory)[1]!.manifest, '');
    expect(() => found(snapshots, { firstSequence: older + 1 })).toThrow(
      damaged(/no snapshot from before it that can be used/),
    );
  });

  test('not at all when the journal ends before a snapshot, or is of another history', () => {
    const { snapshots, sequences } = written();
    using _ = snapshots;
    expect(() => found(snapshots, { lastSequence: sequences[1]! - 1 })).toThrow(
      damaged(/was durable, and the journal ends with/),
    );
    expect(() => found(snapshots, { checksum: () => 1 })).toThrow(damaged(/different histories/));
  });
});
