/**
 * For each input row of a group the positions of the previous transfers of its two accounts, by column as they lie in its frame (see frame.ts):
 * 13 bytes a row where all sequences are below 2^32, else 15.
 */
export class PreviousPositions {
  /** By row and side. */
  readonly lows: Uint32Array;
  readonly rows: Uint16Array;
  readonly uppers: Uint8Array;
  /** By row: the debit account's side there in the lower half, the credit account's in the upper. */
  readonly sides: Uint8Array;
  /** Some row has any; some sequence has an upper byte. */
  isUsed = false;
  hasUpper = false;

  constructor(rowsMax: number) {
    this.lows = new Uint32Array(2 * rowsMax);
    this.rows = new Uint16Array(2 * rowsMax);
    this.uppers = new Uint8Array(2 * rowsMax);
    this.sides = new Uint8Array(rowsMax);
  }

  /** Forgets those of the rows from..to-1. */
  clear(from: number, to: number): void {
    this.lows.fill(0, from * 2, to * 2);
    this.rows.fill(0, from * 2, to * 2);
    this.uppers.fill(0, from * 2, to * 2);
    this.sides.fill(0, from, to);
  }

  /** Of the debit (side 1) or credit account (side 2): the words of a position, see ledger.ts. */
  set(row: number, side: number, low: number, high: number): void {
    const at = 2 * row + side - 1;
    this.lows[at] = low;
    this.rows[at] = high >>> 8;
    this.uppers[at] = high >>> 24;
    const sides = this.sides[row]!;
    this.sides[row] = side === 1 ? (sides & 0xf0) | (high & 15) : (sides & 15) | ((high & 15) << 4);
    this.isUsed = true;
    if (high >>> 24 !== 0) this.hasUpper = true;
  }

  /** Both of a row at once. */
  // Hot path.
  // oxlint-disable-next-line max-params -- An object per transfer would cost more than it explains.
  setBoth(row: number, drLow: number, drHigh: number, crLow: number, crHigh: number): void {
    const at = 2 * row;
    this.lows[at] = drLow;
    this.lows[at + 1] = crLow;
    this.rows[at] = drHigh >>> 8;
    this.rows[at + 1] = crHigh >>> 8;
    this.sides[row] = (drHigh & 15) | ((crHigh & 15) << 4);
    this.isUsed = true;
    if ((drHigh | crHigh) >>> 24 === 0) return;
    this.uppers[at] = drHigh >>> 24;
    this.uppers[at + 1] = crHigh >>> 24;
    this.hasUpper = true;
  }

  /** Writes the columns of n rows into a frame's bytes, from a multiple of 8 on: `previousBytes` of them. */
  write(frame: Uint8Array, at: number, n: number): void {
    frame.set(bytesOf(this.lows, 2 * n), at);
    frame.set(bytesOf(this.rows, 2 * n), at + 8 * n);
    frame.set(this.sides.subarray(0, n), at + 12 * n);
    frame.fill(0, at + 13 * n, at + previousBytes(n));
  }

  writeUpper(frame: Uint8Array, at: number, n: number): void {
    frame.set(this.uppers.subarray(0, 2 * n), at);
    frame.fill(0, at + 2 * n, at + upperBytes(n));
  }
}

/** Bytes of the columns of n rows, and of their upper bytes, in a frame. */
export function previousBytes(n: number): number {
  return (13 * n + 7) & ~7;
}

export function upperBytes(n: number): number {
  return (2 * n + 7) & ~7;
}

function bytesOf(column: Uint32Array | Uint16Array, count: number): Uint8Array {
  return new Uint8Array(column.buffer, 0, count * column.BYTES_PER_ELEMENT);
}
