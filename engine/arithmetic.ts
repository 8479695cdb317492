/**
 * Unsigned 128-bit arithmetic on values that lie in typed arrays as four 32-bit words, the lowest first: two 64-bit lanes seen through
 * a `Uint32Array`. Words instead of BigInt lanes, because a BigInt that crosses a call that is not inlined, or code that is not yet
 * optimized, is boxed; a word never is. See the decision and its figures in ARCHITECTURE.md.
 */

// Hot path.
export function isZero(a: Uint32Array, i: number): boolean {
  return (a[i]! | a[i + 1]! | a[i + 2]! | a[i + 3]!) === 0;
}

// Hot path.
export function isMax(a: Uint32Array, i: number): boolean {
  return (a[i]! & a[i + 1]! & a[i + 2]! & a[i + 3]!) >>> 0 === 0xffffffff;
}

// Hot path.
export function equals(a: Uint32Array, i: number, b: Uint32Array, j: number): boolean {
  return (
    a[i]! === b[j]! && a[i + 1]! === b[j + 1]! && a[i + 2]! === b[j + 2]! && a[i + 3]! === b[j + 3]!
  );
}

// Hot path.
export function isGreater(a: Uint32Array, i: number, b: Uint32Array, j: number): boolean {
  if (a[i + 3]! !== b[j + 3]!) return a[i + 3]! > b[j + 3]!;
  if (a[i + 2]! !== b[j + 2]!) return a[i + 2]! > b[j + 2]!;
  if (a[i + 1]! !== b[j + 1]!) return a[i + 1]! > b[j + 1]!;
  return a[i]! > b[j]!;
}

/** target[t] = target[t] + b[j] modulo 2^128; returns the carry out, 0 or 1. */
// Hot path.
export function addTo(target: Uint32Array, t: number, b: Uint32Array, j: number): number {
  let sum = target[t]! + b[j]!;
  target[t] = sum;
  let carry = sum > 0xffffffff ? 1 : 0;
  sum = target[t + 1]! + b[j + 1]! + carry;
  target[t + 1] = sum;
  carry = sum > 0xffffffff ? 1 : 0;
  sum = target[t + 2]! + b[j + 2]! + carry;
  target[t + 2] = sum;
  carry = sum > 0xffffffff ? 1 : 0;
  sum = target[t + 3]! + b[j + 3]! + carry;
  target[t + 3] = sum;
  return sum > 0xffffffff ? 1 : 0;
}

// Hot path.
export function copy(target: Uint32Array, t: number, b: Uint32Array, j: number): void {
  target[t] = b[j]!;
  target[t + 1] = b[j + 1]!;
  target[t + 2] = b[j + 2]!;
  target[t + 3] = b[j + 3]!;
}

/** target[t] = target[t] - b[j]; b is not the larger one. */
// Hot path.
export function subtractFrom(target: Uint32Array, t: number, b: Uint32Array, j: number): void {
  let borrow = 0;
  for (let w = 0; w < 4; w++) {
    const difference = target[t + w]! - b[j + w]! - borrow;
    target[t + w] = difference;
    borrow = difference < 0 ? 1 : 0;
  }
}
