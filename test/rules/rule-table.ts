/** A table of rules with its title, and which shard counts it is about. */
export interface RuleTable {
  readonly title: string;
  readonly text: string;
  /** A transfer id is unique per debit shard: some tables hold only where there is one shard, or only where there are several. */
  readonly only?: 'one shard' | 'several shards';
}

export function holdsAt(table: RuleTable, shards: number): boolean {
  return table.only === undefined || (table.only === 'one shard') === (shards === 1);
}
