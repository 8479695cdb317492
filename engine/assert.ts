/** Assertions, always on. A failed one is a bug: nobody catches it, the shard stops and comes back from its journal. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** The message is a constant, or a function when it has to be built: an argument is evaluated even when the assertion holds. */
export function assert(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new AssertionError(typeof message === 'string' ? message : message());
}

/** For the `default` of a switch over a closed union. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}
