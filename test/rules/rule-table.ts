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

/** Three accounts, one of which has 100 and may not spend more: how the tables of pending transfers begin. */
export const FUNDED_ACCOUNTS = `
      accounts | id    | flags                          | status
               | bank  |                                | created
               | alice | debits_must_not_exceed_credits | created
               | shop  |                                | created
      commit
      transfers | id     | debit | credit | amount | status
                | salary | bank  | alice  | 100    | created
      commit
`;
