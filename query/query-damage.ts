/** What a reader of the journal found that no writer writes. It ends one question, and the log says where to look. */
export class QueryDamage extends Error {
  override readonly name = 'QueryDamage';
}
