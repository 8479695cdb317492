/** What a post or void must name, what its id is worth, and what is told first. */
import { FUNDED_ACCOUNTS, type RuleTable } from './rule-table.ts';

export const POST_TABLES: readonly RuleTable[] = [
  {
    title: 'a post that does not fit its pending transfer is refused, and its id stays free',
    text: `${FUNDED_ACCOUNTS}
      accounts | id         | status
               | shop.till  | created
               | alice.card | created
      commit
      transfers | id | debit | credit | amount | flags   | code | status
                | h1 | alice | shop   | 10     | pending | 7    | created
      commit
      transfers | id | debit      | credit    | amount | flags                 | pending_id | ledger | code | timeout | status
                | p1 | alice      | shop      | max    | post void             | h1         |        |      |         | flags_are_mutually_exclusive
                | p1 | alice      | shop      | max    | post pending          | h1         |        |      |         | flags_are_mutually_exclusive
                | p1 | alice      | shop      | max    | void pending          | h1         |        |      |         | flags_are_mutually_exclusive
                | p1 | alice      | shop      | max    | post balancing_debit  | h1         |        |      |         | flags_are_mutually_exclusive
                | p1 | alice      | shop      | max    | post balancing_credit | h1         |        |      |         | flags_are_mutually_exclusive
                | p1 | alice      | shop      | max    | post closing_debit    | h1         |        |      |         | flags_are_mutually_exclusive
                | p1 | alice      | shop      | max    | void closing_credit   | h1         |        |      |         | flags_are_mutually_exclusive
                | p1 | alice      | shop      | max    | post                  |            |        |      |         | pending_id_must_not_be_zero
                | p1 | alice      | shop      | max    | post                  | max        |        |      |         | pending_id_must_not_be_int_max
                | p1 | alice      | shop      | max    | post                  | p1         |        |      |         | pending_id_must_be_different
                | p1 | alice      | shop      | max    | post                  | h1         |        |      | 1       | timeout_reserved_for_pending_transfer
                | p1 | alice.card | shop      | max    | post                  | h1         |        |      |         | pending_transfer_has_different_debit_account_id
                | p1 | bank       | shop      | max    | post                  | h1         |        |      |         | pending_transfer_has_different_debit_account_id
                | p1 | shop       | alice     | max    | post                  | h1         |        |      |         | pending_transfer_has_different_debit_account_id
                | p1 | nobody     | shop      | max    | post                  | h1         |        |      |         | pending_transfer_has_different_debit_account_id
                | p1 | max        | shop      | max    | post                  | h1         |        |      |         | pending_transfer_has_different_debit_account_id
                | p1 | alice      | shop.till | max    | post                  | h1         |        |      |         | pending_transfer_has_different_credit_account_id
                | p1 | alice      | bank      | max    | post                  | h1         |        |      |         | pending_transfer_has_different_credit_account_id
                | p1 | alice      | alice     | max    | post                  | h1         |        |      |         | pending_transfer_has_different_credit_account_id
                | p1 |            | max       | max    | post                  | h1         |        |      |         | pending_transfer_has_different_credit_account_id
                | p1 | alice      | shop      | max    | post                  | h1         | 2      |      |         | pending_transfer_has_different_ledger
                | p1 | alice      | shop      | max    | post                  | h1         |        | 8    |         | pending_transfer_has_different_code
                | p1 | alice      | shop      | 11     | post                  | h1         |        |      |         | exceeds_pending_transfer_amount
                | p1 | alice      | shop      | 9      | void                  | h1         |        |      |         | pending_transfer_has_different_amount
                | p1 | alice      | shop      | 10     | post                  | h1         | 1      | 7    |         | created
      commit
      lookups | transfer | pending_status | lookup
              | h1       | posted         | found
              | p1       | none           | found
    `,
  },
  {
    title: 'a pending transfer that is not there burns the id of its post, another kind does not',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | pending_id | status
                | p1 | alice | shop   | max    | post    | h1         | pending_transfer_not_found
                | v2 | alice | shop   | 0      | void    | h1         | pending_transfer_not_found
                | p3 | bank  | alice  | max    | post    | salary     | pending_transfer_not_pending
                | p4 |       |        | 0      | void    | salary     | pending_transfer_not_pending
      commit
                | h1 | alice | shop   | 10     | pending |            | created
      commit
                | p1 | alice | shop   | max    | post    | h1         | id_already_failed
                | v2 | alice | shop   | 0      | void    | h1         | id_already_failed
                | p3 | alice | shop   | max    | post    | h1         | created
                | p4 | alice | shop   | max    | post    | p3         | pending_transfer_not_pending
                | p4 | alice | shop   | max    | post    | h1         | pending_transfer_already_posted
      commit
      balances | account | debits | credits
               | alice   | 10     | 100
    `,
  },
  {
    title:
      'a post that names one account and finds nothing burns its id, whatever shard that is on',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags | pending_id | status
                | p1 | alice |        | max    | post  | h1         | pending_transfer_not_found
      commit
                | p2 | bank  |        | max    | post  | h1         | pending_transfer_not_found
      commit
                | p3 |       | shop   | max    | post  | h1         | pending_transfer_not_found
      commit
                | p1 | alice |        | max    | post  | h1         | id_already_failed
                | p2 | bank  |        | max    | post  | h1         | id_already_failed
                | p4 | alice |        | 0      | void  | h1         | pending_transfer_not_found
                | p3 |       | shop   | max    | post  | h1         | id_already_failed
                | p4 | alice |        | 0      | void  | h1         | id_already_failed
      commit
    `,
  },
  {
    title: 'a post that names no accounts and finds nothing burns its id',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags | pending_id | status
                | p1 |       |        | max    | post  | h1         | pending_transfer_not_found
      commit
                | p1 |       |        | max    | post  | h1         | id_already_failed
                | p2 |       |        | 0      | void  | h2         | pending_transfer_not_found
                | p2 |       |        | 0      | void  | h2         | id_already_failed
      commit
      lookups | transfer | lookup
              | p1       | missing
              | p2       | missing
    `,
  },
  {
    title:
      'a post that leaves out accounts means the pending transfer that is there, whatever else its batch says under that id',
    text: `${FUNDED_ACCOUNTS}
      accounts | id         | status
               | shop.till  | created
               | alice.card | created
      commit
      transfers | id | debit      | credit    | amount | flags          | pending_id | code | status
                | h1 | alice      | bank      | 5      | pending        |            | 0    | code_must_not_be_zero
                | h1 | alice      | shop      | 5      | pending        |            | 7    | created
                | p1 |            |           | max    | post           | h1         |      | created
                | h2 | bank       | shop      | 5      | pending        |            | 0    | code_must_not_be_zero
                | h2 | alice      | shop.till | 5      | pending        |            | 7    | created
                | v2 | alice      |           | 0      | void           | h2         |      | created
                | h3 | shop       | alice     | 5      | pending linked |            | 7    | linked_event_failed # the wrong way round
                | x3 | shop       | shop      | 5      |                |            | 7    | accounts_must_be_different
                | h3 | alice      | shop      | 5      | pending        |            | 7    | created
                | p3 |            | shop      | max    | post           | h3         |      | created
                | h4 | alice      | shop      | 5      | pending        |            | 7    | created
                | h4 | alice      | shop.till | 5      | pending        |            | 7    | exists_with_different_credit_account_id
                | p4 |            |           | 3      | post linked    | h4         |      | linked_event_failed
                | x4 | alice      | alice     | 5      |                |            | 7    | accounts_must_be_different
                | p4 |            | shop.till | max    | post           | h4         |      | pending_transfer_has_different_credit_account_id
                | p4 |            |           | max    | post           | h4         |      | created
      commit
                | h5 | alice      | shop      | 5      | pending        |            | 7    | created
      commit
                | h5 | alice      | shop.till | 5      | pending        |            | 7    | exists_with_different_credit_account_id
                | p5 |            |           | max    | post           | h5         |      | created
      commit
      lookups | transfer | pending_status | lookup
              | h1       | posted         | found
              | h2       | voided         | found
              | h3       | posted         | found
              | h4       | posted         | found
              | h5       | posted         | found
      balances | account | debits | credits
               | alice   | 20     | 100
               | shop    | 0      | 20
    `,
  },
  {
    title: 'the same post or void again exists, whatever it leaves out',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | pending_id | code | user_data_128 | user_data_64 | user_data_32 | status
                | h1 | alice | shop   | 10     | pending |            | 7    | 1             | 2            | 3            | created
                | h2 | alice | shop   | 20     | pending |            | 7    | 1             | 2            | 3            | created
                | h3 | alice | shop   | 30     | pending |            | 7    | 1             | 2            | 3            | created
      commit
                | p1 | alice | shop   | 10     | post    | h1         |      |               |              |              | created
                | p2 | alice | shop   | 15     | post    | h2         | 7    | 4             | 5            | 6            | created
                | v3 | alice | shop   |        | void    | h3         |      |               |              |              | created
      commit
                | p1 | alice | shop   | max    | post    | h1         |      |               |              |              | exists # all of it, however it is written
                | p1 | alice | shop   | 10     | post    | h1         | 7    | 1             | 2            | 3            | exists
                | p1 |       |        | 10     | post    | h1         |      |               |              |              | exists
                | p2 | alice | shop   | 15     | post    | h2         |      | 4             | 5            | 6            | exists
                | p2 | alice | shop   | max    | post    | h2         |      | 4             | 5            | 6            | exists_with_different_amount
                | p2 | alice | shop   | 20     | post    | h2         |      | 4             | 5            | 6            | exists_with_different_amount
                | v3 | alice | shop   | 30     | void    | h3         | 7    | 1             | 2            | 3            | exists
                | v3 | alice | shop   | 0      | void    | h3         |      |               |              |              | exists
                | v3 | alice | shop   | 29     | void    | h3         |      |               |              |              | exists_with_different_amount
                | v3 | alice | shop   | max    | void    | h3         |      |               |              |              | exists_with_different_amount
      commit
      balances | account | debits | credits
               | alice   | 25     | 100
    `,
  },
  {
    title: 'another post or void under the same id is told which field differs',
    text: `${FUNDED_ACCOUNTS}
      accounts | id         | status
               | alice.card | created
      commit
      transfers | id | debit      | credit | amount | flags       | pending_id | timeout | ledger | code | user_data_128 | user_data_64 | user_data_32 | beats                                           | status
                | h1 | alice      | shop   | 10     | pending     |            |         | 1      | 7    | 1             | 2            | 3            |                                                 | created
                | h2 | alice      | shop   | 20     | pending     |            |         | 1      | 7    | 1             | 2            | 3            |                                                 | created
                | p1 | alice      | shop   | 10     | post        | h1         |         |        |      |               | 5            |              |                                                 | created
      commit
                | p1 | alice      | shop   | 10     | void        | h1         |         |        |      |               | 5            |              |                                                 | exists_with_different_flags
                | p1 | alice      | shop   | 10     | post linked | h1         |         |        |      |               | 5            |              | exists_with_different_flags                     | linked_event_chain_open
      commit
                | p1 | alice      | shop   | 10     | void        | h2         |         |        |      |               | 5            |              | exists_with_different_pending_id                | exists_with_different_flags
                | p1 | alice      | shop   | 10     |             |            |         | 1      | 7    |               | 5            |              | exists_with_different_pending_id                | exists_with_different_flags
                | p1 | alice      | shop   | 10     | post        | h2         |         |        |      |               | 5            |              |                                                 | exists_with_different_pending_id
                | p1 | alice      | shop   | 10     | post        | h2         | 1       |        |      |               | 5            |              | exists_with_different_timeout                   | exists_with_different_pending_id
                | p1 | alice      | shop   | 10     | post        | h1         | 1       |        |      |               | 5            |              |                                                 | exists_with_different_timeout
                | p1 | alice.card | shop   | 10     | post        | h1         | 1       |        |      |               | 5            |              | exists_with_different_debit_account_id          | exists_with_different_timeout
                | p1 | alice.card | shop   | 10     | post        | h1         |         |        |      |               | 5            |              | pending_transfer_has_different_debit_account_id | exists_with_different_debit_account_id
                | p1 | bank       | shop   | 10     | post        | h1         |         |        |      |               | 5            |              |                                                 | exists_with_different_debit_account_id
                | p1 | bank       | bank   | 10     | post        | h1         |         |        |      |               | 5            |              | exists_with_different_credit_account_id         | exists_with_different_debit_account_id
                | p1 | alice      | bank   | 10     | post        | h1         |         |        |      |               | 5            |              |                                                 | exists_with_different_credit_account_id
                | p1 | alice      | bank   | 9      | post        | h1         |         |        |      |               | 5            |              | exists_with_different_amount                    | exists_with_different_credit_account_id
                | p1 | alice      | shop   | 9      | post        | h1         |         |        |      |               | 5            |              |                                                 | exists_with_different_amount
                | p1 | alice      | shop   | 9      | post        | h1         |         |        |      | 9             | 5            |              | exists_with_different_user_data_128             | exists_with_different_amount
                | p1 | alice      | shop   | 10     | post        | h1         |         |        |      | 9             | 5            |              |                                                 | exists_with_different_user_data_128
                | p1 | alice      | shop   | 10     | post        | h1         |         |        |      | 9             |              |              | exists_with_different_user_data_64              | exists_with_different_user_data_128
                | p1 | alice      | shop   | 10     | post        | h1         |         |        |      |               |              |              |                                                 | exists_with_different_user_data_64 # 0 says the pending one's, which is 2
                | p1 | alice      | shop   | 10     | post        | h1         |         |        |      |               |              | 9            | exists_with_different_user_data_32              | exists_with_different_user_data_64
                | p1 | alice      | shop   | 10     | post        | h1         |         |        |      |               | 5            | 9            |                                                 | exists_with_different_user_data_32
                | p1 | alice      | shop   | 10     | post        | h1         |         | 2      |      |               | 5            | 9            | exists_with_different_ledger                    | exists_with_different_user_data_32
                | p1 | alice      | shop   | 10     | post        | h1         |         | 2      |      |               | 5            |              |                                                 | exists_with_different_ledger
                | p1 | alice      | shop   | 10     | post        | h1         |         | 2      | 8    |               | 5            |              | exists_with_different_code                      | exists_with_different_ledger
                | p1 | alice      | shop   | 10     | post        | h1         |         |        | 8    |               | 5            |              |                                                 | exists_with_different_code
                | p1 | alice      | shop   | 10     | post        | h1         |         |        | 8    |               | 5            |              | exists                                          | exists_with_different_code
                | p1 | alice      | shop   | 10     | post        | h1         |         |        |      |               | 5            |              | pending_transfer_already_posted                 | exists
      commit
    `,
  },
  {
    title: 'a pending transfer is another one than a plain transfer with its id',
    text: `${FUNDED_ACCOUNTS}
      transfers | id | debit | credit | amount | flags   | timeout | beats                         | status
                | h1 | alice | shop   | 10     | pending | 60      |                               | created
                | h1 | alice | shop   | 10     | pending | 60      |                               | exists
                | h1 | alice | shop   | 10     |         |         | exists_with_different_timeout | exists_with_different_flags
                | h1 | alice | shop   | 10     | pending | 61      |                               | exists_with_different_timeout
                | h1 | alice | shop   | 10     | pending |         |                               | exists_with_different_timeout
                | h1 | alice | shop   | 11     | pending | 60      |                               | exists_with_different_amount
      commit
      balances | account | debits | credits | debits_pending
               | alice   | 0      | 100     | 10
    `,
  },
  {
    title: 'of two rules that a new post breaks, the earlier one is told',
    text: `${FUNDED_ACCOUNTS}
      accounts | id         | status
               | alice.card | created
      commit
      transfers | id | debit      | credit | amount | flags     | pending_id | code | timeout | ledger | beats                                            | status
                | h1 | alice      | shop   | 10     | pending   |            | 7    |         | 1      |                                                  | created
                | h2 | alice      | shop   | 10     | pending   |            | 7    |         | 1      |                                                  | created
                | h3 | alice      | shop   | 10     | pending   |            | 7    |         | 1      |                                                  | created
                | p2 | alice      | shop   | 10     | post      | h2         |      |         |        |                                                  | created
                | v3 | alice      | shop   | 10     | void      | h3         |      |         |        |                                                  | created
                | b1 | alice      | shop   | 10     | post      | h9         |      |         |        |                                                  | pending_transfer_not_found
      commit
                | b1 | alice      | shop   | 10     | post void | h1         |      |         |        | flags_are_mutually_exclusive                     | id_already_failed
                | p1 | alice      | shop   | 10     | post void |            |      |         |        | pending_id_must_not_be_zero                      | flags_are_mutually_exclusive
                | p1 | alice      | shop   | 10     | post      |            |      | 1       |        | timeout_reserved_for_pending_transfer            | pending_id_must_not_be_zero
                | p1 | alice      | shop   | 10     | post      | max        |      | 1       |        | timeout_reserved_for_pending_transfer            | pending_id_must_not_be_int_max
                | p1 | alice      | shop   | 10     | post      | p1         |      | 1       |        | timeout_reserved_for_pending_transfer            | pending_id_must_be_different
                | p1 | alice      | shop   | 10     | post      | h9         |      | 1       |        | pending_transfer_not_found                       | timeout_reserved_for_pending_transfer
                | p1 | alice      | shop   | 10     | post      | salary     |      |         |        | pending_transfer_has_different_debit_account_id  | pending_transfer_not_pending
                | p1 | alice.card | bank   | 10     | post      | h1         |      |         |        | pending_transfer_has_different_credit_account_id | pending_transfer_has_different_debit_account_id
                | p1 | alice      | bank   | 10     | post      | h1         |      |         | 2      | pending_transfer_has_different_ledger            | pending_transfer_has_different_credit_account_id
                | p1 | alice      | shop   | 10     | post      | h1         | 8    |         | 2      | pending_transfer_has_different_code              | pending_transfer_has_different_ledger
                | p1 | alice      | shop   | 11     | post      | h1         | 8    |         |        | exceeds_pending_transfer_amount                  | pending_transfer_has_different_code
                | p1 | alice      | shop   | 11     | post      | h2         |      |         |        | pending_transfer_already_posted                  | exceeds_pending_transfer_amount
                | p1 | alice      | shop   | 9      | void      | h2         |      |         |        | pending_transfer_already_posted                  | pending_transfer_has_different_amount
                | p1 | alice      | shop   | 11     | post      | h3         |      |         |        | pending_transfer_already_voided                  | exceeds_pending_transfer_amount
      commit
    `,
  },
];
