/** Balancing transfers: they move no more than what is there, down to nothing. */
import type { RuleTable } from './rule-table.ts';

const ACCOUNTS = `
      accounts | id    | flags | status
               | bank  |       | created
               | alice |       | created
               | shop  |       | created
      commit
      transfers | id  | debit | credit | amount | status
                | in  | bank  | alice  | 100    | created
                | out | alice | bank   | 30     | created
      commit
`;

export const BALANCING_TABLES: readonly RuleTable[] = [
  {
    title: 'balancing_debit moves what the debit account has left, at most the amount',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags           | status
                | t1 | alice | shop   | 50     | balancing_debit | created
                | t2 | alice | shop   | 50     | balancing_debit | created
                | t3 | alice | shop   | max    | balancing_debit | created
      commit
      lookups | transfer | amount | flags           | lookup
              | t1       | 50     | balancing_debit | found
              | t2       | 20     | balancing_debit | found
              | t3       | 0      | balancing_debit | found
      balances | account | debits | credits
               | alice   | 100    | 100
               | shop    | 0      | 70
    `,
  },
  {
    title: 'balancing_credit moves what the credit account owes, at most the amount',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags            | status
                | t1 | shop  | bank   | 50     | balancing_credit | created
                | t2 | shop  | bank   | max    | balancing_credit | created
                | t3 | shop  | bank   | 1      | balancing_credit | created
      commit
      lookups | transfer | amount | flags            | lookup
              | t1       | 50     | balancing_credit | found
              | t2       | 20     | balancing_credit | found
              | t3       | 0      | balancing_credit | found
      balances | account | debits | credits
               | bank    | 100    | 100
               | shop    | 70     | 0
    `,
  },
  {
    title: 'both flags together move the smaller of both',
    text: `${ACCOUNTS}
      accounts | id   | status
               | till | created
      commit
      transfers | id | debit | credit | amount | flags                            | status
                | f1 | till  | shop   | 25     |                                  | created
                | t1 | alice | till   | max    | balancing_debit balancing_credit | created
                | f2 | till  | shop   | 90     |                                  | created
                | t2 | alice | till   | max    | balancing_debit balancing_credit | created
                | t3 | alice | till   | max    | balancing_debit balancing_credit | created
                | f3 | bank  | alice  | 10     |                                  | created
                | t4 | alice | till   | 4      | balancing_debit balancing_credit | created
      commit
      lookups | transfer | amount | lookup
              | t1       | 25     | found
              | t2       | 45     | found
              | t3       | 0      | found
              | t4       | 4      | found
      balances | account | debits | credits
               | alice   | 104    | 110
               | till    | 115    | 74
    `,
  },
  {
    title: 'an account that owes has nothing to balance with',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags            | status
                | t1 | bank  | shop   | 50     | balancing_debit  | created
                | t2 | shop  | alice  | 50     | balancing_credit | created
                | t3 | alice | shop   | 0      | balancing_debit  | created
      commit
      lookups | transfer | amount | lookup
              | t1       | 0      | found
              | t2       | 0      | found
              | t3       | 0      | found
      balances | account | debits | credits
               | bank    | 100    | 30
               | alice   | 30     | 100
    `,
  },
  {
    title: 'what is pending is not there to balance with, and what comes in pending neither',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags                   | pending_id | status
                | h1 | alice | shop   | 15     | pending                 |            | created
                | h2 | bank  | alice  | 500    | pending                 |            | created
                | t1 | alice | shop   | max    | balancing_debit         |            | created
                | v1 | alice | shop   | 0      | void                    | h1         | created
                | t2 | alice | shop   | max    | pending balancing_debit |            | created
                | t3 | alice | shop   | max    | balancing_debit         |            | created
                | p2 | alice | shop   | max    | post                    | t2         | created
      commit
      lookups | transfer | amount | flags                   | pending_status | lookup
              | t1       | 55     | balancing_debit         | none           | found
              | t2       | 15     | pending balancing_debit | posted         | found
              | t3       | 0      | balancing_debit         | none           | found
              | p2       | 15     | post                    | none           | found
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 100    | 100     | 0              | 500
               | bank    | 100    | 30      | 500            | 0
               | shop    | 0      | 70      | 0              | 0
    `,
  },
  {
    title: 'a balancing transfer again exists if its amount is not below what was moved',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags            | user_data_64 | beats                              | status
                | t1 | alice | shop   | 80     | balancing_debit  | 7            |                                    | created
                | t1 | alice | shop   | 80     | balancing_debit  | 7            |                                    | exists
      commit
                | t1 | alice | shop   | 70     | balancing_debit  | 7            |                                    | exists
                | t1 | alice | shop   | max    | balancing_debit  | 7            |                                    | exists
                | t1 | alice | shop   | 69     | balancing_debit  | 7            |                                    | exists_with_different_amount
                | t1 | alice | shop   | 0      | balancing_debit  | 7            |                                    | exists_with_different_amount
                | t1 | alice | shop   | 70     | balancing_debit  | 8            |                                    | exists_with_different_user_data_64
                | t1 | alice | shop   | 69     | balancing_debit  | 8            | exists_with_different_user_data_64 | exists_with_different_amount
                | t1 | alice | shop   | 70     |                  | 7            |                                    | exists_with_different_flags
                | t1 | alice | shop   | 70     | balancing_credit | 7            |                                    | exists_with_different_flags
                | t2 | alice | shop   | 5      | balancing_debit  |              |                                    | created
                | t2 | alice | shop   | 0      | balancing_debit  |              |                                    | exists # nothing was left to move
      commit
      balances | account | debits | credits
               | shop    | 0      | 70
    `,
  },
  {
    title: 'balancing keeps a limit of its own side, and the other side may still refuse',
    text: `
      accounts | id    | flags                          | status
               | bank  |                                | created
               | alice | debits_must_not_exceed_credits | created
               | shop  | credits_must_not_exceed_debits | created
      commit
      transfers | id | debit | credit | amount | flags                            | status
                | in | bank  | alice  | 100    |                                  | created
                | t1 | alice | shop   | 10     | balancing_debit                  | exceeds_debits
                | t2 | alice | shop   | 10     | balancing_credit                 | created
                | t3 | shop  | bank   | 40     |                                  | created
                | t4 | alice | shop   | max    | balancing_debit                  | exceeds_debits
                | t5 | alice | shop   | max    | balancing_debit balancing_credit | created
                | t6 | alice | bank   | max    | balancing_debit                  | created
                | t7 | bank  | shop   | 5      |                                  | exceeds_debits
                | t8 | alice | bank   | 1      | balancing_credit                 | created
      commit
      lookups | transfer | amount | lookup
              | t2       | 0      | found
              | t5       | 40     | found
              | t6       | 60     | found
              | t8       | 0      | found
      balances | account | debits | credits
               | alice   | 100    | 100
               | shop    | 40     | 40
               | bank    | 100    | 100
    `,
  },
  {
    title: 'a limit refuses a balancing transfer of the other side',
    text: `
      accounts | id    | flags                          | status
               | bank  |                                | created
               | alice | debits_must_not_exceed_credits | created
               | owes  |                                | created
      commit
      transfers | id | debit | credit | amount | flags            | status
                | f1 | owes  | bank   | 50     |                  | created
                | t1 | alice | owes   | 20     | balancing_credit | exceeds_credits
                | t2 | bank  | owes   | max    | balancing_credit | created
                | t3 | alice | owes   | 20     | balancing_credit | created
      commit
      lookups | transfer | amount | lookup
              | t2       | 50     | found
              | t3       | 0      | found
    `,
  },
  {
    title: 'near 2^128 a balancing transfer moves what is there, and overflows are told of that',
    text: `
      accounts | id    | status
               | mint  | created
               | vault | created
               | purse | created
      commit
      transfers | id | debit | credit | amount | flags            | status
                | t1 | mint  | vault  | max-1  |                  | created
      commit
                | t2 | vault | purse  | max    | balancing_debit  | created
      commit
                | t3 | vault | purse  | max    | balancing_debit  | created
      commit
                | t4 | mint  | purse  | max    | balancing_credit | created
      commit
                | t5 | purse | mint   | max    | balancing_credit | created
      commit
                | t6 | mint  | vault  | max    | balancing_debit  | created
      commit
                | t7 | mint  | vault  | 2      |                  | overflows_debits_posted
      commit
      lookups | transfer | amount | lookup
              | t2       | max-1  | found
              | t3       | 0      | found
              | t4       | 0      | found
              | t5       | max-1  | found
              | t6       | 0      | found
      balances | account | debits | credits
               | mint    | max-1  | max-1
               | vault   | max-1  | max-1
               | purse   | max-1  | max-1
    `,
  },
  {
    title: 'an account is emptied and closed in one transfer',
    text: `${ACCOUNTS}
      transfers | id  | debit | credit | amount | flags                                 | status
                | end | alice | bank   | max    | pending balancing_debit closing_debit | created
                | t1  | alice | bank   | 0      | balancing_debit                       | debit_account_already_closed
      commit
      lookups | transfer | amount | pending_status | lookup
              | end      | 70     | pending        | found
      balances | account | debits | credits | debits_pending | credits_pending | state
               | alice   | 30     | 100     | 70             | 0               | closed
    `,
  },
];
