/**
 * How V8 works for a ledger, and for a load: what it does beside must not hold up who is waited for. For who owns the process, before its first
 * request; docs/performance.md has what each of them costs otherwise.
 *
 * Objects are made young, whatever V8 has learned of their place in the code. It counts how many of those made there live long, and makes them in the
 * old generation from then on. Where requests queue up for a moment, as at a start while nothing is compiled, theirs do, and it never finds out that
 * this is over: all that a request leaves behind is then kept alive by a few dead old objects until the whole heap is marked. Scavenges take 7 to
 * 15 ms instead of one, and the heap is marked every few seconds.
 *
 * Scavenges have no helpers. So few objects survive that threads of V8's pool cost more than they do: they are woken on the cores that the actors
 * need, and the scavenge waits for them.
 *
 * The pool steps back. Functions that every request calls equally often are all due to be optimized at the same moment, some 20,000 requests
 * after a start: four threads then compiled for a quarter of a second, in each process, and requests waited for 100 ms.
 */
import { setFlagsFromString } from 'node:v8';
import { lowerThreadsNamed } from './thread-priority.ts';

/** As Node names the threads that compile, and mark and sweep the heap, beside. */
const POOL_THREADS = 'node-V8Worker';
/** A third of a share where cores are fewer than threads. With 10, a tenth, loads that keep all cores busy wait for code to be compiled. */
const STEPS_BACK = 5;

export function applyV8Settings(): void {
  setFlagsFromString('--no-allocation-site-pretenuring');
  setFlagsFromString('--no-parallel-scavenge');
  lowerThreadsNamed(POOL_THREADS, STEPS_BACK);
}
