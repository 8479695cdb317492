/**
 * What a peer has to do: the same work as Sycee. A transfer's id is unique, and one that comes again is answered `exists` or in what it
 * differs; both accounts are there and of the transfer's ledger; limits hold; both balances are posted, and the transfer is stored. Each
 * transfer is answered with the ledger's number of a status, when its outcome is durable. The load, the books, and the comparison
 * afterwards are the same for all (turn.ts).
 *
 * Ids are 16 bytes each, the most significant first.
 */
export interface PeerLedger {
  /** Answers when they are there. */
  createAccounts(accounts: AccountRows): Promise<void>;
  /** Makes of transfers what is the same each time that they are sent, before the clock runs. */
  prepare(transfers: TransferRows): Call;
  /** Of these accounts, in their order. */
  balances(ids: Buffer): Promise<Balances>;
  /** How many are stored. */
  countTransfers(): Promise<number>;
  /** Ends connections and server. */
  stop(): Promise<void>;
}

/** Sends the transfers with these ids over one of the connections: a status for each, in their order; null when all were created. */
export type Call = (client: number, ids: Buffer) => Promise<Statuses>;
export type Statuses = readonly number[] | null;

export interface AccountRows {
  readonly ids: Buffer;
  readonly ledger: number;
  readonly code: number;
  readonly flags: number;
}

export interface TransferRows {
  readonly debits: Buffer;
  readonly credits: Buffer;
  readonly amounts: readonly number[];
  readonly ledger: number;
  readonly code: number;
  readonly flags: number;
}

/** Exact: what a run moves is far below 2^53. */
export interface Balances {
  readonly debits: Float64Array;
  readonly credits: Float64Array;
  /** Sum of all pending balances. */
  readonly pending: number;
}

export interface PeerStart {
  /** An empty directory of its own. */
  readonly directory: string;
  /** Connections. */
  readonly clients: number;
  /** Most transfers in a call. */
  readonly batch: number;
}

export const ID_BYTES = 16;

/** Writes a 128-bit id, four words with the least significant first, into bytes. */
export function writeId(bytes: Buffer, at: number, words: Uint32Array, from: number): void {
  for (let word = 0; word < 4; word++) bytes.writeUInt32BE(words[from + 3 - word]!, at + word * 4);
}

export function idBytes(words: Uint32Array): Buffer {
  const bytes = Buffer.allocUnsafe(words.length * 4);
  for (let at = 0; at < bytes.length; at += ID_BYTES) writeId(bytes, at, words, at / 4);
  return bytes;
}

/** One of them. */
export const idAt = (ids: Buffer, row: number): Buffer =>
  ids.subarray(row * ID_BYTES, (row + 1) * ID_BYTES);
