import { expect, test } from 'vitest';
import { BeforeImages, IMAGE_PAGE_WORDS, ImageTable, SLOT_FILLED } from './before-images.ts';
import { BucketDirectory, BUCKET_SLOTS, FILL_MAX } from './bucket-directory.ts';
import { SLOT_WORDS } from './id-index.ts';

/** An index of one word that is its own hash. */
class Slots {
  readonly images = new BeforeImages();
  readonly directory = new BucketDirectory(SLOT_WORDS, 1 << 26, (words, at) => words[at]! | 0, {
    images: this.images,
  });

  put(hash: number): number {
    const slot = this.directory.emptySlot(this.directory.makeRoom(hash), hash);
    this.directory.beforeChange(slot);
    this.directory.words[slot * SLOT_WORDS] = hash;
    this.directory.words[slot * SLOT_WORDS + SLOT_WORDS - 1] = 1;
    this.directory.take(slot, 1);
    return slot;
  }

  begin(): void {
    const { buckets } = this.directory;
    this.images.begin({ rows: 0, buckets, pendings: 0, users: 0 });
  }

  get filled(): readonly number[] {
    const { slotBits } = this.images;
    return Array.from({ length: slotBits.length * 16 }, (_, slot) => slot).filter(
      (slot) => (slotBits[slot >>> 4]! & (SLOT_FILLED << ((slot & 15) * 2))) !== 0,
    );
  }
}

test('a slot that is filled has a bit and nothing in the log, and is not saved when it changes later', () => {
  const at = new Slots();
  const old = at.put(5);
  at.begin();
  const first = at.put(6);
  expect([at.images.length, at.filled]).toEqual([0, [first]]);
  at.directory.beforeChange(first);
  expect(at.images.length).toBe(0);
  at.directory.beforeChange(old);
  expect([at.images.length, at.filled]).toEqual([3 + 7, [first]]);
  at.directory.beforeChange(old);
  expect(at.images.length).toBe(3 + 7);
  expect([...at.images.pages[0]!.subarray(0, 10)]).toEqual([
    (ImageTable.slots << 29) >>> 0,
    1,
    0,
    old * SLOT_WORDS,
    5,
    0,
    0,
    0,
    0,
    1,
  ]);
});

test('a slot that a broken chain has emptied is not taken for one that was empty before', () => {
  const at = new Slots();
  // Three that belong into the same slot; the third lies two behind it.
  at.put(7);
  const second = at.put(7 + BUCKET_SLOTS);
  at.begin();
  const third = at.put(7 + 2 * BUCKET_SLOTS);
  at.directory.remove(second);
  // What was behind the second has moved into its place.
  expect(at.directory.marks[third]).toBe(0);
  expect(at.images.length).toBe(3 + 7);
  expect(at.put(7 + 3 * BUCKET_SLOTS)).toBe(third);
  expect([at.images.length, at.filled]).toEqual([3 + 7, [third]]);
  at.directory.remove(third);
  at.directory.remove(second);
  expect(at.put(7)).toBe(second);
  expect([at.images.length, at.filled]).toEqual([3 + 7, [third]]);
});

test('a split logs the slots that it changes, once, in one entry, and not those that were filled since', () => {
  const at = new Slots();
  const fills = BUCKET_SLOTS * FILL_MAX;
  const hashOf = (i: number): number => Math.imul(i, 0x9e3779b1);
  for (let i = 1; i < fills; i++) at.put(hashOf(i));
  const { words } = at.directory;
  const before = words.slice(0, BUCKET_SLOTS * SLOT_WORDS);
  at.begin();
  at.put(hashOf(fills));
  expect([at.images.length, at.directory.buckets]).toEqual([0, 1]);
  at.put(hashOf(fills + 1));
  expect(at.directory.buckets).toBe(2);
  const [page] = at.images.pages;
  const count = page![1]!;
  expect(count).toBeGreaterThan(fills / 3);
  expect(at.images.length).toBe(3 + 7 * count);
  const filled = new Set(at.filled);
  const logged = new Set<number>();
  for (let i = 0; i < count; i++) {
    const [offset, ...old] = page!.subarray(3 + 7 * i, 10 + 7 * i);
    expect(old).toEqual([...before.subarray(offset, offset! + SLOT_WORDS)]);
    logged.add(offset! / SLOT_WORDS);
  }
  expect(logged.size).toBe(count);
  for (let slot = 0; slot < BUCKET_SLOTS; slot++) {
    const isSaved = filled.has(slot) || logged.has(slot);
    const was = before.subarray(slot * SLOT_WORDS, (slot + 1) * SLOT_WORDS);
    const is = words.subarray(slot * SLOT_WORDS, (slot + 1) * SLOT_WORDS);
    expect([filled.has(slot) && was.some((word) => word !== 0), slot]).toEqual([false, slot]);
    expect([isSaved || was.every((word, w) => word === is[w]), slot]).toEqual([true, slot]);
  }
  // The new bucket is not in the image.
  expect(Math.max(...filled, ...logged)).toBeLessThan(BUCKET_SLOTS);
});

test('slots share an entry in one chunk, until the log is published, and to the end of a page', () => {
  const images = new BeforeImages();
  const source = new Uint32Array(6 * 2048 * 128);
  images.begin({ rows: 0, buckets: 128, pendings: 9, users: 0 });
  images.saveSlot(0, source);
  images.saveSlot(9, source);
  expect([images.length, images.pages[0]![1]]).toEqual([3 + 14, 2]);
  expect(images.publish()).toBe(17);
  images.saveSlot(10, source);
  expect([images.length, images.pages[0]![1], images.pages[0]![18]]).toEqual([27, 2, 1]);
  images.saveSlot(64 * 2048, source);
  expect([images.length, images.pages[0]![18]]).toEqual([37, 1]);
  images.save(ImageTable.pendings, 1, new Uint32Array(36));
  images.saveSlot(64 * 2048 + 1, source);
  expect([images.length, images.pages[0]![28]]).toEqual([37 + 21 + 10, 1]);
  const fit = Math.floor((IMAGE_PAGE_WORDS - 68) / 7);
  for (let i = 0; i < fit; i++) images.saveSlot(64 * 2048 + 2 + i, source);
  expect([images.pages.length, images.pages[0]![59]]).toEqual([1, 1 + fit]);
  images.saveSlot(64 * 2048 + 2 + fit, source);
  expect([images.pages.length, images.length]).toEqual([2, IMAGE_PAGE_WORDS + 10]);
  expect(images.pages[0]![68 + 7 * fit]).toBe(0xffffffff);
});

test('an entry of slots does not go on in another page, though that is as long as the one before was where it ended', () => {
  const images = new BeforeImages();
  const source = new Uint32Array(18 * 20_000);
  images.begin({ rows: 0, buckets: 1, pendings: 20_000, users: 1 });
  images.save(ImageTable.users, 0, source);
  images.saveSlot(0, source);
  expect(images.length).toBe(11 + 10);
  for (let i = 0; images.pages.length === 1; i++) images.save(ImageTable.pendings, i, source);
  expect(images.length).toBe(IMAGE_PAGE_WORDS + 21);
  images.saveSlot(1, source);
  expect([images.length, images.pages[0]![12], images.pages[1]![22]]).toEqual([
    IMAGE_PAGE_WORDS + 31,
    1,
    1,
  ]);
});
