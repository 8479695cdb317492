/** Shows what only a replay tells: open pending transfers, and what is under way between the shards. */
import { ROW_WORDS } from '../engine/batch.ts';
import { bigintOfUint64 } from '../engine/uint128.ts';
import type { Capture } from './capture.ts';
import { linkComplaints, messagesInFlight } from './conservation.ts';
import { transferObject } from './frame-text.ts';
import { formatTime } from './moment.ts';
import { messageObject, shardObject, writeMessages } from './replay-report.ts';
import { damageText } from './replay.ts';
import { EXIT } from './run-tool.ts';
import { replayShards } from './shard-pool.ts';
import type { ShardState } from './shard-task.ts';
import type { Sink, ToolOutput } from './sink.ts';
import { columnsOf, writeTable } from './table.ts';
import { witnessDamage } from './witness-checks.ts';

interface Asked {
  readonly json: boolean;
  readonly output: ToolOutput;
}

/** Undefined when a journal is damaged, or its end is gone by what the head witness says, as in a replay to the end; which is said then. */
async function statesOf(
  capture: Capture,
  output: ToolOutput,
): Promise<readonly ShardState[] | undefined> {
  const gone = capture.shards.flatMap((_, shard) => witnessDamage(capture, shard) ?? []);
  for (const damage of gone) output.log(`sycee: ${damageText(damage)}`);
  if (gone.length > 0) return undefined;
  const requests = capture.shards.map(({ last }, shard) => ({
    shard,
    to: last ?? Number.MAX_SAFE_INTEGER,
    wantsPendings: true,
  }));
  const answers = await replayShards(capture, requests, 'inspect');
  const states: ShardState[] = [];
  for (const answer of answers) {
    for (const line of answer.passedOver) output.log(`sycee: ${line}`);
    if (answer.type === 'state') states.push(answer.state);
    else output.log(`sycee: ${damageText(answer.damage)}`);
  }
  return states.length === answers.length ? states : undefined;
}

const BILLION = 1_000_000_000n;

interface OpenPending {
  readonly shard: number;
  readonly record: Uint32Array;
  readonly created: bigint;
  /** Null when it never expires. */
  readonly expires: bigint | null;
}

export async function inspectPending(
  sink: Sink,
  capture: Capture,
  { json, output }: Asked,
): Promise<number> {
  const states = await statesOf(capture, output);
  if (states === undefined) return EXIT.damaged;
  const open = states.flatMap(openPendings).toSorted((one, two) => {
    if (one.created === two.created) return one.shard - two.shard;
    return one.created < two.created ? -1 : 1;
  });
  if (json) {
    const pendings = open.map(({ shard, record, expires }) => ({
      shard,
      ...transferObject(record),
      expires_at: expires === null ? null : formatTime(expires),
    }));
    sink.line(JSON.stringify({ type: 'pending', pendings }));
    return EXIT.done;
  }
  if (open.length === 0) {
    sink.line('no pending transfer is open');
    return EXIT.done;
  }
  writeTable(sink, columnsOf('shard# id# debit# credit# amount# ledger# created expires'), () =>
    open.map(({ shard, record, created, expires }) => {
      const transfer = transferObject(record);
      return [
        String(shard),
        String(transfer['id']),
        String(transfer['debit_account_id']),
        String(transfer['credit_account_id']),
        String(transfer['amount']),
        String(transfer['ledger']),
        formatTime(created),
        expires === null ? 'never' : formatTime(expires),
      ];
    }),
  );
  return EXIT.done;
}

function openPendings({ shard, pendings }: ShardState): readonly OpenPending[] {
  const found: OpenPending[] = [];
  for (let at = 0; at < (pendings?.length ?? 0); at += ROW_WORDS) {
    const record = pendings!.subarray(at, at + ROW_WORDS);
    const created = bigintOfUint64(record, ROW_WORDS - 2);
    const timeout = BigInt(record[27]!);
    found.push({
      shard,
      record,
      created,
      expires: timeout === 0n ? null : created + timeout * BILLION,
    });
  }
  return found;
}

export async function inspectLinks(
  sink: Sink,
  capture: Capture,
  { json, output }: Asked,
): Promise<number> {
  const states = await statesOf(capture, output);
  if (states === undefined) return EXIT.damaged;
  const messages = messagesInFlight(states);
  const links = states.flatMap((sender) =>
    states
      .filter((receiver) => receiver !== sender)
      .map((receiver) => ({
        from: sender.shard,
        to: receiver.shard,
        sent: sender.sent[receiver.shard]!,
        received: receiver.received[sender.shard]!,
        acknowledged: sender.acknowledged[receiver.shard]!,
      })),
  );
  if (json) {
    const shards = states.map(shardObject);
    const inFlight = messages.map(messageObject);
    sink.line(JSON.stringify({ type: 'links', shards, links, in_flight: inFlight }));
  } else writeLinks(sink, { states, links, messages });
  const complaints = linkComplaints(states);
  for (const { rule } of complaints) output.log(`sycee: ${rule}`);
  return complaints.length > 0 ? EXIT.damaged : EXIT.done;
}

function writeLinks(
  sink: Sink,
  found: {
    readonly states: readonly ShardState[];
    readonly links: readonly { readonly [name: string]: number }[];
    readonly messages: ReturnType<typeof messagesInFlight>;
  },
): void {
  const { states, links, messages } = found;
  if (states.length === 1) sink.line('one shard: there are no links');
  else {
    writeTable(sink, columnsOf('from# to# sent# received# acknowledged#'), () =>
      links.map((link) => Object.values(link).map(String)),
    );
    sink.line('');
    writeMessages(sink, messages);
  }
  sink.line('');
  writeTable(sink, columnsOf('shard# walks_under_way# claims# parked# expiring#'), () =>
    states.map(({ shard, walks, claims, parked, expiring }) =>
      [shard, walks, claims, parked, expiring].map(String),
    ),
  );
}
