import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { freeBytes, StorageRoom, type StorageRoomOptions } from './storage-room.ts';

const RESERVE = 1 << 20;

/** A disk and a clock that the test moves. */
class Disk {
  free = 10 * RESERVE;
  ms = 1000;
  looks = 0;
  readonly room: StorageRoom;

  constructor(options: Partial<StorageRoomOptions> = {}) {
    this.room = new StorageRoom({
      reserveBytes: RESERVE,
      free: () => {
        this.looks++;
        return this.free;
      },
      now: () => this.ms,
      ...options,
    });
  }

  after(ms: number, free: number): [boolean, boolean] {
    this.ms += ms;
    this.free = free;
    this.room.look();
    return [this.room.isFull, this.room.isExhausted];
  }
}

describe('room on the disk', () => {
  test('is full below the reserve, exhausted below an eighth of it, and back with somewhat more', () => {
    const disk = new Disk();
    expect(disk.after(1000, RESERVE)).toEqual([false, false]);
    expect(disk.after(1000, RESERVE - 1)).toEqual([true, false]);
    expect(disk.after(1000, RESERVE / 8 - 1)).toEqual([true, true]);
    expect(disk.after(1000, RESERVE / 8)).toEqual([true, false]);
    expect(disk.after(1000, RESERVE + 1)).toEqual([true, false]);
    expect(disk.after(1000, RESERVE * 1.125)).toEqual([false, false]);
  });

  test('is looked at again after a while, or when much was written', () => {
    const disk = new Disk();
    for (let i = 0; i < 100; i++) disk.after(1, 10 * RESERVE);
    expect(disk.looks).toBe(1);
    disk.after(200, 10 * RESERVE);
    expect(disk.looks).toBe(2);
    disk.room.wrote(RESERVE / 8);
    expect(disk.after(0, 0)).toEqual([true, true]);
  });

  test('is never asked for without a reserve', () => {
    const disk = new Disk({ reserveBytes: 0 });
    expect(disk.after(10_000, 0)).toEqual([false, false]);
    expect(disk.looks).toBe(0);
  });

  test('is not believed in for a while after a commit that found none', () => {
    const disk = new Disk({ fullUntilMs: 5000 });
    expect(disk.after(1000, 10 * RESERVE)).toEqual([true, true]);
    expect(disk.after(3000, 10 * RESERVE)).toEqual([false, false]);
    const honest = new Disk({ fullUntilMs: 5000 });
    expect(honest.after(1000, RESERVE - 1)).toEqual([true, false]);
    expect(honest.after(1000, 10 * RESERVE)).toEqual([false, false]);
  });

  test('is what the file system says', () => {
    expect(freeBytes(tmpdir())).toBeGreaterThan(0);
    expect(freeBytes('/there/is/no/such/place')).toBe(Number.MAX_SAFE_INTEGER);
  });
});
