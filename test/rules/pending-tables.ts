/** Pending transfers and what ends them: posts, voids, and time. Near 2^128 each event stands in a batch of its own. */
import { FUNDED_ACCOUNTS, type RuleTable } from './rule-table.ts';

export const PENDING_TABLES: readonly RuleTable[] = [
  {
    title: 'a pending transfer reserves its amount, and a post of 2^128-1 moves all of it',
    text: `${FUNDED_ACCOUNTS}
      transfers | id   | debit | credit | amount | flags   | status
                | hold | alice | shop   | 60     | pending | created
                | more | alice | shop   | 41     |         | exceeds_credits
                | also | alice | shop   | 41     | pending | exceeds_credits
                | rest | alice | shop   | 40     |         | created
      commit
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 40     | 100     | 60             | 0
               | shop    | 0      | 40      | 0              | 60
      lookups | transfer | debit | credit | amount | flags   | pending_status | lookup
              | hold     | alice | shop   | 60     | pending | pending        | found
              | rest     | alice | shop   | 40     |         | none           | found
      transfers | id   | amount | flags | pending_id | debit | credit | status
                | take | max    | post  | hold       | alice | shop   | created
      commit
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 100    | 100     | 0              | 0
               | shop    | 0      | 100     | 0              | 0
      lookups | transfer | debit | credit | amount | flags   | pending_id | pending_status | lookup
              | hold     | alice | shop   | 60     | pending |            | posted         | found
              | take     | alice | shop   | 60     | post    | hold       | none           | found
    `,
  },
  {
    title: 'a post of less moves that, and the rest goes back',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | status
                | h1 | alice | shop   | 60     | pending | created
                | h2 | alice | shop   | 30     | pending | created
                | h3 | alice | shop   | 10     | pending | created
      commit
      transfers | id | debit | credit | amount | flags | pending_id | status
                | p1 | alice | shop   | 61     | post  | h1         | exceeds_pending_transfer_amount
                | p1 | alice | shop   | max-1  | post  | h1         | exceeds_pending_transfer_amount
                | p1 | alice | shop   | 45     | post  | h1         | created
                | p2 | alice | shop   | 30     | post  | h2         | created
                | p3 | alice | shop   | 0      | post  | h3         | created
      commit
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 75     | 100     | 0              | 0
               | shop    | 0      | 75      | 0              | 0
      lookups | transfer | amount | pending_status | lookup
              | h1       | 60     | posted         | found
              | p1       | 45     | none           | found
              | p3       | 0      | none           | found
    `,
  },
  {
    title: 'a void gives everything back, and its amount is 0 or exact',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | status
                | h1 | alice | shop   | 60     | pending | created
                | h2 | alice | shop   | 40     | pending | created
      commit
      transfers | id  | debit | credit | amount | flags | pending_id | status
                | v1  | alice | shop   | 59     | void  | h1         | pending_transfer_has_different_amount
                | v1  | alice | shop   | 61     | void  | h1         | exceeds_pending_transfer_amount
                | v1  | alice | shop   | max    | void  | h1         | exceeds_pending_transfer_amount
                | v1  | alice | shop   | 0      | void  | h1         | created
                | v2  | alice | shop   | 40     | void  | h2         | created
                | pay | alice | shop   | 100    |       |            | created
      commit
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 100    | 100     | 0              | 0
               | shop    | 0      | 100     | 0              | 0
      lookups | transfer | debit | credit | amount | flags   | pending_id | pending_status | lookup
              | h1       | alice | shop   | 60     | pending |            | voided         | found
              | v1       | alice | shop   | 60     | void    | h1         | none           | found
              | v2       | alice | shop   | 40     | void    | h2         | none           | found
    `,
  },
  {
    title: 'a pending transfer of 0 can be posted and voided',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | pending_id | status
                | h1 | alice | shop   | 0      | pending |            | created
                | h2 | alice | shop   | 0      | pending |            | created
      commit
                | p1 | alice | shop   | 1      | post    | h1         | exceeds_pending_transfer_amount
                | p1 | alice | shop   | max    | post    | h1         | created
                | v2 | alice | shop   | 0      | void    | h2         | created
      commit
      lookups | transfer | amount | pending_status | lookup
              | h1       | 0      | posted         | found
              | p1       | 0      | none           | found
              | h2       | 0      | voided         | found
    `,
  },
  {
    title: 'a post that names no accounts finds its pending transfer wherever that is',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | status
                | h1 | alice | shop   | 10     | pending | created
                | h2 | bank  | shop   | 20     | pending | created
                | h3 | shop  | alice  | 30     | pending | created
                | h4 | bank  | alice  | 40     | pending | created
      commit
      transfers | id | debit | credit | amount | flags | pending_id | status
                | p1 |       |        | max    | post  | h1         | created
                | p2 |       | shop   | 15     | post  | h2         | created
                | p3 | shop  |        | max    | post  | h3         | created
                | v4 |       |        | 0      | void  | h4         | created
      commit
                | p1 |       |        | max    | post  | h1         | exists
                | p2 | bank  |        | 15     | post  | h2         | exists
                | v4 |       |        | 0      | void  | h4         | exists
      commit
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 10     | 130     | 0              | 0
               | bank    | 115    | 0       | 0              | 0
               | shop    | 30     | 25      | 0              | 0
      lookups | transfer | debit | credit | amount | pending_id | lookup
              | p1       | alice | shop   | 10     | h1         | found
              | p2       | bank  | shop   | 15     | h2         | found
              | p3       | shop  | alice  | 30     | h3         | found
              | v4       | bank  | alice  | 40     | h4         | found
    `,
  },
  {
    title: 'a post in the batch of its pending transfer sees it, and only one end is possible',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | pending_id | status
                | h1 | alice | shop   | 60     | pending |            | created
                | p1 | alice | shop   | 50     | post    | h1         | created
                | p1 | alice | shop   | 50     | post    | h1         | exists
                | p2 | alice | shop   | max    | post    | h1         | pending_transfer_already_posted
                | v2 | alice | shop   | 0      | void    | h1         | pending_transfer_already_posted
                | h1 | alice | shop   | 60     | pending |            | exists
                | h3 | alice | shop   | 50     | pending |            | created
                | v3 |       |        | 0      | void    | h3         | created
                | v4 | alice | shop   | 0      | void    | h3         | pending_transfer_already_voided
                | p4 |       |        | max    | post    | h3         | pending_transfer_already_voided
                | h5 | bank  | shop   | 7      | pending |            | created
                | p5 |       |        | max    | post    | h5         | created
                | p0 | alice | shop   | max    | post    | h6         | pending_transfer_not_found
                | h6 | alice | shop   | 5      | pending |            | created
                | p6 | alice | shop   | max    | post    | h6         | created
      commit
                | p7 |       |        | max    | post    | h1         | pending_transfer_already_posted
                | p7 |       |        | 0      | void    | h3         | pending_transfer_already_voided
      commit
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 55     | 100     | 0              | 0
               | bank    | 107    | 0       | 0              | 0
               | shop    | 0      | 62      | 0              | 0
      lookups | transfer | pending_status | lookup
              | h1       | posted         | found
              | h3       | voided         | found
              | h5       | posted         | found
              | h6       | posted         | found
              | p0       |                | missing
    `,
  },
  {
    title: 'what a post or void leaves out it has from its pending transfer',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | code | user_data_128 | user_data_64 | user_data_32 | timeout | status
                | h1 | alice | shop   | 10     | pending | 7    | 2^64+1        | 2^32+2       | 3            | 600     | created
                | h2 | alice | shop   | 10     | pending | 7    | 1             | 2            | 3            |         | created
                | h3 | alice | shop   | 10     | pending | 7    | 1             | 2            | 3            |         | created
      commit
      transfers | id | amount | flags | pending_id | ledger | code | user_data_128 | user_data_64 | user_data_32 | debit | credit | status
                | p1 | max    | post  | h1         |        |      |               |              |              | alice | shop   | created
                | p2 | max    | post  | h2         | 1      | 7    | 4             | 5            | 6            | alice | shop   | created
                | v3 | 10     | void  | h3         | 1      |      |               | 5            |              | alice | shop   | created
      commit
      lookups | transfer | ledger | code | user_data_128 | user_data_64 | user_data_32 | timeout | flags   | lookup
              | h1       | 1      | 7    | 2^64+1        | 2^32+2       | 3            | 600     | pending | found
              | p1       | 1      | 7    | 2^64+1        | 2^32+2       | 3            | 0       | post    | found
              | p2       | 1      | 7    | 4             | 5            | 6            | 0       | post    | found
              | v3       | 1      | 7    | 1             | 5            | 3            | 0       | void    | found
    `,
  },
  {
    title: 'limits count what is pending',
    text: `
      accounts | id    | flags                          | status
               | bank  |                                | created
               | alice | debits_must_not_exceed_credits | created
               | shop  | credits_must_not_exceed_debits | created
      commit
      transfers | id  | debit | credit | amount | flags   | pending_id | status
                | t1  | bank  | alice  | 10     | pending |            | created
                | t2  | alice | bank   | 1      |         |            | exceeds_credits
                | t3  | shop  | bank   | 10     | pending |            | created
                | t4  | bank  | shop   | 1      |         |            | exceeds_debits
                | p1  | bank  | alice  | 8      | post    | t1         | created
                | p3  | shop  | bank   | 8      | post    | t3         | created
                | t5  | alice | bank   | 5      | pending |            | created
                | t6  | alice | bank   | 4      | pending |            | exceeds_credits
                | t7  | alice | bank   | 3      | pending |            | created
                | t8  | bank  | shop   | 9      | pending |            | exceeds_debits
                | t9  | bank  | shop   | 8      | pending |            | created
                | v5  | alice | bank   | 0      | void    | t5         | created
                | t10 | alice | bank   | 5      |         |            | created
                | t11 | bank  | shop   | 1      |         |            | exceeds_debits
      commit
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 5      | 8       | 3              | 0
               | shop    | 8      | 0       | 0              | 8
               | bank    | 8      | 13      | 8              | 3
    `,
  },
  {
    title: 'pending amounts never pass 2^128-1, alone or with what is posted',
    text: `
      accounts | id    | status
               | mint  | created
               | vault | created
               | purse | created
               | chest | created
      commit
      transfers | id | debit | credit | amount | flags   | beats                     | status
                | t1 | mint  | vault  | max-1  | pending |                           | created
      commit
                | t2 | mint  | purse  | 2      | pending |                           | overflows_debits_pending
      commit
                | t2 | purse | vault  | 2      | pending |                           | overflows_credits_pending
      commit
                | t2 | mint  | vault  | 2      | pending | overflows_credits_pending | overflows_debits_pending
      commit
                | t2 | mint  | purse  | 2      |         |                           | overflows_debits
      commit
                | t2 | purse | vault  | 2      |         |                           | overflows_credits
      commit
                | t2 | mint  | vault  | 2      |         | overflows_credits         | overflows_debits
      commit
                | t2 | mint  | purse  | 1      |         |                           | created
      commit
                | t3 | purse | vault  | 1      | pending |                           | created
      commit
                | t4 | mint  | purse  | 0      | pending |                           | created
      commit
      balances | account | debits | credits | debits_pending | credits_pending
               | mint    | 1      | 0       | max-1          | 0
               | vault   | 0      | 0       | 0              | max
               | purse   | 0      | 1       | 1              | 0
    `,
  },
  {
    title: 'of two overflows the earlier one is told',
    text: `
      accounts | id    | status
               | mint  | created
               | vault | created
               | purse | created
               | chest | created
      commit
      accounts | id   | flags                          | status
               | poor | debits_must_not_exceed_credits | created
      commit
      transfers | id | debit | credit | amount | flags   | beats                   | status
                | t1 | mint  | vault  | max    |         |                         | created
      commit
                | t2 | purse | chest  | max    | pending |                         | created
      commit
                | t3 | mint  | chest  | 1      | pending | overflows_debits_posted | overflows_credits_pending
      commit
                | t3 | mint  | purse  | 1      | pending | overflows_debits        | overflows_debits_posted
      commit
                | t3 | purse | vault  | 1      |         | overflows_debits        | overflows_credits_posted
      commit
                | t3 | mint  | chest  | 1      |         | overflows_credits       | overflows_debits_posted
      commit
                | t3 | purse | chest  | 1      |         | overflows_credits       | overflows_debits
      commit
                | t3 | poor  | chest  | 1      |         | exceeds_credits         | overflows_credits
      commit
      transfers | id | debit | credit | amount | flags | pending_id | status
                | p2 | purse | chest  | max    | post  | t2         | created
      commit
      balances | account | debits | credits
               | purse   | max    | 0
               | chest   | 0      | max
    `,
  },
];
