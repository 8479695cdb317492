/** Posts, voids, and balancing transfers lie behind all others of their group in the journal. Pages of a query have them where they took effect. */
import { expect, test } from 'vitest';
import type { Client } from '../../client/client.ts';
import { open } from '../../client/in-process-client.ts';
import { TransferFlags } from '../../engine/flags.ts';
import { TempDirectory } from '../support/cluster.ts';

const PAGES = [1, 2, 3, 5, 100];
const { balancingDebit, pending, postPendingTransfer, voidPendingTransfer } = TransferFlags;

async function idsOf(client: Client, limit: number, reversed: boolean): Promise<bigint[]> {
  const ids: bigint[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Client['queryTransfers']>> = await client.queryTransfers({
      limit,
      reversed,
      cursor,
    });
    ids.push(...page.transfers.map(({ id }) => id));
    cursor = page.next;
  } while (cursor !== null);
  return ids;
}

test('a query has its rows in the order in which they took effect, in pages of any length, both ways', async () => {
  await using temp = new TempDirectory();
  await using client = await open({ directory: temp.path, shards: 1 });
  const one = { debitAccountId: 1n, creditAccountId: 2n, amount: 5n, ledger: 1, code: 1 };
  await client.createAccounts([1n, 2n].map((id) => ({ id, ledger: 1, code: 1 })));
  const of = (id: bigint, pendingId: bigint, flags: number): object => ({
    ...one,
    id,
    pendingId,
    flags,
  });
  const first = [10n, 11n, 12n].map((id) => ({ ...one, id, flags: pending }));
  const second = [
    of(20n, 10n, postPendingTransfer),
    { ...one, id: 21n },
    of(22n, 11n, voidPendingTransfer),
    { ...one, id: 23n, flags: balancingDebit },
    { ...one, id: 24n },
    of(25n, 12n, postPendingTransfer),
    { ...one, id: 26n },
  ] as typeof first;
  for (const batch of [first, second]) {
    const { results } = await client.createTransfers(batch);
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['created']));
  }
  const inOrder = [...first, ...second].map(({ id }) => id);
  for (const limit of PAGES) {
    expect(await idsOf(client, limit, false)).toEqual(inOrder);
    expect(await idsOf(client, limit, true)).toEqual(inOrder.toReversed());
  }
});
