/** Pending transfers that time ends. A system's clock is turned by `wait`. */
import { FUNDED_ACCOUNTS, type RuleTable } from './rule-table.ts';

export const EXPIRY_TABLES: readonly RuleTable[] = [
  {
    title: 'a pending transfer expires when its timeout is over, and its amount is free again',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | timeout | status
                | h1 | alice | shop   | 60     | pending | 10      | created
                | h2 | alice | shop   | 40     | pending | 11      | created
      commit
      wait | seconds
           | 9
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 0      | 100     | 100            | 0
               | shop    | 0      | 0       | 0              | 100
      lookups | transfer | pending_status | timeout | lookup
              | h1       | pending        | 10      | found
      wait | seconds
           | 1
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 0      | 100     | 40             | 0
               | shop    | 0      | 0       | 0              | 40
      lookups | transfer | amount | pending_status | timeout | lookup
              | h1       | 60     | expired        | 10      | found
              | h2       | 40     | pending        | 11      | found
      transfers | id | debit | credit | amount | status
                | t1 | alice | shop   | 61     | exceeds_credits
                | t2 | alice | shop   | 60     | created
      commit
      wait | seconds
           | 1
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 60     | 100     | 0              | 0
               | shop    | 0      | 60      | 0              | 0
    `,
  },
  {
    title: 'what has expired can neither be posted nor voided, and the ids stay free',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | timeout | status
                | h1 | alice | shop   | 60     | pending | 1       | created
                | h2 | alice | shop   | 10     | pending |         | created
      commit
      wait | seconds
           | 1
      transfers | id | debit | credit | amount | flags   | timeout | pending_id | beats                    | status
                | p1 | alice | shop   | max    | post    |         | h1         |                          | pending_transfer_expired
                | v1 | alice | shop   | 0      | void    |         | h1         |                          | pending_transfer_expired
                | p1 |       |        | 60     | post    |         | h1         |                          | pending_transfer_expired
                | p1 | alice | shop   | 61     | post    |         | h1         | pending_transfer_expired | exceeds_pending_transfer_amount
                | p1 | alice | shop   | 59     | void    |         | h1         | pending_transfer_expired | pending_transfer_has_different_amount
                | h1 | alice | shop   | 60     | pending | 1       |            |                          | exists
                | p1 | alice | shop   | max    | post    |         | h2         |                          | created
      commit
      balances | account | debits | credits | debits_pending
               | alice   | 10     | 100     | 0
      lookups | transfer | pending_status | lookup
              | h1       | expired        | found
              | h2       | posted         | found
              | v1       |                | missing
    `,
  },
  {
    title: 'what was posted or voided in time does not expire, and no timeout means never',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | timeout | status
                | h1 | alice | shop   | 10     | pending | 5       | created
                | h2 | alice | shop   | 20     | pending | 5       | created
                | h3 | alice | shop   | 30     | pending |         | created
                | h4 | alice | shop   | 40     | pending | 2^32-1  | created
      commit
      wait | seconds
           | 4
      transfers | id | debit | credit | amount | flags | pending_id | status
                | p1 | alice | shop   | max    | post  | h1         | created
                | v2 | alice | shop   | 0      | void  | h2         | created
      commit
      wait | seconds
           | 100_000
      transfers | id | debit | credit | amount | flags | pending_id | status
                | p0 | alice | shop   | max    | post  | h1         | pending_transfer_already_posted
                | p0 | alice | shop   | max    | post  | h2         | pending_transfer_already_voided
                | p3 | alice | shop   | max    | post  | h3         | created
                | p4 | alice | shop   | max    | post  | h4         | created
      commit
      balances | account | debits | credits | debits_pending
               | alice   | 80     | 100     | 0
      lookups | transfer | pending_status | lookup
              | h1       | posted         | found
              | h2       | voided         | found
              | h3       | posted         | found
              | h4       | posted         | found
    `,
  },
  {
    title:
      'pending transfers expire each at its own time, whatever the order in which they were made',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | timeout | status
                | h1 | alice | shop   | 1      | pending | 30      | created
                | h2 | alice | shop   | 2      | pending | 10      | created
                | h3 | bank  | shop   | 4      | pending | 20      | created
                | h4 | shop  | bank   | 8      | pending | 10      | created
      commit
      wait | seconds
           | 5
      transfers | id | debit | credit | amount | flags   | timeout | status
                | h5 | alice | shop   | 16     | pending | 10      | created
      commit
      wait | seconds
           | 5
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 0      | 100     | 17             | 0
               | bank    | 100    | 0       | 4              | 0
               | shop    | 0      | 0       | 0              | 21
      wait | seconds
           | 5
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 0      | 100     | 1              | 0
               | shop    | 0      | 0       | 0              | 5
      wait | seconds
           | 5
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 0      | 100     | 1              | 0
               | bank    | 100    | 0       | 0              | 0
               | shop    | 0      | 0       | 0              | 1
      wait | seconds
           | 10
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 0      | 100     | 0              | 0
               | shop    | 0      | 0       | 0              | 0
      changes | type              | transfer | debits_pending
              | single_phase      | salary   | 0
              | two_phase_pending | h1       |
              | two_phase_pending | h2       |
              | two_phase_pending | h3       |
              | two_phase_pending | h4       |
              | two_phase_pending | h5       |
              | two_phase_expired | h2       |
              | two_phase_expired | h4       |
              | two_phase_expired | h5       |
              | two_phase_expired | h3       |
              | two_phase_expired | h1       | 0
    `,
    only: 'one shard',
  },
  {
    title: 'many pending transfers expire at once',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | timeout | status
                | h1 | alice | shop   | 1      | pending | 2       | created
                | h2 | shop  | alice  | 2      | pending | 3       | created
                | h3 | bank  | shop   | 4      | pending | 2       | created
                | h4 | bank  | alice  | 8      | pending | 1       | created
                | h5 | shop  | bank   | 16     | pending | 1       | created
                | h6 | alice | bank   | 32     | pending | 3       | created
      commit
      wait | seconds
           | 3
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 0      | 100     | 0              | 0
               | bank    | 100    | 0       | 0              | 0
               | shop    | 0      | 0       | 0              | 0
      lookups | transfer | pending_status | lookup
              | h1       | expired        | found
              | h2       | expired        | found
              | h3       | expired        | found
              | h4       | expired        | found
              | h5       | expired        | found
              | h6       | expired        | found
    `,
  },
  {
    title: 'a post of less in time keeps the rest from expiring a second time',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | timeout | pending_id | status
                | h1 | alice | shop   | 60     | pending | 2       |            | created
                | p1 |       |        | 20     | post    |         | h1         | created
      commit
      wait | seconds
           | 2
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 20     | 100     | 0              | 0
               | shop    | 0      | 20      | 0              | 0
      lookups | transfer | pending_status | lookup
              | h1       | posted         | found
    `,
  },
];

/** Stands after every other table: the clock is never the same again. */
export const LAST_TABLES: readonly RuleTable[] = [
  {
    title: 'a pending transfer must expire before 2^63-1 nanoseconds',
    text: `
      accounts | id    | flags                          | status
               | mint  |                                | created
               | vault |                                | created
               | chest |                                | created
               | alice | debits_must_not_exceed_credits | created
      commit
      wait | seconds
           | 5_000_000_000
      transfers | id | debit | credit | amount  | flags   | timeout       | beats             | status
                | t1 | mint  | vault  | 1       | pending | 2^32-1        |                   | overflows_timeout
                | t2 | alice | vault  | 1       | pending | 2^32-1        | exceeds_credits   | overflows_timeout
                | t3 | mint  | vault  | 1       | pending | 1_000_000_000 |                   | created
      commit
                | t4 | chest | alice  | max     |         |               |                   | created
      commit
                | t5 | vault | alice  | 1       | pending | 2^32-1        | overflows_timeout | overflows_credits_posted
      commit
                | t6 | vault | mint   | 2^127   | pending |               |                   | created
      commit
                | t9 | vault | mint   | 2^127-1 |         |               |                   | created
      commit
                | t7 | alice | mint   | 1       | pending | 2^32-1        | overflows_timeout | overflows_credits
      commit
      lookups | transfer | timeout       | pending_status | lookup
              | t1       |               |                | missing
              | t3       | 1_000_000_000 | pending        | found
    `,
  },
];
