/** Walks that are under way, and how a snapshot has them. */
import { KEY_WORDS } from './claims.ts';
import type { StateReader, StateWriter } from './state-words.ts';

/** A walk that has claimed keys here. */
export interface Walk {
  readonly first: number;
  readonly number: number;
  readonly keys: Uint32Array;
  /** Of each key: the row of its account + 1, or 0 where there is none, or it is not known: a snapshot does not keep them. */
  readonly rows: Uint32Array;
  /** Of each key: where it was claimed, see `Claims.claim`; a snapshot does not keep that either. */
  readonly places: Uint32Array;
  /** On the first shard: whom to answer, and what is still missing. */
  readonly requests: Uint32Array | null;
  acknowledgements: number;
  outcomes: Uint32Array | null;
  /** The shard's clock when it passed by here: it is decided later than that. */
  readonly sinceLow: number;
  readonly sinceHigh: number;
}

export function saveWalks(walks: ReadonlyMap<number, Walk>, out: StateWriter): void {
  out.put(walks.size);
  for (const { first, number, sinceLow, sinceHigh, ...walk } of walks.values()) {
    out.putList(Uint32Array.of(first, number, walk.acknowledgements, sinceLow, sinceHigh));
    out.putList(walk.keys);
    saveOptional(walk.requests, out);
    saveOptional(walk.outcomes, out);
  }
}

export function loadWalks(from: StateReader): Walk[] {
  const walks: Walk[] = [];
  for (let left = from.take(); left > 0; left--) {
    const [first, number, acknowledgements, sinceLow, sinceHigh] = [...from.takeList()] as Numbers;
    const keys = from.takeList().slice();
    const rows = new Uint32Array(keys.length / KEY_WORDS);
    const places = new Uint32Array(keys.length / KEY_WORDS);
    const requests = loadOptional(from);
    const outcomes = loadOptional(from);
    const heads = { first, number, acknowledgements, sinceLow, sinceHigh };
    walks.push({ ...heads, keys, rows, places, requests, outcomes });
  }
  return walks;
}

type Numbers = [number, number, number, number, number];

function saveOptional(words: Uint32Array | null, out: StateWriter): void {
  out.put(words === null ? 0 : 1);
  if (words !== null) out.putList(words);
}

function loadOptional(from: StateReader): Uint32Array | null {
  return from.take() === 0 ? null : from.takeList().slice();
}
