/**
 * Run as a child with a directory and a first id: accounts are created and answered, both shards take a snapshot, and the process stops in order. A line
 * says what was answered.
 */
import { TransportClient } from '../../client/client.ts';
import { RouterTransport } from '../../client/router-transport.ts';
import { Supervisor } from '../../sharding/supervisor.ts';

const ROUND_ACCOUNTS = 24;
const [, , directory, first] = process.argv;

const supervisor = await Supervisor.start({ directory: directory!, shards: 2 });
const client = new TransportClient(new RouterTransport(supervisor.router, async () => undefined));
const ids = Array.from({ length: ROUND_ACCOUNTS }, (_, i) => BigInt(first!) + BigInt(i));
await client.createAccounts(ids.map((id) => ({ id, ledger: 1, code: 1 })));
process.stdout.write(`answered ${first} ${ROUND_ACCOUNTS}\n`);
const taken = await supervisor.snapshot();
for (const { shard, sequence } of taken) process.stdout.write(`snapshot ${shard} ${sequence}\n`);
await supervisor.stop();
process.stdout.write('done\n');
