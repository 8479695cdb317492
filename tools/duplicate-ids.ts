/**
 * Transfer ids that are stored on several shards. That is allowed (an id is unique on the shard of its debit account), and seldom meant. Each shard
 * hands out the ids that it has, 16 bytes each, in parts by a hash; one part of all shards at a time is put into a table.
 */
import { type Ledger, positionState, TransferState } from '../engine/ledger.ts';
import { hashId } from '../engine/placement.ts';
import { bigintOfUint128 } from '../engine/uint128.ts';
import { sharedWords } from './account-rows.ts';

const PARTS = 256;
const ID_WORDS = 4;
const SEED = 0x2545f491;

export interface PartedIds {
  readonly words: Uint32Array;
  readonly starts: Uint32Array;
}

const partOf = (words: Uint32Array, at: number): number => hashId(words, at, SEED) >>> 24;

/** The ids of the stored transfers of a shard; those that only failed are left out. */
export function partitionIds({ transferIndex }: Ledger): PartedIds {
  const starts = new Uint32Array(PARTS + 1);
  transferIndex.forEach((words, at) => {
    if (!isStored(words, at)) return;
    const part = partOf(words, at) + 1;
    starts[part] = starts[part]! + ID_WORDS;
  });
  for (let part = 0; part < PARTS; part++) starts[part + 1] = starts[part + 1]! + starts[part]!;
  const ids = sharedWords(starts[PARTS]!);
  const next = starts.slice();
  transferIndex.forEach((words, at) => {
    if (!isStored(words, at)) return;
    const part = partOf(words, at);
    const to = next[part]!;
    next[part] = to + ID_WORDS;
    for (let w = 0; w < ID_WORDS; w++) ids[to + w] = words[at + w]!;
  });
  return { words: ids, starts };
}

/** Of a slot of the index. */
function isStored(words: Uint32Array, at: number): boolean {
  return positionState(words[at + 5]!) !== TransferState.failed;
}

export interface DuplicateIds {
  readonly count: number;
  /** Some of them, with their shards. */
  readonly first: readonly { readonly id: bigint; readonly shards: readonly number[] }[];
}

const SHOWN_MAX = 10;

export function duplicateIds(shards: readonly PartedIds[]): DuplicateIds {
  const first: { id: bigint; shards: number[] }[] = [];
  let count = 0;
  for (let part = 0; part < PARTS; part++) {
    for (const { id, owners } of duplicatesOfPart(shards, part)) {
      count++;
      if (first.length < SHOWN_MAX) first.push({ id, shards: owners });
    }
  }
  return { count, first };
}

/** An open-addressed table of {shard + 1, place of the id there}. */
function duplicatesOfPart(
  shards: readonly PartedIds[],
  part: number,
): readonly { readonly id: bigint; readonly owners: number[] }[] {
  const total = shards.reduce((sum, { starts }) => sum + starts[part + 1]! - starts[part]!, 0);
  const size = 2 ** Math.ceil(Math.log2(total / ID_WORDS + 1) + 1);
  const table = new Uint32Array(2 * size);
  const found = new Map<bigint, number[]>();
  for (const [shard, { words, starts }] of shards.entries()) {
    for (let at = starts[part]!; at < starts[part + 1]!; at += ID_WORDS) {
      let slot = hashId(words, at, SEED) & (size - 1);
      for (; table[2 * slot] !== 0; slot = (slot + 1) & (size - 1)) {
        const other = shards[table[2 * slot]! - 1]!.words;
        if (!isEqual(other, table[2 * slot + 1]!, words, at)) continue;
        const id = bigintOfUint128(words, at);
        const owners = found.get(id) ?? [table[2 * slot]! - 1];
        owners.push(shard);
        found.set(id, owners);
        break;
      }
      if (table[2 * slot] !== 0) continue;
      table[2 * slot] = shard + 1;
      table[2 * slot + 1] = at;
    }
  }
  return [...found].map(([id, owners]) => ({ id, owners }));
}

// oxlint-disable-next-line max-params -- Two places in two buffers.
function isEqual(a: Uint32Array, at: number, b: Uint32Array, bAt: number): boolean {
  for (let w = 0; w < ID_WORDS; w++) if (a[at + w] !== b[bAt + w]) return false;
  return true;
}
