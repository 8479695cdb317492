/** Thread that sends every frame of one ring back through another, in order, until it has echoed an empty frame. */
import { workerData } from 'node:worker_threads';
import { assert } from '../../engine/assert.ts';
import { Doorbell } from '../../lib/doorbell.ts';
import { RingReader, RingWriter } from '../../sharding/ring.ts';

/** Each bell is rung for new frames and for freed room alike. */
export interface RingEcho {
  readonly there: SharedArrayBuffer;
  readonly back: SharedArrayBuffer;
  readonly workerBell: SharedArrayBuffer;
  readonly mainBell: SharedArrayBuffer;
}

const { there, back, workerBell, mainBell } = workerData as RingEcho;
const reader = new RingReader(there);
const writer = new RingWriter(back);
const mine = new Doorbell(workerBell);
const others = new Doorbell(mainBell);
let isDone = false;
while (!isDone) {
  const seen = mine.seen();
  let moved = 0;
  while (!isDone && reader.peek() && writer.reserve(reader.length)) {
    writer.bytes.set(reader.bytes.subarray(reader.at, reader.at + reader.length), writer.at);
    isDone = reader.length === 0;
    reader.release();
    writer.commit();
    moved++;
  }
  if (moved > 0) others.ring();
  else assert(mine.wait(seen, 10_000), 'the other thread goes on');
}
