/** Run as a child with a directory as its argument: accounts are created, and a snapshot is taken, again and again, until somebody kills it. A line says when one is there. */
import { TransportClient } from '../../client/client.ts';
import { RouterTransport } from '../../client/router-transport.ts';
import { Supervisor } from '../../sharding/supervisor.ts';

const ACCOUNTS = 40;

const supervisor = await Supervisor.start({
  directory: process.argv[2]!,
  shards: 2,
  log: (line) => process.stderr.write(`${line}\n`),
});
const client = new TransportClient(new RouterTransport(supervisor.router, () => supervisor.stop()));
const first = crypto.getRandomValues(new BigUint64Array(1))[0]!;
for (let id = first; ; id += BigInt(ACCOUNTS)) {
  const ids = Array.from({ length: ACCOUNTS }, (_, i) => id + BigInt(i));
  await client.createAccounts(ids.map((one) => ({ id: one, ledger: 1, code: 1 })));
  const taken = await supervisor.snapshot();
  process.stdout.write(`${taken.map(({ sequence }) => sequence).join(' ')}\n`);
}
