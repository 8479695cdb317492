/** Wrong usage of an offline tool, a backup, or a restore: exit code 2, with a sentence. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
