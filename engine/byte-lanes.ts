/**
 * Four bytes of a word looked at at once. What is found in a byte, a *lane*, is said by the topmost of its bits, so that lanes are combined, and
 * left out, by masks. Lane 0 is the lowest byte, the first one in memory.
 */

/** The lanes that are 0. No borrow or carry leaves a lane: each is judged by itself. */
// Hot path.
export function zeroLanes(word: number): number {
  return ~(((word & 0x7f7f7f7f) + 0x7f7f7f7f) | word | 0x7f7f7f7f);
}

/** The lanes that are like those of `four`, a byte four times. */
// Hot path.
export function lanesLike(word: number, four: number): number {
  return zeroLanes(word ^ four);
}

/** A byte in each of the lanes. */
// Hot path.
export function inAllLanes(byte: number): number {
  return Math.imul(byte, 0x01010101);
}

/** A mask for this lane and those above it. */
// Hot path.
export function lanesFrom(lane: number): number {
  return -1 << (lane << 3);
}

/** The number of the lowest of these lanes, of which there is one at least. */
// Hot path.
export function lowestLane(lanes: number): number {
  return (31 - Math.clz32(lanes & -lanes)) >> 3;
}
