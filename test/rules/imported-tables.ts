/**
 * Events from elsewhere that bring their own timestamps. They lie between the newest one of their kind on their shard and now, so each table
 * lets time pass first; `start` is when it began.
 */
import type { RuleTable } from './rule-table.ts';

const LATER = `
      accounts | id     | status
               | notary | created
      commit
      wait | seconds
           | 1000
`;
const IMPORTED = `${LATER}
      accounts | id    | flags    | timestamp | status
               | old.a | imported | start+100 | created
               | old.b | imported | start+101 | created
               | old.c | imported | start+102 | created
      commit
`;

export const IMPORTED_TABLES: readonly RuleTable[] = [
  {
    title: 'imported accounts keep their timestamps, which only go up',
    text: `${LATER}
      accounts | id    | flags                                           | timestamp | user_data_64 | status
               | old.a | imported                                        | start+10  | 1            | created
               | old.b | imported                                        | start+11  |              | created
               | old.c | imported                                        | start+11  |              | imported_event_timestamp_must_not_regress
               | old.c | imported                                        | start+9   |              | imported_event_timestamp_must_not_regress
               | old.c | imported                                        | 1         |              | imported_event_timestamp_must_not_regress
               | old.c | imported debits_must_not_exceed_credits history | start+12  |              | created
      commit
               | old.d | imported                                        | start+12  |              | imported_event_timestamp_must_not_regress
               | old.d | imported                                        | start+900 |              | created
      commit
      accounts | id    | status
               | old.e | created
      commit
      accounts | id    | flags    | timestamp | status
               | old.f | imported | start+901 | imported_event_timestamp_must_not_regress
      commit
    `,
  },
  {
    title: 'imported accounts of several owners',
    text: `${LATER}
      accounts | id     | flags           | timestamp | status
               | alice  | imported        | start+10  | created
               | bank   | imported        | start+11  | created
               | carol  | imported linked | start+12  | created
               | dave   | imported        | start+13  | created
               | eve    | imported linked | start+14  | linked_event_failed
               | bank.x | imported linked | start+11  | imported_event_timestamp_must_not_regress
               | zoe    | imported        | start+15  | linked_event_failed
               | eve    | imported        | start+14  | created
      commit
    `,
  },
  {
    title: 'on several shards imported accounts go up on each shard for itself',
    only: 'several shards',
    text: `${LATER}
      accounts | id       | flags    | timestamp | status
               | notary.x | imported | start+12  | created
               | other    | imported | start+11  | created
               | notary.y | imported | start+11  | imported_event_timestamp_must_not_regress
               | other.x  | imported | start+12  | created
      commit
    `,
  },
  {
    title: 'on one shard imported accounts go up over all owners',
    only: 'one shard',
    text: `${LATER}
      accounts | id    | flags    | timestamp | status
               | one   | imported | start+12  | created
               | other | imported | start+11  | imported_event_timestamp_must_not_regress
               | other | imported | start+13  | created
      commit
    `,
  },
  {
    title: 'what a failed chain imported does not count',
    text: `${LATER}
      accounts | id    | flags           | code | timestamp | status
               | old.a | imported linked | 1    | start+50  | linked_event_failed
               | old.b | imported        | 0    | start+51  | code_must_not_be_zero
               | old.a | imported        | 1    | start+20  | created
      commit
      transfers | id | debit | credit | amount | flags           | code | timestamp | status
                | t0 | old.a | notary | 1      | imported linked | 1    | start+90  | linked_event_failed
                | t1 | old.a | notary | 1      | imported        | 0    | start+91  | code_must_not_be_zero
                | t2 | old.a | notary | 1      | imported        | 1    | start+80  | created
      commit
    `,
  },
  {
    title: 'the first event of a batch decides whether all of it is imported',
    text: `${LATER}
      accounts | id    | flags    | timestamp | status
               | old.a | imported | start+10  | created
               | old.b |          |           | imported_event_expected
               | old.b |          | start+11  | imported_event_expected
               | old.b | imported | start+11  | created
      commit
               | new.a |          |           | created
               | new.b | imported | start+12  | imported_event_not_expected
               | new.b |          |           | created
      commit
               | new.c |          | 1         | timestamp_must_be_zero
               | new.c | imported | start+12  | imported_event_not_expected
      commit
               | old.x | imported | 0         | imported_event_timestamp_out_of_range
               | new.d |          |           | imported_event_expected
      commit
      transfers | id | debit | credit | amount | flags    | timestamp | status
                | t1 | old.a | old.b  | 1      | imported | start+20  | created
                | t2 | old.a | old.b  | 1      |          |           | imported_event_expected
      commit
                | t2 | old.a | old.b  | 1      |          |           | created
                | t3 | old.a | old.b  | 1      | imported | start+21  | imported_event_not_expected
      commit
    `,
  },
  {
    title: 'an imported timestamp is neither 0 nor above 2^63-1 nor in the future',
    text: `${IMPORTED}
      accounts | id    | flags    | timestamp  | beats                                     | status
               | old.d | imported | 0          | imported_event_timestamp_must_not_regress | imported_event_timestamp_out_of_range
               | old.d | imported | 2^63       | imported_event_timestamp_must_not_advance | imported_event_timestamp_out_of_range
               | old.d | imported | 2^64-1     |                                           | imported_event_timestamp_out_of_range
               | old.d | imported | 2^63-1     |                                           | imported_event_timestamp_must_not_advance
               | old.d | imported | start+2000 |                                           | imported_event_timestamp_must_not_advance
               | old.d | imported | start+990  |                                           | created
      commit
      transfers | id | debit | credit | amount | flags    | timestamp  | beats                                                | status
                | t1 | old.a | old.b  | 1      | imported | 0          | imported_event_timestamp_must_postdate_debit_account | imported_event_timestamp_out_of_range
                | t1 | old.a | old.b  | 1      | imported | 2^63       | imported_event_timestamp_must_not_advance            | imported_event_timestamp_out_of_range
                | t1 | old.a | old.b  | 1      | imported | 2^63-1     |                                                      | imported_event_timestamp_must_not_advance
                | t1 | old.a | old.b  | 1      | imported | start+2000 |                                                      | imported_event_timestamp_must_not_advance
                | t1 | old.a | old.b  | 1      | imported | start+990  |                                                      | created
      commit
    `,
  },
  {
    title: 'an imported account again exists, though its timestamp is not new',
    text: `${LATER}
      accounts | id    | flags            | timestamp | user_data_64 | beats                                     | status
               | old.a | imported         | start+10  | 5            |                                           | created
               | old.b | imported         | start+20  |              |                                           | created
               | old.a | imported         | start+10  | 5            |                                           | exists
      commit
               | old.a | imported         | start+10  | 5            | imported_event_timestamp_must_not_regress | exists
               | old.a | imported         | start+10  | 6            | imported_event_timestamp_must_not_regress | exists_with_different_user_data_64
               | old.a | imported history | start+10  | 5            |                                           | exists_with_different_flags
      commit
    `,
  },
  {
    title: 'imported transfers keep their timestamps, and are younger than their accounts',
    text: `${IMPORTED}
      accounts | id  | flags    | timestamp | status
               | far | imported | start+200 | created
      commit
      transfers | id | debit | credit | amount | flags            | timestamp | timeout | beats                                                 | status
                | t1 | old.a | old.b  | 1      | imported         | start+100 |         | imported_event_timestamp_must_postdate_credit_account | imported_event_timestamp_must_postdate_debit_account
                | t1 | old.b | old.a  | 1      | imported         | start+101 |         |                                                       | imported_event_timestamp_must_postdate_debit_account
                | t1 | old.a | old.b  | 1      | imported         | start+101 |         |                                                       | imported_event_timestamp_must_postdate_credit_account
      commit
                | t1 | old.a | far    | 1      | imported         | start+199 |         |                                                       | imported_event_timestamp_must_postdate_credit_account
      commit
                | t1 | old.a | far    | 1      | imported         | start+200 |         |                                                       | imported_event_timestamp_must_postdate_credit_account
      commit
                | t1 | old.a | old.b  | 1      | imported         | start+102 |         |                                                       | created
                | t2 | old.b | old.c  | 2      | imported         | start+102 |         |                                                       | imported_event_timestamp_must_not_regress
                | t2 | old.b | old.c  | 2      | imported         | start+101 |         | imported_event_timestamp_must_postdate_credit_account | imported_event_timestamp_must_not_regress
                | t2 | old.b | old.c  | 2      | imported         | start+103 |         |                                                       | created
      commit
                | t3 | old.b | far    | 2      | imported pending | start+201 | 1       |                                                       | imported_event_timeout_must_be_zero
      commit
                | t3 | old.b | far    | 2      | imported pending | start+201 |         |                                                       | created
      commit
                | t4 | old.a | far    | 2      | imported         | start+201 |         |                                                       | imported_event_timestamp_must_not_regress
      commit
                | t1 | old.a | old.b  | 1      | imported         | start+102 |         | imported_event_timestamp_must_not_regress             | exists
                | t1 | old.a | old.b  | 2      | imported         | start+102 |         |                                                       | exists_with_different_amount
      commit
      lookups | transfer | timestamp | flags            | pending_status | lookup
              | t1       | start+102 | imported         | none           | found
              | t2       | start+103 | imported         | none           | found
              | t3       | start+201 | imported pending | pending        | found
      balances | account | debits | credits | debits_pending | credits_pending
               | old.a   | 1      | 0       | 0              | 0
               | old.b   | 2      | 1       | 2              | 0
               | far     | 0      | 0       | 0              | 2
    `,
  },
  {
    title: 'an imported transfer is older than no plain one of its shard',
    text: `${IMPORTED}
      transfers | id | debit | credit | amount | flags    | timestamp | status
                | t1 | old.a | old.b  | 1      | imported | start+300 | created
      commit
      transfers | id | debit | credit | amount | status
                | t2 | old.a | old.b  | 1      | created
      commit
      transfers | id | debit | credit | amount | flags    | timestamp | status
                | t3 | old.a | old.b  | 1      | imported | start+500 | imported_event_timestamp_must_not_regress
      commit
    `,
  },
  {
    title: 'a pending transfer can be imported with its end',
    text: `${IMPORTED}
      transfers | id | debit | credit | amount | flags                          | pending_id | timestamp | status
                | h1 | old.a | old.b  | 10     | imported pending               |            | start+300 | created
                | p1 | old.a | old.b  | max    | imported post                  | h1         | start+300 | imported_event_timestamp_must_not_regress
                | p1 | old.a | old.b  | 11     | imported post                  | h1         | start+299 | exceeds_pending_transfer_amount
                | p1 | old.a | old.b  | 6      | imported post                  | h1         | start+301 | created
                | h2 | old.a | old.b  | 10     | imported pending closing_debit |            | start+302 | created
                | v2 | old.a | old.b  | 0      | imported void                  | h2         | start+302 | imported_event_timestamp_must_not_regress
                | v2 | old.a | old.b  | 0      | imported void                  | h2         | start+303 | created
                | h3 | old.a | old.b  | 7      | imported pending               |            | start+304 | created
      commit
      transfers | id | debit | credit | amount | flags | pending_id | status
                | p3 |       |        | max    | post  | h3         | created
      commit
      lookups | transfer | timestamp | pending_status | amount | lookup
              | h1       | start+300 | posted         | 10     | found
              | p1       | start+301 | none           | 6      | found
              | h2       | start+302 | voided         | 10     | found
              | v2       | start+303 | none           | 10     | found
      balances | account | debits | credits | debits_pending | credits_pending | state
               | old.a   | 13     | 0       | 0              | 0               | open
               | old.b   | 0      | 13      | 0              | 0               | open
    `,
  },
  {
    title: 'of two rules that an imported account breaks, the earlier one is told',
    text: `${IMPORTED}
      accounts | id    | flags           | timestamp  | reserved | code | beats                                     | status
               | old.d | imported linked | start+400  |          |      |                                           | linked_event_failed
               | old.e | imported        | start+401  |          | 0    |                                           | code_must_not_be_zero
               | old.d |                 | 1          |          |      | timestamp_must_be_zero                    | imported_event_expected
               | old.d | imported        | start+2000 | 1        |      | reserved_field                            | imported_event_timestamp_must_not_advance
               | old.d | imported 64     | start+2000 |          |      | reserved_flag                             | imported_event_timestamp_must_not_advance
               | old.d | imported        | start+1    |          | 0    | imported_event_timestamp_must_not_regress | code_must_not_be_zero
               | old.d | linked          |            |          |      | imported_event_expected                   | linked_event_chain_open
      commit
               | new.d |                 |            |          |      |                                           | created
               | new.e | imported        | 0          |          |      | imported_event_timestamp_out_of_range     | imported_event_not_expected
               | new.e | imported linked | start+400  |          |      | imported_event_not_expected               | linked_event_chain_open
      commit
    `,
  },
  {
    title: 'of two rules that an imported transfer breaks, the earlier one is told',
    text: `${IMPORTED}
      accounts | id       | flags           | timestamp | ledger | status
               | old.done | imported closed | start+103 |        | created
               | old.euro | imported        | start+104 | 2      | created
      commit
      transfers | id | debit    | credit   | amount | flags            | timestamp  | timeout | ledger | beats                                                | status
                | t1 | old.a    | old.b    | 1      | imported         | start+105  |         |        |                                                      | created
                | t2 | old.a    | old.b    | 1      |                  | 1          |         |        | timestamp_must_be_zero                               | imported_event_expected
                | t2 | old.a    | old.b    | 1      | imported         | 2^63       |         |        | imported_event_timestamp_must_not_advance            | imported_event_timestamp_out_of_range
                | t2 | old.a    | old.b    | 1      | imported 512     | start+2000 |         |        | reserved_flag                                        | imported_event_timestamp_must_not_advance
                | t2 | old.a    | old.b    | 1      | imported         | start+105  |         | 2      | imported_event_timestamp_must_not_regress            | transfer_must_have_the_same_ledger_as_accounts
                | t2 | old.a    | old.euro | 1      | imported         | start+105  |         |        | imported_event_timestamp_must_not_regress            | accounts_must_have_the_same_ledger
                | t2 | old.a    | old.b    | 1      | imported         | start+100  |         |        | imported_event_timestamp_must_postdate_debit_account | imported_event_timestamp_must_not_regress
                | t2 | old.a    | old.b    | 1      | imported pending | start+105  | 1       |        | imported_event_timeout_must_be_zero                  | imported_event_timestamp_must_not_regress
                | t2 | old.done | old.b    | 1      | imported pending | start+106  | 1       |        | debit_account_already_closed                         | imported_event_timeout_must_be_zero
                | t2 | old.a    | old.b    | 1      | linked           |            |         |        | imported_event_expected                              | linked_event_chain_open
      commit
                | t3 | old.a    | old.b    | 1      |                  |            |         |        |                                                      | created
                | t4 | old.a    | old.b    | 1      | imported         | 0          |         |        | imported_event_timestamp_out_of_range                | imported_event_not_expected
                | t4 | old.a    | old.b    | 1      | imported linked  | start+300  |         |        | imported_event_not_expected                          | linked_event_chain_open
      commit
    `,
  },
  {
    title: 'of an account and its age, the age is told first',
    text: `${IMPORTED}
      accounts | id   | flags    | timestamp | status
               | late | imported | start+500 | created
      commit
      transfers | id | debit | credit | amount | flags            | timestamp | timeout | beats                               | status
                | t1 | old.a | late   | 1      | imported pending | start+400 | 1       | imported_event_timeout_must_be_zero | imported_event_timestamp_must_postdate_credit_account
                | t1 | late  | old.a  | 1      | imported pending | start+400 | 1       | imported_event_timeout_must_be_zero | imported_event_timestamp_must_postdate_debit_account
      commit
    `,
  },
  {
    title: 'what an imported post breaks is told in order',
    text: `${IMPORTED}
      transfers | id  | debit | credit | amount | flags                          | pending_id | timestamp | beats                                     | status
                | h1  | old.a | old.b  | 10     | imported pending               |            | start+300 |                                           | created
                | h2  | old.a | old.b  | 10     | imported pending               |            | start+301 |                                           | created
                | p2  | old.a | old.b  | 10     | imported post                  | h2         | start+302 |                                           | created
                | end | old.a | old.b  | 0      | imported pending closing_debit |            | start+303 |                                           | created
                | p3  | old.a | old.b  | 10     | imported post                  | h2         | start+1   | imported_event_timestamp_must_not_regress | pending_transfer_already_posted
                | p3  | old.a | old.b  | 10     | imported post                  | h1         | start+1   | debit_account_already_closed              | imported_event_timestamp_must_not_regress
      commit
      transfers | id | debit | credit | amount | flags   | timeout | status
                | h4 | old.b | old.c  | 10     | pending | 5       | created
      commit
      wait | seconds
           | 20
      transfers | id | debit | credit | amount | flags         | pending_id | timestamp | beats                                     | status
                | p4 | old.b | old.c  | 10     | imported post | h4         | start+1   | imported_event_timestamp_must_not_regress | pending_transfer_expired
      commit
    `,
  },
];
