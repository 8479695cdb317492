/**
 * Keeps what a request makes in V8's young generation, whatever V8 has learned of it.
 *
 * V8 counts, by the place in the code, how many of the objects made there live long, and makes those of such a place in the old generation from then
 * on. Where requests queue up for a moment, as at a start while nothing is compiled, theirs do, and it never finds out that this is over: then all
 * that a request leaves behind is kept alive by a few dead old objects until the whole heap is marked, scavenges take 7 to 15 ms instead of one, and
 * the heap is marked every few seconds (docs/benchmarks.md).
 *
 * A flag of the whole process and all its threads: for who owns the process, before its first request.
 */
import { setFlagsFromString } from 'node:v8';

export function keepYoungObjectsYoung(): void {
  setFlagsFromString('--no-allocation-site-pretenuring');
}
