import { describe, expect, test } from 'vitest';
import { replyAt } from '../test/support/one-shard.ts';
import { Ledger } from './ledger.ts';
import { OpenRequests, Reply, ReplyKind, replyWords } from './open-requests.ts';

const HEAD = { session: 4, request: 9, n: 3, deadlineLow: 0, deadlineHigh: 0 };

function newRequests(): { requests: OpenRequests; ledger: Ledger } {
  const ledger = new Ledger({ shard: 0, shards: 2, seed: 1 });
  const requests = new OpenRequests(ledger);
  requests.beginGroup(5);
  return { requests, ledger };
}

describe('an open request', () => {
  test('is answered when the last of its waiting rows has its outcome, and not before', () => {
    const { requests } = newRequests();
    const slot = requests.open(HEAD);
    requests.keep(
      slot,
      Uint16Array.of(99, 21, 0xffff, 0xffff),
      1,
      Uint32Array.of(1, 2, 3, 4, 5, 6),
    );
    requests.addWaiting(slot, 2);
    requests.settle(slot, 2, 46, 50, 60);
    expect(requests.replyAt).toEqual([]);
    requests.beginGroup(2 ** 33 + 6);
    requests.settle(slot, 1, 54, 30, 40);
    expect(requests.count).toBe(0);
    const at = requests.replyAt[0]!;
    const { words } = requests.replies;
    expect(replyAt(words, at)).toEqual({
      request: 9,
      statuses: [21, 54, 46],
      timestamps: [(2n << 32n) | 1n, (40n << 32n) | 30n, (60n << 32n) | 50n],
    });
    expect([words[at + Reply.kind], words[at + Reply.session]]).toEqual([ReplyKind.created, 4]);
    expect([words[at + Reply.sequence], words[at + Reply.sequence + 1]]).toEqual([6, 2]);
    expect(() => requests.settle(slot, 1, 0, 0, 0)).toThrow('is open');
  });

  test('replies lie one behind the other, padded to 8 bytes, with nothing of earlier ones in the padding', () => {
    const { requests } = newRequests();
    const stamps = new Uint32Array(20).fill(7);
    const statuses = new Uint16Array(10).fill(3);
    for (let n = 1; n <= 9; n++) requests.reply({ ...HEAD, n, request: n }, statuses, 0, stamps);
    requests.beginGroup(6);
    for (let n = 1; n <= 9; n++) requests.reply({ ...HEAD, n, request: n }, statuses, 0, stamps);
    let at = 0;
    for (let n = 1; n <= 9; n++) {
      expect(requests.replyAt[n - 1]).toBe(at);
      expect(replyAt(requests.replies.words, at).statuses).toEqual(Array(n).fill(3));
      const halves = new Uint16Array(requests.replies.words.buffer);
      const end = at + replyWords(n);
      const after = (at + 8 + 2 * n) * 2 + n;
      expect(halves.subarray(after, end * 2).every((half) => half === 0)).toBe(true);
      expect(end % 2).toBe(0);
      at = end;
    }
    expect(requests.replies.length).toBe(at);
  });

  test('a slot is used again for the next request', () => {
    const { requests } = newRequests();
    const one = requests.open(HEAD);
    const two = requests.open({ ...HEAD, request: 10 });
    expect(two).not.toBe(one);
    requests.addWaiting(one, 1);
    requests.settle(one, 0, 0, 0, 0);
    expect(requests.open({ ...HEAD, request: 11 })).toBe(one);
    expect(requests.count).toBe(2);
  });

  test('is late when the clock has passed its deadline, and never without one', () => {
    const { requests, ledger } = newRequests();
    const none = requests.open(HEAD);
    const some = requests.open({ ...HEAD, deadlineLow: 10, deadlineHigh: 1 });
    for (const [low, high, isLate] of [
      [0xfffffffe, 0, false],
      [10, 1, false],
      [12, 1, true],
      [0, 2, true],
    ] as const) {
      ledger.clockLow = low;
      ledger.clockHigh = high;
      expect([requests.isLate(none), requests.isLate(some)]).toEqual([false, isLate]);
    }
  });
});
