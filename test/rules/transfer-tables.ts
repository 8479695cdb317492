/**
 * The rules of single-phase create_transfers for one event, as tables. `alice.cash` and `alice.card` lie on one shard, as a transfer id is
 * unique per debit shard only. Near 2^128 an event that another could change places with stands in a batch of its own.
 */
import type { RuleTable } from './rule-table.ts';

const ALICE_AND_BANK = `
      accounts  | id         | flags                          | status
                | alice.cash | debits_must_not_exceed_credits | created
                | bank       |                                | created
                | alice.card |                                | created
                | shop       | credits_must_not_exceed_debits | created
      commit
`;

export const TRANSFER_TABLES: readonly RuleTable[] = [
  {
    title: 'a transfer adds its amount to both accounts',
    text: `${ALICE_AND_BANK}
      transfers | id    | debit      | credit     | amount | code | user_data_128 | user_data_64 | user_data_32 | status
                | t1    | bank       | alice.cash | 100    | 10   | max           | 2^64-1       | 2^32-1       | created
                | t2    | alice.cash | alice.card | 30     | 20   |               |              |              | created
                | t3    | alice.card | bank       | 0      | 1    |               |              |              | created
                | max-1 | bank       | alice.card | 2^64   | 1    |               |              |              | created
      commit
      balances  | account    | debits    | credits
                | alice.cash | 30        | 100
                | alice.card | 0         | 2^64+30
                | bank       | 2^64+100  | 0
      lookups   | transfer | debit      | credit     | amount | lookup
                | t1       | bank       | alice.cash | 100    | found
                | t2       | alice.cash | alice.card | 30     | found
                | t3       | alice.card | bank       | 0      | found
                | max-1    | bank       | alice.card | 2^64   | found
                | t4       |            |            |        | missing
    `,
  },
  {
    title: 'amounts carry from one 64-bit lane into the other',
    text: `${ALICE_AND_BANK}
      transfers | id | debit | credit     | amount   | status
                | t1 | bank  | alice.cash | 2^64-1   | created
                | t2 | bank  | alice.cash | 1        | created
                | t3 | bank  | alice.cash | 2^127    | created
                | t4 | alice.cash | bank  | 2^127+1  | created
                | t5 | alice.cash | bank  | 2^64     | exceeds_credits
                | t6 | alice.cash | bank  | 2^64-1   | created
      commit
      balances  | account    | debits      | credits
                | alice.cash | 2^127+18446744073709551616 | 2^127+18446744073709551616
                | bank       | 2^127+18446744073709551616 | 2^127+18446744073709551616
    `,
  },
  {
    title: 'a transfer that can never be right is refused, and its id stays free',
    text: `${ALICE_AND_BANK}
      transfers | id  | debit      | credit     | pending_id | timeout | ledger | code | flags | timestamp | status
                | t1  | bank       | alice.card |            |         |        |      |       | 1         | timestamp_must_be_zero
                | t1  | bank       | alice.card |            |         |        |      | 512   |           | reserved_flag
                | t1  | bank       | alice.card |            |         |        |      | 32768 |           | reserved_flag
                | 0   | bank       | alice.card |            |         |        |      |       |           | id_must_not_be_zero
                | max | bank       | alice.card |            |         |        |      |       |           | id_must_not_be_int_max
                | t1  | 0          | alice.card |            |         |        |      |       |           | debit_account_id_must_not_be_zero
                | t1  | max        | alice.card |            |         |        |      |       |           | debit_account_id_must_not_be_int_max
                | t1  | bank       | 0          |            |         |        |      |       |           | credit_account_id_must_not_be_zero
                | t1  | bank       | max        |            |         |        |      |       |           | credit_account_id_must_not_be_int_max
                | t1  | bank       | bank       |            |         |        |      |       |           | accounts_must_be_different
                | t1  | bank       | alice.card | 1          |         |        |      |       |           | pending_id_must_be_zero
                | t1  | bank       | alice.card | max        |         |        |      |       |           | pending_id_must_be_zero
                | t1  | bank       | alice.card |            | 1       |        |      |       |           | timeout_reserved_for_pending_transfer
                | t1  | bank       | alice.card |            |         | 0      |      |       |           | ledger_must_not_be_zero
                | t1  | bank       | alice.card |            |         |        | 0    |       |           | code_must_not_be_zero
                | t1  | bank       | alice.card |            |         | 2      |      |       |           | transfer_must_have_the_same_ledger_as_accounts
                | t1  | bank       | alice.card |            |         |        |      |       |           | created
      commit
    `,
  },
  {
    title:
      'both accounts must be there, and the id of a transfer that named a missing one is burnt',
    text: `${ALICE_AND_BANK}
      transfers | id | debit  | credit | amount | status
                | t1 | nobody | bank   | 5      | debit_account_not_found
                | t2 | bank   | nobody | 5      | credit_account_not_found
                | t3 | nobody | nothing | 5     | debit_account_not_found
      commit
      accounts  | id      | status
                | nobody  | created
                | nothing | created
      commit
      transfers | id | debit  | credit  | amount | status
                | t1 | nobody | bank    | 5      | id_already_failed
                | t2 | bank   | nobody  | 5      | id_already_failed
                | t3 | nobody | nothing | 5      | id_already_failed
                | t4 | nobody | nothing | 5      | created
      commit
      balances  | account | debits | credits
                | nobody  | 5      | 0
                | nothing | 0      | 5
                | bank    | 0      | 0
      lookups   | transfer | lookup
                | t1       | missing
                | t4       | found
    `,
  },
  {
    title: 'a transfer stays within one ledger',
    text: `
      accounts  | id    | ledger | status
                | euro  | 1      | created
                | rupee | 2      | created
                | franc | 1      | created
      commit
      transfers | id | debit | credit | ledger | amount | status
                | t1 | euro  | rupee  | 1      | 5      | accounts_must_have_the_same_ledger
                | t1 | rupee | euro   | 1      | 5      | accounts_must_have_the_same_ledger
                | t1 | euro  | franc  | 2      | 5      | transfer_must_have_the_same_ledger_as_accounts
                | t1 | euro  | franc  | 2^32-1 | 5      | transfer_must_have_the_same_ledger_as_accounts
                | t1 | euro  | franc  | 1      | 5      | created
      commit
      balances  | account | debits | credits
                | euro    | 5      | 0
                | rupee   | 0      | 0
                | franc   | 0      | 5
    `,
  },
  {
    title: 'debits never exceed credits where the account says so',
    text: `${ALICE_AND_BANK}
      transfers | id | debit      | credit     | amount | status
                | t1 | alice.cash | bank       | 1      | exceeds_credits
                | t2 | alice.cash | bank       | 0      | created
                | t3 | bank       | alice.cash | 10     | created
                | t4 | alice.cash | bank       | 11     | exceeds_credits
                | t5 | alice.cash | bank       | 4      | created
                | t6 | alice.cash | alice.card | 7      | exceeds_credits
                | t7 | alice.cash | alice.card | 6      | created
                | t8 | alice.cash | alice.card | 1      | exceeds_credits
                | t9 | alice.cash | alice.card | 0      | created
      commit
      balances  | account    | debits | credits
                | alice.cash | 10     | 10
                | alice.card | 0      | 6
                | bank       | 10     | 4
    `,
  },
  {
    title: 'credits never exceed debits where the account says so',
    text: `${ALICE_AND_BANK}
      transfers | id | debit      | credit     | amount | status
                | t1 | bank       | shop       | 1      | exceeds_debits
                | t2 | bank       | shop       | 0      | created
                | t3 | shop       | bank       | 10     | created
                | t4 | bank       | shop       | 11     | exceeds_debits
                | t5 | alice.card | shop       | 10     | created
                | t6 | alice.card | shop       | 1      | exceeds_debits
      commit
      balances  | account    | debits | credits
                | shop       | 10     | 10
                | alice.card | 10     | 0
                | bank       | 0      | 10
    `,
  },
  {
    title: 'an id that failed for a limit stays burnt when the money is there',
    text: `${ALICE_AND_BANK}
      transfers | id | debit      | credit     | amount | status
                | t1 | alice.cash | bank       | 1      | exceeds_credits
                | t2 | bank       | shop       | 1      | exceeds_debits
                | t1 | alice.cash | bank       | 1      | id_already_failed
                | t2 | bank       | shop       | 1      | id_already_failed
      commit
                | t3 | bank       | alice.cash | 100    | created
                | t4 | shop       | bank       | 100    | created
      commit
                | t1 | alice.cash | bank       | 1      | id_already_failed
                | t2 | bank       | shop       | 1      | id_already_failed
                | t1 | alice.cash | alice.card | 2      | id_already_failed
                | t5 | alice.cash | bank       | 1      | created
                | t6 | bank       | shop       | 1      | created
      commit
                | t1 | alice.cash | bank       | 1      | id_already_failed
                | t2 | bank       | shop       | 1      | id_already_failed
      commit
      balances  | account    | debits | credits
                | alice.cash | 1      | 100
                | shop       | 100    | 1
                | bank       | 101    | 101
    `,
  },
  {
    title: 'a balance never passes 2^128-1, and the id stays free',
    text: `
      accounts  | id    | status
                | mint  | created
                | vault | created
                | purse | created
      commit
      transfers | id | debit | credit | amount | beats                    | status
                | t1 | mint  | vault  | max-1  |                          | created
      commit
                | t2 | mint  | purse  | 2      |                          | overflows_debits_posted
      commit
                | t2 | mint  | purse  | 2      |                          | overflows_debits_posted
      commit
                | t3 | purse | vault  | 2      |                          | overflows_credits_posted
      commit
                | t3 | purse | vault  | max    |                          | overflows_credits_posted
      commit
                | t4 | mint  | vault  | 2      | overflows_credits_posted | overflows_debits_posted
      commit
                | t2 | mint  | purse  | 1      |                          | created
      commit
                | t3 | purse | vault  | 1      |                          | created
      commit
                | t5 | mint  | vault  | 1      | overflows_credits_posted | overflows_debits_posted
      commit
                | t5 | mint  | vault  | 0      |                          | created
      commit
      balances  | account | debits | credits
                | mint    | max    | 0
                | vault   | 0      | max
                | purse   | 1      | 1
    `,
  },
  {
    title: 'an overflow is told before a limit',
    text: `
      accounts  | id    | flags                          | status
                | mint  |                                | created
                | vault |                                | created
                | alice | debits_must_not_exceed_credits | created
                | shop  | credits_must_not_exceed_debits | created
      commit
      transfers | id | debit | credit | amount | beats           | status
                | t1 | mint  | alice  | max    |                 | created
      commit
                | t2 | alice | vault  | max    |                 | created
      commit
                | t3 | alice | mint   | 1      | exceeds_credits | overflows_debits_posted
      commit
                | t4 | mint  | shop   | 1      | exceeds_debits  | overflows_debits_posted
      commit
                | t5 | alice | shop   | 0      |                 | created
      commit
      balances  | account | debits | credits
                | alice   | max    | max
                | shop    | 0      | 0
    `,
  },
  {
    title: 'of two rules that a new transfer breaks, the earlier one is told',
    text: `
      accounts  | id    | ledger | flags                          | status
                | mint  | 1      |                                | created
                | vault | 1      |                                | created
                | rupee | 2      |                                | created
                | alice | 1      | debits_must_not_exceed_credits | created
                | shop  | 1      | credits_must_not_exceed_debits | created
      commit
      transfers | id | debit | credit | amount | status
                | t1 | mint  | vault  | max    | created
      commit
      transfers | id  | debit  | credit  | amount | pending_id | timeout | ledger | code | flags | timestamp | beats                                          | status
                | t2  | mint   | vault   |        |            |         |        |      | 512   | 1         | reserved_flag                                  | timestamp_must_be_zero
                | 0   | mint   | vault   |        |            |         |        |      | 512   |           | id_must_not_be_zero                            | reserved_flag
                | max | mint   | vault   |        |            |         |        |      | 512   |           | id_must_not_be_int_max                         | reserved_flag
                | 0   | 0      | vault   |        |            |         |        |      |       |           | debit_account_id_must_not_be_zero              | id_must_not_be_zero
                | max | 0      | vault   |        |            |         |        |      |       |           | debit_account_id_must_not_be_zero              | id_must_not_be_int_max
                | t2  | 0      | 0       |        |            |         |        |      |       |           | credit_account_id_must_not_be_zero             | debit_account_id_must_not_be_zero
                | t2  | 0      | 0       |        |            |         |        |      |       |           | accounts_must_be_different                     | debit_account_id_must_not_be_zero
                | t2  | max    | 0       |        |            |         |        |      |       |           | credit_account_id_must_not_be_zero             | debit_account_id_must_not_be_int_max
                | t2  | max    | max     |        |            |         |        |      |       |           | accounts_must_be_different                     | debit_account_id_must_not_be_int_max
                | t2  | mint   | max     |        | 1          |         |        |      |       |           | pending_id_must_be_zero                        | credit_account_id_must_not_be_int_max
                | t2  | mint   | mint    |        | 1          |         |        |      |       |           | pending_id_must_be_zero                        | accounts_must_be_different
                | t2  | mint   | vault   |        | 1          | 1       |        |      |       |           | timeout_reserved_for_pending_transfer          | pending_id_must_be_zero
                | t2  | mint   | vault   |        |            | 1       | 0      |      |       |           | ledger_must_not_be_zero                        | timeout_reserved_for_pending_transfer
                | t2  | mint   | vault   |        |            |         | 0      | 0    |       |           | code_must_not_be_zero                          | ledger_must_not_be_zero
                | t2  | nobody | vault   |        |            |         |        | 0    |       |           | debit_account_not_found                        | code_must_not_be_zero
                | t2  | mint   | nobody  |        |            |         |        | 0    |       |           | credit_account_not_found                       | code_must_not_be_zero
      commit
                | t3  | nobody | nothing |        |            |         |        |      |       |           | credit_account_not_found                       | debit_account_not_found
      commit
                | t4  | mint   | nothing |        |            |         | 2      |      |       |           | transfer_must_have_the_same_ledger_as_accounts | credit_account_not_found
      commit
                | t5  | alice  | nobody  | 1      |            |         |        |      |       |           | exceeds_credits                                | credit_account_not_found
      commit
                | t6  | nobody | vault   | 1      |            |         | 2      |      |       |           | overflows_credits_posted                       | debit_account_not_found
      commit
                | t7  | mint   | rupee   |        |            |         | 3      |      |       |           | transfer_must_have_the_same_ledger_as_accounts | accounts_must_have_the_same_ledger
      commit
                | t7  | rupee  | vault   | 1      |            |         | 2      |      |       |           | overflows_credits_posted                       | accounts_must_have_the_same_ledger
      commit
                | t7  | mint   | alice   | 1      |            |         | 2      |      |       |           | overflows_debits_posted                        | transfer_must_have_the_same_ledger_as_accounts
      commit
                | t7  | alice  | mint    | 1      |            |         | 2      |      |       |           | exceeds_credits                                | transfer_must_have_the_same_ledger_as_accounts
      commit
                | t7  | mint   | vault   | 1      |            |         |        |      |       |           | overflows_credits_posted                       | overflows_debits_posted
      commit
                | t7  | alice  | vault   | 1      |            |         |        |      |       |           | exceeds_credits                                | overflows_credits_posted
      commit
                | t8  | alice  | shop    | 1      |            |         |        |      |       |           | exceeds_debits                                 | exceeds_credits
      commit
      balances  | account | debits | credits
                | mint    | max    | 0
                | vault   | 0      | max
                | alice   | 0      | 0
                | shop    | 0      | 0
    `,
  },
];
