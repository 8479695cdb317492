import { expect, test } from 'vitest';
import { Outbox } from './outbox.ts';

/** As much of a state machine as an outbox looks at. */
function machineOf(): ConstructorParameters<typeof Outbox>[0] & {
  group: (sent: readonly number[], outgoing: readonly (readonly [number, number])[]) => void;
} {
  const machine = {
    ledger: { shards: 3, shard: 0 },
    outgoing: [] as { to: number; body: Uint32Array }[],
    sent: new Float64Array(3),
    acknowledged: new Float64Array(3),
    group(sent: readonly number[], outgoing: readonly (readonly [number, number])[]): void {
      machine.sent.set(sent);
      machine.outgoing = outgoing.map(([to, word]) => ({ to, body: Uint32Array.of(word) }));
    },
  };
  return machine as never;
}

const told = (outbox: Outbox): readonly (readonly number[])[] =>
  outbox.messages.map(({ to, number, body }) => [to, number, body[0]!]);

test('messages of one group to one peer are kept in the order in which they were sent, as a link keeps them', () => {
  const machine = machineOf();
  const outbox = new Outbox(machine, null);
  machine.group(
    [0, 2, 1],
    [
      [1, 10],
      [2, 20],
      [1, 11],
    ],
  );
  outbox.add();
  machine.group(
    [0, 4, 1],
    [
      [1, 12],
      [1, 13],
    ],
  );
  outbox.add();
  expect(told(outbox)).toEqual([
    [1, 1, 10],
    [1, 2, 11],
    [1, 3, 12],
    [1, 4, 13],
    [2, 1, 20],
  ]);
});

test('what is acknowledged goes, unless it is asked for', () => {
  const machine = machineOf();
  const outbox = new Outbox(machine, null);
  const keeping = new Outbox(machine, [0, 2, 0]);
  machine.group(
    [0, 3, 0],
    [
      [1, 1],
      [1, 2],
      [1, 3],
    ],
  );
  machine.acknowledged[1] = 2;
  outbox.add();
  keeping.add();
  expect(told(outbox)).toEqual([[1, 3, 3]]);
  expect(told(keeping)).toEqual([
    [1, 2, 2],
    [1, 3, 3],
  ]);
});
