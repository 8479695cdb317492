/** Every bound of the engine, with the relations between them asserted at load. */
import { assert } from './assert.ts';

/** Events in one request. TigerBeetle's figure: what fits into 1 MiB of 128-byte rows. */
export const BATCH_EVENTS_MAX = 8189;
/** Shards of a data directory; a walk's way is a mask of two 32-bit words. */
export const SHARDS_MAX = 64;
/** Bytes of one encoded batch: header and thirteen full columns, each padded to 8 bytes. */
export const BATCH_BYTES_MAX = 16 + 13 * 8 + BATCH_EVENTS_MAX * 128;
/** Rows of one group: positions keep a row in 16 bits. */
export const GROUP_ROWS_MAX = 65_535;
/** A group stops taking inputs at this size, and is never larger than GROUP_BYTES_MAX. */
export const GROUP_BYTES_TARGET = 1 << 20;
export const GROUP_BYTES_MAX = 32 << 20;
/** Events of one walk, merged ones included. */
export const WALK_EVENTS_MAX = BATCH_EVENTS_MAX;
/** Events of a walk whose way may still become longer: an account that many name does so early on, and what is rare does not send many the long way. */
export const WALK_GROWS_EVENTS_MAX = 64;
/**
 * Events that are under way on one shard, and on all of them: admitted by the router and not answered. Waiting ones and claims are bounded by it. What
 * crosses shards waits for three commits: two shards need some hundred thousand under way to be busy.
 */
export const SHARD_EVENTS_IN_FLIGHT_MAX = 16 * 8192;
/** Pending transfers that one input expires at most. */
export const EXPIRIES_MAX = 4096;
/** Rows that the inputs of one group bring or announce: each may become a derived row too, and expiries come on top. */
export const GROUP_INPUT_ROWS_MAX = (GROUP_ROWS_MAX - 1 - EXPIRIES_MAX) >> 1;
/** Addresses that each table of a shard reserves: what it can ever hold. Memory is taken as it grows. */
export const ACCOUNTS_BYTES_MAX = 2 ** 35;
export const ACCOUNT_STAMPS_BYTES_MAX = 2 ** 31;
export const ACCOUNT_SLOTS_BYTES_MAX = 2 ** 33;
export const ACCOUNT_OWNERS_BYTES_MAX = 2 ** 30;
export const TRANSFER_SLOTS_BYTES_MAX = 3 * 2 ** 34;
export const PENDINGS_BYTES_MAX = 2 ** 34;
/** Journal sequences keep 40 bits in a position: at 10,000 groups a second that lasts three years. */
export const SEQUENCE_MAX = 2 ** 40 - 1;

assert(BATCH_EVENTS_MAX <= SHARD_EVENTS_IN_FLIGHT_MAX, 'a full batch is admitted by an idle shard');
assert(BATCH_EVENTS_MAX * 2 < GROUP_INPUT_ROWS_MAX, 'a group holds a batch and what it sets free');
assert(BATCH_BYTES_MAX < GROUP_BYTES_TARGET * 2, 'a group holds at least one batch');
