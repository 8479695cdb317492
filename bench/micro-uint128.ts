/**
 * Which form of unsigned 128-bit arithmetic the engine uses, and why: two random accounts of a million get an amount added, with 32-bit words
 * (engine/arithmetic.ts), with BigInt lanes in one loop, with BigInt lanes behind a function, and as numbers while they are safe integers, which is what a fast path
 * for small amounts would be at best. Run: node bench/micro-uint128.ts
 */
import { performance } from 'node:perf_hooks';
import { addTo } from '../engine/arithmetic.ts';

const ACCOUNTS = 1 << 20;
const UPDATES = 2_000_000;
const ROUNDS = 7;

const words = new Uint32Array(ACCOUNTS * 4);
const lanes = new BigUint64Array(words.buffer);
const amountWords = Uint32Array.of(5, 0, 0, 0);
const amountLanes = new BigUint64Array(amountWords.buffer);
const numbers = new Float64Array(ACCOUNTS * 2);
const order = Uint32Array.from({ length: UPDATES }, () => Math.floor(Math.random() * ACCOUNTS));

function withWords(): void {
  let carry = 0;
  for (let i = 0; i < UPDATES; i++) carry += addTo(words, order[i]! * 4, amountWords, 0);
  if (carry !== 0) throw new Error('no sum overflows');
}

function withLanes(): void {
  const low = amountLanes[0]!;
  const high = amountLanes[1]!;
  for (let i = 0; i < UPDATES; i++) {
    const at = order[i]! * 2;
    const sum = BigInt.asUintN(64, lanes[at]! + low);
    const carry = sum < low ? 1n : 0n;
    lanes[at] = sum;
    lanes[at + 1] = BigInt.asUintN(64, BigInt.asUintN(64, lanes[at + 1]! + high) + carry);
  }
}

function addLanes(at: number, low: bigint, high: bigint): bigint {
  const sum = BigInt.asUintN(64, lanes[at]! + low);
  const carry = sum < low ? 1n : 0n;
  lanes[at] = sum;
  const upper = BigInt.asUintN(64, BigInt.asUintN(64, lanes[at + 1]! + high) + carry);
  lanes[at + 1] = upper;
  return upper;
}

function withLanesBehindFunction(): void {
  const calls = [addLanes, (at: number, low: bigint, high: bigint) => addLanes(at, low, high)];
  for (let i = 0; i < UPDATES; i++) {
    // Two targets, so that the call is not inlined: what happens in a larger function, and before code is optimized.
    calls[i & 1]!(order[i]! * 2, amountLanes[0]!, amountLanes[1]!);
  }
}

function withNumbers(): void {
  let beyond = 0;
  for (let i = 0; i < UPDATES; i++) {
    // As far apart as sums of 128 bits are, so that as many lines of the cache are read.
    const at = order[i]! * 2;
    const sum = numbers[at]! + 5;
    if (sum > Number.MAX_SAFE_INTEGER) beyond++;
    else numbers[at] = sum;
  }
  if (beyond !== 0) throw new Error('no sum is too large');
}

const variants = { withWords, withLanes, withLanesBehindFunction, withNumbers };
const times: Record<string, number[]> = {};
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run] of Object.entries(variants)) {
    const began = performance.now();
    run();
    (times[name] ??= []).push(performance.now() - began);
  }
}
for (const [name, list] of Object.entries(times)) {
  const sorted = list.slice(1).toSorted((a, b) => a - b);
  const nanoseconds = (ms: number): string => ((ms * 1e6) / UPDATES).toFixed(1);
  const [best, median] = [sorted[0]!, sorted[sorted.length >> 1]!];
  console.log(`${name.padEnd(24)} ${nanoseconds(median)} ns an update (best ${nanoseconds(best)})`);
}
