/** Accounts that a pending transfer closes, and how they open again. On a closed account only a void is done. */
import type { RuleTable } from './rule-table.ts';

const ACCOUNTS = `
      accounts | id    | flags | status
               | bank  |       | created
               | alice |       | created
               | shop  |       | created
      commit
      transfers | id | debit | credit | amount | flags   | status
                | h0 | alice | shop   | 5      | pending | created
                | h9 | shop  | alice  | 5      | pending | created
      commit
`;

export const CLOSING_TABLES: readonly RuleTable[] = [
  {
    title: 'closing_debit closes the debit account, and then only voids are done there',
    text: `${ACCOUNTS}
      transfers | id  | debit | credit | amount | flags                 | pending_id | status
                | end | alice | bank   | 0      | pending closing_debit |            | created
                | t1  | alice | shop   | 0      |                       |            | debit_account_already_closed
                | t2  | shop  | alice  | 0      |                       |            | credit_account_already_closed
                | t3  | alice | shop   | 1      | pending               |            | debit_account_already_closed
                | t4  | shop  | alice  | 1      | pending               |            | credit_account_already_closed
                | t5  | alice | bank   | 0      | pending closing_debit |            | debit_account_already_closed
                | p1  | alice | shop   | max    | post                  | h0         | debit_account_already_closed
                | p2  | shop  | alice  | max    | post                  | h9         | credit_account_already_closed
                | t6  | bank  | shop   | 1      |                       |            | created
                | v0  | alice | shop   | 0      | void                  | h0         | created
                | v9  |       |        | 0      | void                  | h9         | created
      commit
      balances | account | debits | credits | debits_pending | credits_pending | state
               | alice   | 0      | 0       | 0              | 0               | closed
               | bank    | 1      | 0       | 0              | 0               | open
               | shop    | 0      | 1       | 0              | 0               | open
      lookups | transfer | flags                 | amount | pending_status | lookup
              | end      | pending closing_debit | 0      | pending        | found
              | h0       | pending               | 5      | voided         | found
              | t1       |                       |        |                | missing
    `,
  },
  {
    title: 'closing_credit closes the credit account, and both flags close both',
    text: `${ACCOUNTS}
      transfers | id  | debit | credit | amount | flags                  | status
                | end | bank  | alice  | 3      | pending closing_credit | created
                | t1  | alice | shop   | 0      |                        | debit_account_already_closed
                | t2  | bank  | shop   | 0      |                        | created
      commit
      balances | account | debits_pending | credits_pending | state
               | alice   | 5              | 8               | closed
               | bank    | 3              | 0               | open
      transfers | id  | debit | credit | amount | flags                                | status
                | all | bank  | shop   | 0      | pending closing_debit closing_credit | created
                | t3  | bank  | alice  | 0      |                                      | debit_account_already_closed
      commit
      balances | account | debits_pending | credits_pending | state
               | alice   | 5              | 8               | closed
               | bank    | 3              | 0               | closed
               | shop    | 5              | 5               | closed
    `,
  },
  {
    title: 'the void of the transfer that closed an account opens it again',
    text: `${ACCOUNTS}
      transfers | id  | debit | credit | amount | flags                                | pending_id | status
                | end | alice | shop   | 2      | pending closing_debit closing_credit |            | created
                | p1  | alice | shop   | max    | post                                 | end        | debit_account_already_closed
                | v0  | alice | shop   | 0      | void                                 | h0         | created
      commit
      balances | account | debits_pending | credits_pending | state
               | alice   | 2              | 5               | closed
               | shop    | 5              | 2               | closed
      transfers | id | debit | credit | amount | flags | pending_id | status
                | v1 |       |        | 0      | void  | end        | created
                | t1 | alice | shop   | 7      |       |            | created
                | p1 | alice | shop   | max    | post  | end        | id_already_failed
                | p2 | shop  | alice  | max    | post  | h9         | created
      commit
      balances | account | debits | credits | debits_pending | credits_pending | state
               | alice   | 7      | 5       | 0              | 0               | open
               | shop    | 5      | 7       | 0              | 0               | open
      lookups | transfer | pending_status | lookup
              | end      | voided         | found
      transfers | id  | debit | credit | amount | flags                                | pending_id | status
                | end | alice | shop   | 2      | pending closing_debit closing_credit |            | exists
                | fin | alice | shop   | 2      | pending closing_debit closing_credit |            | created
      commit
      balances | account | debits | credits | debits_pending | credits_pending | state
               | alice   | 7      | 5       | 2              | 0               | closed
    `,
  },
  {
    title: 'an account that was closed for a time opens again when that is over',
    text: `${ACCOUNTS}
      transfers | id  | debit | credit | amount | flags                  | timeout | status
                | end | alice | shop   | 2      | pending closing_debit  | 60      | created
                | all | bank  | shop   | 3      | pending closing_credit | 90      | created
      commit
      wait | seconds
           | 59
      transfers | id | debit | credit | amount | status
                | t1 | alice | bank   | 1      | debit_account_already_closed
                | t2 | bank  | shop   | 1      | credit_account_already_closed
      commit
      wait | seconds
           | 1
      balances | account | debits_pending | credits_pending | state
               | alice   | 5              | 5               | open
               | shop    | 5              | 8               | closed
      transfers | id | debit | credit | amount | status
                | t3 | alice | bank   | 1      | created
                | t4 | bank  | shop   | 1      | credit_account_already_closed
      commit
      wait | seconds
           | 30
      balances | account | debits | debits_pending | credits_pending | state
               | alice   | 1      | 5              | 5               | open
               | shop    | 0      | 5              | 5               | open
      lookups | transfer | pending_status | lookup
              | end      | expired        | found
              | all      | expired        | found
    `,
  },
  {
    title: 'a void of something else opens nothing',
    text: `${ACCOUNTS}
      transfers | id  | debit | credit | amount | flags                 | pending_id | status
                | h1  | alice | bank   | 1      | pending               |            | created
                | end | alice | bank   | 0      | pending closing_debit |            | created
                | v1  | alice | bank   | 0      | void                  | h1         | created
      commit
      balances | account | debits_pending | credits_pending | state
               | alice   | 5              | 5               | closed
    `,
  },
  {
    title: 'an id that failed on a closed account stays burnt when that is open',
    text: `${ACCOUNTS}
      transfers | id  | debit | credit | amount | flags                 | pending_id | status
                | end | alice | bank   | 0      | pending closing_debit |            | created
                | t1  | alice | shop   | 1      |                       |            | debit_account_already_closed
                | t2  | shop  | alice  | 1      |                       |            | credit_account_already_closed
                | v1  | alice | bank   | 0      | void                  | end        | created
                | t1  | alice | shop   | 1      |                       |            | id_already_failed
                | t2  | shop  | alice  | 1      |                       |            | id_already_failed
      commit
      balances | account | debits_pending | credits_pending | state
               | alice   | 5              | 5               | open
    `,
  },
  {
    title: 'an account can be created closed, and stays so',
    text: `
      accounts | id    | flags  | status
               | alice | closed | created
               | bank  |        | created
      commit
      transfers | id | debit | credit | amount | flags                  | status
                | t1 | alice | bank   | 0      |                        | debit_account_already_closed
                | t2 | bank  | alice  | 0      | pending closing_credit | credit_account_already_closed
      commit
      balances | account | state
               | alice   | closed
               | bank    | open
    `,
  },
  {
    title: 'an account that was closed since is another one than the one that was created',
    text: `${ACCOUNTS}
      accounts | id    | status
               | alice | exists
      commit
      transfers | id  | debit | credit | amount | flags                 | pending_id | status
                | end | alice | bank   | 0      | pending closing_debit |            | created
      commit
      accounts | id    | flags  | status
               | alice |        | exists_with_different_flags
               | alice | closed | exists
      commit
      transfers | id | debit | credit | amount | flags | pending_id | status
                | v1 | alice | bank   | 0      | void  | end        | created
      commit
      accounts | id    | status
               | alice | exists
      commit
    `,
  },
  {
    title: 'only a pending transfer closes, and what else it breaks is told in order',
    text: `${ACCOUNTS}
      accounts | id    | ledger | flags                          | status
               | done  | 1      | closed                         | created
               | gone  | 1      | closed                         | created
               | poor  | 1      | debits_must_not_exceed_credits | created
               | euro  | 2      | closed                         | created
               | vault | 1      |                                | created
      commit
      transfers | id | debit | credit | amount | flags          | timeout | ledger | beats                            | status
                | t1 | alice | bank   | 0      | closing_debit  |         |        |                                  | closing_transfer_must_be_pending
                | t1 | alice | bank   | 0      | closing_credit |         |        |                                  | closing_transfer_must_be_pending
                | t1 | alice | bank   | 0      | closing_debit  | 1       |        | closing_transfer_must_be_pending | timeout_reserved_for_pending_transfer
                | t1 | alice | bank   | 0      | closing_debit  |         | 0      | ledger_must_not_be_zero          | closing_transfer_must_be_pending
                | t1 | done  | bank   | 0      |                |         | 2      | debit_account_already_closed     | transfer_must_have_the_same_ledger_as_accounts
                | t1 | done  | euro   | 0      |                |         |        | debit_account_already_closed     | accounts_must_have_the_same_ledger
                | t1 | done  | gone   | 0      |                |         |        | credit_account_already_closed    | debit_account_already_closed
                | t2 | poor  | gone   | 1      |                |         |        | exceeds_credits                  | credit_account_already_closed
      commit
                | t3 | bank  | vault  | max    |                |         |        |                                  | created
      commit
                | t4 | bank  | gone   | 1      |                |         |        | overflows_debits_posted          | credit_account_already_closed
      commit
    `,
  },
  {
    title: 'an overflow of what is pending is told after a closed account, and nothing of it stays',
    text: `
      accounts | id    | status
               | mint  | created
               | vault | created
               | done  | created
      commit
      transfers | id | debit | credit | amount | flags                  | beats                    | status
                | t1 | mint  | vault  | max    | pending                |                          | created
      commit
                | t2 | vault | done   | 0      | pending closing_credit |                          | created
      commit
                | t3 | mint  | done   | 1      | pending                | overflows_debits_pending | credit_account_already_closed
      commit
      balances | account | debits_pending | credits_pending | state
               | mint    | max            | 0               | open
               | vault   | 0              | max             | open
               | done    | 0              | 0               | closed
    `,
  },
  {
    title: 'what a post breaks is told before that its account is closed',
    text: `${ACCOUNTS}
      transfers | id  | debit | credit | amount | flags                                | timeout | pending_id | beats                         | status
                | h1  | alice | shop   | 5      | pending                              | 1       |            |                               | created
                | h2  | alice | shop   | 5      | pending                              | 1       |            |                               | created
                | p2  | alice | shop   | 5      | post                                 |         | h2         |                               | created
                | end | alice | shop   | 0      | pending closing_debit closing_credit |         |            |                               | created
                | p1  | alice | shop   | 6      | post                                 |         | h1         | debit_account_already_closed  | exceeds_pending_transfer_amount
                | p1  | alice | shop   | 5      | post                                 |         | h2         | debit_account_already_closed  | pending_transfer_already_posted
                | p3  | alice | shop   | 5      | post                                 |         | h1         | credit_account_already_closed | debit_account_already_closed
      commit
      wait | seconds
           | 1
      transfers | id | debit | credit | amount | flags | timeout | pending_id | beats                        | status
                | p1 | alice | shop   | 5      | post  |         | h1         | debit_account_already_closed | pending_transfer_expired
      commit
    `,
  },
];
