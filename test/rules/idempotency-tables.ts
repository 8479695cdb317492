/** What an id is worth: `exists`, its differences, and burnt ids, within a batch and from one to the next, on one and on several shards. */
import type { RuleTable } from './rule-table.ts';

const ACCOUNTS = `
      accounts  | id         | flags                          | status
                | alice.cash | debits_must_not_exceed_credits | created
                | bank       |                                | created
                | alice.card |                                | created
                | shop       | credits_must_not_exceed_debits | created
                | bank.fees  |                                | created
      commit
`;

export const IDEMPOTENCY_TABLES: readonly RuleTable[] = [
  {
    title: 'the same transfer again exists and moves nothing, in its batch and later',
    text: `${ACCOUNTS}
      transfers | id | debit      | credit     | amount | user_data_128 | user_data_64 | user_data_32 | code | status
                | t1 | bank       | alice.cash | 10     | 1             | 2            | 3            | 4    | created
                | t1 | bank       | alice.cash | 10     | 1             | 2            | 3            | 4    | exists
                | t2 | bank       | bank.fees  | 7      |               |              |              |      | created
                | t1 | bank       | alice.cash | 10     | 1             | 2            | 3            | 4    | exists
                | t2 | bank       | bank.fees  | 7      |               |              |              |      | exists
      commit
                | t1 | bank       | alice.cash | 10     | 1             | 2            | 3            | 4    | exists
      commit
                | t2 | bank       | bank.fees  | 7      |               |              |              |      | exists
                | t3 | alice.cash | bank       | 10     |               |              |              |      | created
                | t3 | alice.cash | bank       | 10     |               |              |              |      | exists
      commit
                | t3 | alice.cash | bank       | 10     |               |              |              |      | exists # though alice has nothing left
                | t4 | alice.cash | bank       | 10     |               |              |              |      | exceeds_credits
      commit
      balances  | account    | debits | credits
                | alice.cash | 10     | 10
                | bank       | 17     | 10
                | bank.fees  | 0      | 7
    `,
  },
  {
    title: 'another transfer under the same id is told which field differs',
    text: `${ACCOUNTS}
      transfers | id | debit     | credit     | amount | user_data_128 | user_data_64 | user_data_32 | code | ledger | pending_id | timeout | status
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 4    | 1      |            |         | created
                | t1 | bank      | alice.card | 11     | 1             | 2            | 3            | 4    | 1      |            |         | exists_with_different_amount
      commit
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 4    | 1      | 1          |         | exists_with_different_pending_id
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 4    | 1      |            | 1       | exists_with_different_timeout
                | t1 | bank.fees | alice.card | 10     | 1             | 2            | 3            | 4    | 1      |            |         | exists_with_different_debit_account_id
                | t1 | bank      | alice.cash | 10     | 1             | 2            | 3            | 4    | 1      |            |         | exists_with_different_credit_account_id
                | t1 | bank      | shop       | 10     | 1             | 2            | 3            | 4    | 1      |            |         | exists_with_different_credit_account_id
                | t1 | bank      | nobody     | 10     | 1             | 2            | 3            | 4    | 1      |            |         | exists_with_different_credit_account_id
                | t1 | bank      | 0          | 10     | 1             | 2            | 3            | 4    | 1      |            |         | exists_with_different_credit_account_id
                | t1 | bank      | bank       | 10     | 1             | 2            | 3            | 4    | 1      |            |         | exists_with_different_credit_account_id
                | t1 | bank      | alice.card | 9      | 1             | 2            | 3            | 4    | 1      |            |         | exists_with_different_amount
                | t1 | bank      | alice.card | 2^64+10 | 1            | 2            | 3            | 4    | 1      |            |         | exists_with_different_amount
                | t1 | bank      | alice.card | 10     | 0             | 2            | 3            | 4    | 1      |            |         | exists_with_different_user_data_128
                | t1 | bank      | alice.card | 10     | 1             | 0            | 3            | 4    | 1      |            |         | exists_with_different_user_data_64
                | t1 | bank      | alice.card | 10     | 1             | 2            | 0            | 4    | 1      |            |         | exists_with_different_user_data_32
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 4    | 2      |            |         | exists_with_different_ledger
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 5    | 1      |            |         | exists_with_different_code
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 4    | 1      |            |         | exists
      commit
      balances  | account    | debits | credits
                | bank       | 10     | 0
                | bank.fees  | 0      | 0
                | alice.card | 0      | 10
    `,
  },
  {
    title: 'of two rules that a known transfer breaks, the earlier one is told',
    text: `${ACCOUNTS}
      transfers | id | debit     | credit     | amount | user_data_128 | user_data_64 | user_data_32 | code | ledger | pending_id | timeout | flags | timestamp | beats                                   | status
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 4    | 1      |            |         |       |           |                                         | created
      commit
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 4    | 1      |            |         |       | 1         | exists                                  | timestamp_must_be_zero
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 4    | 1      |            |         | 512   |           | exists                                  | reserved_flag
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 4    | 1      | 1          | 1       |       |           | exists_with_different_timeout           | exists_with_different_pending_id
                | t1 | bank.fees | alice.card | 10     | 1             | 2            | 3            | 4    | 1      |            | 1       |       |           | exists_with_different_debit_account_id  | exists_with_different_timeout
                | t1 | bank.fees | alice.cash | 10     | 1             | 2            | 3            | 4    | 1      |            |         |       |           | exists_with_different_credit_account_id | exists_with_different_debit_account_id
                | t1 | bank      | alice.cash | 11     | 1             | 2            | 3            | 4    | 1      |            |         |       |           | exists_with_different_amount            | exists_with_different_credit_account_id
                | t1 | bank      | alice.card | 11     | 0             | 2            | 3            | 4    | 1      |            |         |       |           | exists_with_different_user_data_128     | exists_with_different_amount
                | t1 | bank      | alice.card | 10     | 0             | 0            | 3            | 4    | 1      |            |         |       |           | exists_with_different_user_data_64      | exists_with_different_user_data_128
                | t1 | bank      | alice.card | 10     | 1             | 0            | 0            | 4    | 1      |            |         |       |           | exists_with_different_user_data_32      | exists_with_different_user_data_64
                | t1 | bank      | alice.card | 10     | 1             | 2            | 0            | 4    | 2      |            |         |       |           | exists_with_different_ledger            | exists_with_different_user_data_32
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 5    | 2      |            |         |       |           | exists_with_different_code              | exists_with_different_ledger
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 5    | 1      |            |         |       |           | exists                                  | exists_with_different_code
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 4    | 0      |            |         |       |           | ledger_must_not_be_zero                 | exists_with_different_ledger
                | t1 | bank      | alice.card | 10     | 1             | 2            | 3            | 0    | 1      |            |         |       |           | code_must_not_be_zero                   | exists_with_different_code
                | t1 | bank      | nobody     | 10     | 1             | 2            | 3            | 4    | 1      |            |         |       |           | credit_account_not_found                | exists_with_different_credit_account_id
      commit
    `,
  },
  {
    title: 'a burnt id is told before what else the transfer breaks',
    text: `${ACCOUNTS}
      transfers | id | debit      | credit     | amount | pending_id | timeout | ledger | code | timestamp | beats                                          | status
                | t1 | alice.cash | bank       | 1      |            |         |        |      |           |                                                | exceeds_credits
      commit
                | t1 | alice.cash | bank       | 1      |            |         |        |      | 1         | id_already_failed                              | timestamp_must_be_zero
                | t1 | alice.cash | 0          | 1      |            |         |        |      |           | credit_account_id_must_not_be_zero             | id_already_failed
                | t1 | alice.cash | max        | 1      |            |         |        |      |           | credit_account_id_must_not_be_int_max          | id_already_failed
                | t1 | alice.cash | alice.cash | 1      |            |         |        |      |           | accounts_must_be_different                     | id_already_failed
                | t1 | alice.cash | bank       | 1      | 1          |         |        |      |           | pending_id_must_be_zero                        | id_already_failed
                | t1 | alice.cash | bank       | 1      |            | 1       |        |      |           | timeout_reserved_for_pending_transfer          | id_already_failed
                | t1 | alice.cash | bank       | 1      |            |         | 0      |      |           | ledger_must_not_be_zero                        | id_already_failed
                | t1 | alice.cash | bank       | 1      |            |         |        | 0    |           | code_must_not_be_zero                          | id_already_failed
                | t1 | alice.cash | nobody     | 1      |            |         |        |      |           | credit_account_not_found                       | id_already_failed
                | t1 | alice.cash | bank       | 1      |            |         | 2      |      |           | transfer_must_have_the_same_ledger_as_accounts | id_already_failed
                | t1 | alice.cash | bank       | 1      |            |         |        |      |           | exceeds_credits                                | id_already_failed
                | t1 | alice.card | bank       | 1      |            |         |        |      |           |                                                | id_already_failed
      commit
      lookups   | transfer | lookup
                | t1       | missing
    `,
  },
  {
    title: 'on one shard a burnt id is burnt for every debit account',
    only: 'one shard',
    text: `${ACCOUNTS}
      transfers | id | debit      | credit | beats                                | amount | status
                | t1 | alice.cash | bank   |                                      | 1      | exceeds_credits
                | t1 | bank       | shop   |                                      | 0      | id_already_failed
                | t1 | 0          | bank   | debit_account_id_must_not_be_zero    | 1      | id_already_failed
                | t1 | max        | bank   | debit_account_id_must_not_be_int_max | 1      | id_already_failed
                | t1 | nobody     | bank   | debit_account_not_found              | 1      | id_already_failed
                | t2 | bank       | shop   |                                      | 0      | created
                | t2 | alice.card | shop   |                                      | 0      | exists_with_different_debit_account_id
                | t2 | 0          | shop   | debit_account_id_must_not_be_zero    | 0      | exists_with_different_debit_account_id
                | t2 | nobody     | shop   | debit_account_not_found              | 0      | exists_with_different_debit_account_id
      commit
    `,
  },
  {
    title: 'on several shards an id is unique per shard of the debit account',
    only: 'several shards',
    text: `${ACCOUNTS}
      transfers | id | debit      | credit     | amount | status
                | t1 | alice.cash | bank       | 1      | exceeds_credits
                | t1 | bank       | alice.cash | 1      | created
                | t1 | bank       | alice.cash | 1      | exists
                | t1 | alice.cash | bank       | 1      | id_already_failed
                | t2 | alice.card | bank       | 2      | created
                | t2 | bank.fees  | alice.card | 3      | created
                | t2 | alice.card | bank       | 2      | exists
                | t2 | bank       | alice.card | 3      | exists_with_different_debit_account_id
      commit
      balances  | account    | debits | credits
                | alice.cash | 0      | 1
                | alice.card | 2      | 3
                | bank       | 1      | 2
                | bank.fees  | 3      | 0
    `,
  },
  {
    title: 'a later event of a batch sees what the earlier ones did',
    text: `${ACCOUNTS}
      transfers | id | debit      | credit     | amount | status
                | t1 | alice.cash | bank       | 5      | exceeds_credits
                | t2 | bank       | alice.cash | 5      | created
                | t3 | alice.cash | bank       | 5      | created
                | t4 | alice.cash | bank       | 1      | exceeds_credits
                | t1 | alice.cash | bank       | 5      | id_already_failed
                | t5 | bank       | alice.cash | 1      | created
                | t4 | alice.cash | bank       | 1      | id_already_failed
                | t6 | alice.cash | shop       | 1      | exceeds_debits
                | t7 | shop       | bank       | 1      | created
                | t8 | alice.cash | shop       | 1      | created
                | t9 | alice.cash | shop       | 1      | exceeds_credits
      commit
      balances  | account    | debits | credits
                | alice.cash | 6      | 6
                | bank       | 6      | 6
                | shop       | 1      | 1
    `,
  },
  {
    title: 'an id that was refused for a reason of its own can be used in the same batch',
    text: `${ACCOUNTS}
      transfers | id | debit      | credit     | amount | code | ledger | status
                | t1 | bank       | alice.card | 5      | 0    |        | code_must_not_be_zero
                | t1 | bank       | alice.card | 5      |      | 2      | transfer_must_have_the_same_ledger_as_accounts
                | t1 | bank       | bank       | 5      |      |        | accounts_must_be_different
                | t1 | bank       | alice.card | 5      |      |        | created
                | t1 | bank       | alice.card | 6      | 0    |        | exists_with_different_amount
      commit
      balances  | account    | debits | credits
                | alice.card | 0      | 5
    `,
  },
];
