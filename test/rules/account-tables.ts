/** The rules of create_accounts, as tables. One system runs them all, so what a table writes as a number (`max-1`) is its alone. */
import type { RuleTable } from './rule-table.ts';

export const ACCOUNT_TABLES: readonly RuleTable[] = [
  {
    title: 'accounts are created with their fields, and balances of 0',
    text: `
      accounts | id    | ledger | code    | flags                          | user_data_128 | user_data_64 | user_data_32 | status
               | bank  | 1      | 1       |                                |               |              |              | created
               | alice | 1      | 10      | debits_must_not_exceed_credits | max           | 2^64-1       | 2^32-1       | created
               | bob   | 2^32-1 | 2^16-1  | credits_must_not_exceed_debits | 1             | 2            | 3            | created
               | max-1 | 1      | 1       |                                |               |              |              | created
      commit
      balances | account | debits | credits
               | bank    | 0      | 0
               | alice   | 0      | 0
               | bob     | 0      | 0
               | max-1   | 0      | 0
    `,
  },
  {
    title: 'an account that breaks a rule is refused, and its id stays free',
    text: `
      accounts | id    | timestamp | reserved | flags                                                         | debits_pending | debits_posted | credits_pending | credits_posted | ledger | code | status
               | alice | 1         |          |                                                               |                |               |                 |                |        |      | timestamp_must_be_zero
               | alice | 2^64-1    |          |                                                               |                |               |                 |                |        |      | timestamp_must_be_zero
               | alice |           | 1        |                                                               |                |               |                 |                |        |      | reserved_field
               | alice |           |          | 64                                                            |                |               |                 |                |        |      | reserved_flag
               | alice |           |          | 32768                                                         |                |               |                 |                |        |      | reserved_flag
               | 0     |           |          |                                                               |                |               |                 |                |        |      | id_must_not_be_zero
               | max   |           |          |                                                               |                |               |                 |                |        |      | id_must_not_be_int_max
               | alice |           |          | debits_must_not_exceed_credits credits_must_not_exceed_debits |                |               |                 |                |        |      | flags_are_mutually_exclusive
               | alice |           |          |                                                               | 1              |               |                 |                |        |      | debits_pending_must_be_zero
               | alice |           |          |                                                               |                | 1             |                 |                |        |      | debits_posted_must_be_zero
               | alice |           |          |                                                               |                | max           |                 |                |        |      | debits_posted_must_be_zero
               | alice |           |          |                                                               |                |               | 1               |                |        |      | credits_pending_must_be_zero
               | alice |           |          |                                                               |                |               |                 | 2^64           |        |      | credits_posted_must_be_zero
               | alice |           |          |                                                               |                |               |                 |                | 0      |      | ledger_must_not_be_zero
               | alice |           |          |                                                               |                |               |                 |                |        | 0    | code_must_not_be_zero
               | alice |           |          |                                                               |                |               |                 |                |        |      | created
      commit
    `,
  },
  {
    title: 'the same account again exists, with the timestamp of the original',
    text: `
      accounts | id    | flags                          | user_data_128 | user_data_64 | user_data_32 | ledger | code | status
               | alice | debits_must_not_exceed_credits | 7             | 8            | 9            | 2      | 3    | created
               | alice | debits_must_not_exceed_credits | 7             | 8            | 9            | 2      | 3    | exists
               | bob   |                                |               |              |              |        |      | created
      commit
               | alice | debits_must_not_exceed_credits | 7             | 8            | 9            | 2      | 3    | exists
               | bob   |                                |               |              |              |        |      | exists
               | bob   |                                |               |              |              |        |      | exists
      commit
    `,
  },
  {
    title: 'another account under the same id is told which field differs',
    text: `
      accounts | id    | flags                          | user_data_128 | user_data_64 | user_data_32 | ledger | code | status
               | alice | debits_must_not_exceed_credits | 7             | 8            | 9            | 2      | 3    | created
               | alice | credits_must_not_exceed_debits | 7             | 8            | 9            | 2      | 3    | exists_with_different_flags
      commit
               | alice |                                | 7             | 8            | 9            | 2      | 3    | exists_with_different_flags
               | alice | debits_must_not_exceed_credits | 2^64+7        | 8            | 9            | 2      | 3    | exists_with_different_user_data_128
               | alice | debits_must_not_exceed_credits | 7             | 2^32+8       | 9            | 2      | 3    | exists_with_different_user_data_64
               | alice | debits_must_not_exceed_credits | 7             | 8            | 10           | 2      | 3    | exists_with_different_user_data_32
               | alice | debits_must_not_exceed_credits | 7             | 8            | 9            | 1      | 3    | exists_with_different_ledger
               | alice | debits_must_not_exceed_credits | 7             | 8            | 9            | 2      | 4    | exists_with_different_code
               | alice | debits_must_not_exceed_credits | 7             | 8            | 9            | 2      | 3    | exists
      commit
    `,
  },
  {
    title: 'an account exists whatever has been booked on it since',
    text: `
      accounts  | id    | flags                          | status
                | bank  |                                | created
                | alice | debits_must_not_exceed_credits | created
      commit
      transfers | id | debit | credit | amount | status
                | t1 | bank  | alice  | 50     | created
      commit
      accounts  | id    | flags                          | credits_posted | beats                       | status
                | alice | debits_must_not_exceed_credits |                |                             | exists
                | alice | debits_must_not_exceed_credits | 50             | credits_posted_must_be_zero | exists
      commit
      balances  | account | debits | credits
                | alice   | 0      | 50
    `,
  },
  {
    title: 'of two rules that a new account breaks, the earlier one is told',
    text: `
      accounts | id    | timestamp | reserved | flags | debits_pending | debits_posted | credits_pending | credits_posted | ledger | code | beats                        | status
               | alice | 1         | 1        |       |                |               |                 |                |        |      | reserved_field               | timestamp_must_be_zero
               | alice |           | 1        | 64    |                |               |                 |                |        |      | reserved_flag                | reserved_field
               | 0     |           |          | 64    |                |               |                 |                |        |      | id_must_not_be_zero          | reserved_flag
               | max   |           |          | 64    |                |               |                 |                |        |      | id_must_not_be_int_max       | reserved_flag
               | 0     |           |          | 6     |                |               |                 |                |        |      | flags_are_mutually_exclusive | id_must_not_be_zero
               | max   |           |          |       |                |               |                 |                | 0      |      | ledger_must_not_be_zero      | id_must_not_be_int_max
               | alice |           |          | 6     | 1              |               |                 |                |        |      | debits_pending_must_be_zero  | flags_are_mutually_exclusive
               | alice |           |          |       | 1              | 1             |                 |                |        |      | debits_posted_must_be_zero   | debits_pending_must_be_zero
               | alice |           |          |       |                | 1             | 1               |                |        |      | credits_pending_must_be_zero | debits_posted_must_be_zero
               | alice |           |          |       |                |               | 1               | 1              |        |      | credits_posted_must_be_zero  | credits_pending_must_be_zero
               | alice |           |          |       |                |               |                 | 1              | 0      |      | ledger_must_not_be_zero      | credits_posted_must_be_zero
               | alice |           |          |       |                |               |                 |                | 0      | 0    | code_must_not_be_zero        | ledger_must_not_be_zero
      commit
    `,
  },
  {
    title: 'of two rules that a known account breaks, the earlier one is told',
    text: `
      accounts | id    | timestamp | reserved | flags | user_data_128 | user_data_64 | user_data_32 | ledger | code | debits_pending | beats                               | status
               | alice |           |          | 2     | 7             | 8            | 9            | 2      | 3    |                |                                     | created
      commit
               | alice | 1         |          | 2     | 7             | 8            | 9            | 2      | 3    |                | exists                              | timestamp_must_be_zero
               | alice |           | 1        | 2     | 7             | 8            | 9            | 2      | 3    |                | exists                              | reserved_field
               | alice |           |          | 66    | 7             | 8            | 9            | 2      | 3    |                | exists_with_different_flags         | reserved_flag
               | alice |           |          |       | 1             | 8            | 9            | 2      | 3    |                | exists_with_different_user_data_128 | exists_with_different_flags
               | alice |           |          | 6     | 7             | 8            | 9            | 2      | 3    |                | flags_are_mutually_exclusive        | exists_with_different_flags
               | alice |           |          | 2     | 1             | 1            | 9            | 2      | 3    |                | exists_with_different_user_data_64  | exists_with_different_user_data_128
               | alice |           |          | 2     | 7             | 1            | 1            | 2      | 3    |                | exists_with_different_user_data_32  | exists_with_different_user_data_64
               | alice |           |          | 2     | 7             | 8            | 1            | 1      | 3    |                | exists_with_different_ledger        | exists_with_different_user_data_32
               | alice |           |          | 2     | 7             | 8            | 9            | 1      | 1    |                | exists_with_different_code          | exists_with_different_ledger
               | alice |           |          | 2     | 7             | 8            | 9            | 0      | 3    |                | ledger_must_not_be_zero             | exists_with_different_ledger
               | alice |           |          | 2     | 7             | 8            | 9            | 2      | 1    |                | exists                              | exists_with_different_code
               | alice |           |          | 2     | 7             | 8            | 9            | 2      | 0    |                | code_must_not_be_zero               | exists_with_different_code
               | alice |           |          | 2     | 7             | 8            | 9            | 2      | 3    | 1              | debits_pending_must_be_zero         | exists
      commit
    `,
  },
];
