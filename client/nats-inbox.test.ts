import { errors, headers, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { NatsInbox } from './nats-inbox.ts';

const TRY_MS = 100;

type Deliver = (error: Error | null, message: Msg) => void;

/** A connection that only notes what is published, and lets a test answer. */
class FakeConnection {
  readonly replies: string[] = [];
  readonly subscribed: string[] = [];
  fault: Error | undefined;
  #deliver: Deliver | undefined;

  subscribe(subject: string, options: { readonly callback: Deliver }): object {
    this.subscribed.push(subject);
    this.#deliver = options.callback;
    return {};
  }

  publish(_subject: string, _bytes: Uint8Array, options: { readonly reply: string }): void {
    if (this.fault !== undefined) throw this.fault;
    this.replies.push(options.reply);
  }

  deliver(error: Error | null, message: Msg): void {
    this.#deliver!(error, message);
  }

  answer(subject: string, text: string): void {
    this.deliver(null, { subject, data: new TextEncoder().encode(text) } as Msg);
  }
}

const connection = (): FakeConnection => new FakeConnection();
const inboxOf = (fake: FakeConnection): NatsInbox =>
  new NatsInbox(fake as unknown as NatsConnection, undefined);
const ask = async (inbox: NatsInbox, subject = 'a'): Promise<string> => {
  const bytes = new Uint8Array(1);
  const request = { subject, bytes, headers: headers(), timeoutMs: TRY_MS };
  return new TextDecoder().decode((await inbox.request(request)).bytes);
};

const faultOf = async (asked: Promise<string>): Promise<unknown> => {
  try {
    return `no fault, but ${await asked}`;
  } catch (error: unknown) {
    return error;
  }
};

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('answers find their requests, in whatever order they come', async () => {
  const fake = connection();
  const inbox = inboxOf(fake);
  const asked = [ask(inbox), ask(inbox), ask(inbox)];
  for (const i of [2, 0, 1]) fake.answer(fake.replies[i]!, `answer ${i}`);
  expect(await Promise.all(asked)).toEqual(['answer 0', 'answer 1', 'answer 2']);
  expect(fake.subscribed).toHaveLength(1);
});

test('an answer that comes too late is not taken for that of a later request', async () => {
  const fake = connection();
  const inbox = inboxOf(fake);
  const late = ask(inbox);
  const ended = faultOf(late);
  await vi.advanceTimersByTimeAsync(TRY_MS + 50);
  expect(await ended).toBeInstanceOf(errors.TimeoutError);
  const next = ask(inbox);
  fake.answer(fake.replies[0]!, 'too late');
  fake.answer(fake.replies[1]!, 'in time');
  fake.answer(fake.replies[1]!, 'twice');
  expect(await next).toBe('in time');
});

test('an answer is kept, though the memory of its message is used again', async () => {
  const fake = connection();
  const asked = ask(inboxOf(fake));
  const used = new TextEncoder().encode('kept');
  fake.deliver(null, { subject: fake.replies[0]!, data: used } as Msg);
  used.fill(0);
  expect(await asked).toBe('kept');
});

test('an answer whose headers the library cannot read ends its own request only', async () => {
  const fake = connection();
  const inbox = inboxOf(fake);
  const asked = [faultOf(ask(inbox)), ask(inbox)] as const;
  const unreadable = {
    subject: fake.replies[0]!,
    data: new Uint8Array(1),
    get headers(): never {
      throw new errors.InvalidArgumentError('header name');
    },
  };
  fake.deliver(null, unreadable as unknown as Msg);
  fake.answer(fake.replies[1]!, 'yes');
  expect(await asked[0]).toMatchObject({ message: 'the headers of an answer cannot be read' });
  expect(await asked[1]).toBe('yes');
});

test('no timer runs while nobody waits', async () => {
  const fake = connection();
  const inbox = inboxOf(fake);
  const asked = ask(inbox);
  expect(vi.getTimerCount()).toBe(1);
  fake.answer(fake.replies[0]!, 'yes');
  await asked;
  await vi.advanceTimersByTimeAsync(50);
  expect(vi.getTimerCount()).toBe(0);
  const again = faultOf(ask(inbox));
  await vi.advanceTimersByTimeAsync(TRY_MS + 50);
  expect(await again).toBeInstanceOf(errors.TimeoutError);
});

test('a subject that nobody serves, and one that may not be published to, end their own requests only', async () => {
  const fake = connection();
  const inbox = inboxOf(fake);
  const nobody = ask(inbox, 'nobody');
  const forbidden = ask(inbox, 'forbidden');
  const good = ask(inbox, 'good');
  const faults = [faultOf(nobody), faultOf(forbidden)];
  const none = { subject: fake.replies[0]!, data: new Uint8Array(0), headers: { code: 503 } };
  fake.deliver(null, none as unknown as Msg);
  inbox.refused(new errors.PermissionViolationError('may not', 'publish', 'forbidden'));
  fake.answer(fake.replies[2]!, 'yes');
  expect(await good).toBe('yes');
  expect(await faults[0]).toBeInstanceOf(errors.NoRespondersError);
  expect(await faults[1]).toBeInstanceOf(errors.PermissionViolationError);
});

test('where the subscription is refused all requests end, and the next one subscribes again', async () => {
  const fake = connection();
  const inbox = inboxOf(fake);
  const ended = faultOf(ask(inbox));
  const { subscribed } = fake;
  inbox.refused(new errors.PermissionViolationError('may not', 'subscription', subscribed[0]!));
  expect(await ended).toBeInstanceOf(errors.PermissionViolationError);
  const next = ask(inbox);
  fake.answer(fake.replies[1]!, 'yes');
  expect(await next).toBe('yes');
  expect(subscribed).toHaveLength(2);
});

test('what publish throws ends its request, and all that wait end with the connection', async () => {
  const fake = connection();
  const inbox = inboxOf(fake);
  const waiting = faultOf(ask(inbox));
  fake.fault = new Error('too large');
  await expect(ask(inbox)).rejects.toThrow('too large');
  inbox.endAll(new Error('gone'));
  expect(await waiting).toEqual(new Error('gone'));
  expect(vi.getTimerCount()).toBe(0);
});

test('a request that could not be published is not waited for', async () => {
  const fake = connection();
  const inbox = inboxOf(fake);
  fake.fault = new Error('too large');
  await expect(ask(inbox)).rejects.toThrow('too large');
  await vi.advanceTimersByTimeAsync(TRY_MS / 2);
  expect(vi.getTimerCount()).toBe(0);
});
