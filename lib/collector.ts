/**
 * How V8 collects what requests leave behind. Both are flags of the whole process and all its threads: for who owns the process, before its first
 * request (docs/benchmarks.md has the figures).
 *
 * Objects are made young, whatever V8 has learned of their place in the code. It counts how many of those made there live long, and makes them in the
 * old generation from then on. Where requests queue up for a moment, as at a start while nothing is compiled, theirs do, and it never finds out that
 * this is over: all that a request leaves behind is then kept alive by a few dead old objects until the whole heap is marked. Scavenges take 7 to
 * 15 ms instead of one, and the heap is marked every few seconds.
 *
 * Scavenges have no helpers. So few objects survive that threads of V8's pool cost more than they do: they are woken on the cores that the actors
 * need, and the scavenge waits for them.
 */
import { setFlagsFromString } from 'node:v8';

export function setCollectorFlags(): void {
  setFlagsFromString('--no-allocation-site-pretenuring');
  setFlagsFromString('--no-parallel-scavenge');
}
