/** Linked events: they happen as a whole or not at all, over any number of shards. */
import type { RuleTable } from './rule-table.ts';

const ACCOUNTS = `
      accounts | id    | flags                          | status
               | bank  |                                | created
               | alice | debits_must_not_exceed_credits | created
               | shop  |                                | created
               | carol |                                | created
      commit
      transfers | id     | debit | credit | amount | status
                | salary | bank  | alice  | 100    | created
      commit
`;

export const CHAIN_TABLES: readonly RuleTable[] = [
  {
    title: 'accounts of a chain are created together or not at all',
    text: `
      accounts | id    | flags  | code | status
               | alice | linked | 1    | created
               | bank  | linked | 1    | created
               | carol |        | 1    | created
               | dave  | linked | 1    | linked_event_failed
               | eve   | linked | 0    | code_must_not_be_zero
               | shop  | linked | 1    | linked_event_failed
               | till  |        | 1    | linked_event_failed
               | zoe   |        | 1    | created
      commit
               | dave  |        | 1    | created
               | shop  |        | 1    | created
               | alice | linked | 1    | exists
               | till  |        | 1    | linked_event_failed
               | till  |        | 1    | created
               | bank  |        | 1    | exists_with_different_flags
      commit
    `,
  },
  {
    title: 'transfers of a chain happen together',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags  | status
                | t1 | alice | shop   | 60     | linked | created
                | t2 | shop  | carol  | 50     | linked | created
                | t3 | carol | bank   | 40     | linked | created
                | t4 | bank  | alice  | 5      |        | created
                | t5 | bank  | shop   | 1      |        | created
      commit
      balances | account | debits | credits
               | alice   | 60     | 105
               | shop    | 50     | 61
               | carol   | 40     | 50
               | bank    | 106    | 40
      lookups | transfer | flags  | amount | lookup
              | t1       | linked | 60     | found
              | t4       |        | 5      | found
    `,
  },
  {
    title: 'one failure undoes its chain, wherever it is in it, and nothing else',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags  | code | status
                | t0 | bank  | carol  | 1      |        | 1    | created
                | t1 | bank  | shop   | 10     | linked | 0    | code_must_not_be_zero
                | t2 | bank  | carol  | 10     |        | 1    | linked_event_failed
                | t3 | bank  | shop   | 20     | linked | 1    | linked_event_failed
                | t4 | bank  | carol  | 20     | linked | 0    | code_must_not_be_zero
                | t5 | carol | alice  | 20     |        | 1    | linked_event_failed
                | t6 | bank  | shop   | 30     | linked | 1    | linked_event_failed
                | t7 | alice | carol  | 30     |        | 0    | code_must_not_be_zero
                | t8 | bank  | carol  | 1      |        | 1    | created
      commit
      balances | account | debits | credits
               | bank    | 102    | 0
               | carol   | 0      | 2
               | shop    | 0      | 0
               | alice   | 0      | 100
      lookups | transfer | lookup
              | t1       | missing
              | t3       | missing
              | t6       | missing
              | t8       | found
    `,
  },
  {
    title:
      'later events of a chain see what the earlier ones did, and see it no more when it failed',
    text: `${ACCOUNTS}
      accounts | id   | flags                          | status
               | dave | debits_must_not_exceed_credits | created
      commit
      transfers | id | debit | credit | amount | flags  | status
                | t1 | alice | dave   | 70     | linked | created
                | t2 | dave  | shop   | 70     |        | created
                | t3 | alice | dave   | 30     | linked | linked_event_failed
                | t4 | dave  | shop   | 30     | linked | linked_event_failed
                | t5 | alice | shop   | 1      |        | exceeds_credits
                | t6 | dave  | shop   | 1      |        | exceeds_credits
                | t7 | alice | shop   | 30     |        | created
      commit
      balances | account | debits | credits
               | alice   | 100    | 100
               | dave    | 70     | 70
               | shop    | 0      | 100
    `,
  },
  {
    title: 'only the event that breaks a chain burns its id, the others can be used again',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags  | status
                | t1 | bank  | shop   | 10     | linked | linked_event_failed
                | t2 | alice | shop   | 101    | linked | exceeds_credits
                | t3 | alice | shop   | 102    |        | linked_event_failed
      commit
                | t1 | bank  | shop   | 10     |        | created
                | t2 | alice | shop   | 1      |        | id_already_failed
                | t3 | alice | shop   | 3      |        | created
                | t4 | bank  | shop   | 1      | linked | linked_event_failed
                | t2 | alice | shop   | 1      | linked | id_already_failed
                | t5 | bank  | nobody | 1      |        | linked_event_failed
                | t4 | bank  | shop   | 1      | linked | linked_event_failed
                | t5 | bank  | nobody | 1      |        | credit_account_not_found
                | t4 | bank  | shop   | 1      |        | created
      commit
      balances | account | debits | credits
               | shop    | 0      | 14
               | alice   | 3      | 100
    `,
  },
  {
    title: 'a chain that its batch does not close is open, and undone',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags  | status
                | t1 | bank  | shop   | 10     | linked | linked_event_chain_open
      commit
                | t1 | bank  | shop   | 10     |        | created
                | t2 | bank  | carol  | 10     | linked | linked_event_failed
                | t3 | alice | shop   | 10     | linked | linked_event_failed
                | t4 | alice | bank   | 10     | linked | linked_event_chain_open
      commit
                | t2 | bank  | carol  | 10     |        | created
                | t3 | alice | shop   | 10     |        | created
                | t4 | alice | bank   | 10     |        | created
      commit
      balances | account | debits | credits
               | bank    | 120    | 10
               | alice   | 20     | 100
    `,
  },
  {
    title: 'the last event of an open chain is told so, even when an earlier one failed',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags  | code | timestamp | beats                  | status
                | t1 | bank  | shop   | 10     | linked | 1    |           |                        | linked_event_failed
                | t2 | bank  | carol  | 10     | linked | 0    |           |                        | code_must_not_be_zero
                | t3 | bank  | carol  | 10     | linked | 1    | 1         | timestamp_must_be_zero | linked_event_failed
                | t4 | bank  | carol  | 10     | linked | 1    | 1         | timestamp_must_be_zero | linked_event_chain_open
      commit
                | t5 | alice | bank   | 101    | linked | 1    |           | exceeds_credits        | linked_event_chain_open
      commit
                | t5 | bank  | alice  | 1      |        | 1    |           |                        | created # its id was not burnt
      commit
      accounts | id   | flags  | code | status
               | dave | linked | 0    | code_must_not_be_zero
               | dave | linked | 1    | linked_event_chain_open
      commit
               | dave | linked | 1    | linked_event_failed
               | eve  | linked | 1    | linked_event_chain_open
      commit
               | dave |        | 1    | created
      commit
    `,
  },
  {
    title: 'what exists breaks a chain',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags  | status
                | t1 | bank  | shop   | 10     | linked | created
                | t2 | bank  | carol  | 10     |        | created
      commit
                | t1 | bank  | shop   | 10     | linked | exists
                | t2 | bank  | carol  | 10     |        | linked_event_failed
                | t3 | bank  | shop   | 5      | linked | linked_event_failed
                | t2 | bank  | carol  | 10     |        | exists
                | t4 | bank  | carol  | 5      | linked | linked_event_failed
                | t4 | bank  | carol  | 5      | linked | exists
                | t5 | bank  | carol  | 5      |        | linked_event_failed
                | t2 | bank  | carol  | 10     |        | exists
      commit
      balances | account | debits | credits
               | bank    | 120    | 0
      lookups | transfer | lookup
              | t3       | missing
              | t4       | missing
    `,
  },
  {
    title: 'a transfer that was linked is another one than one that was not',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags  | status
                | t1 | bank  | shop   | 10     | linked | created
                | t2 | bank  | carol  | 10     |        | created
      commit
                | t1 | bank  | shop   | 10     |        | exists_with_different_flags
                | t2 | bank  | carol  | 10     | linked | exists_with_different_flags
                | t3 | bank  | carol  | 10     |        | linked_event_failed
      commit
    `,
  },
  {
    title: 'a chain of exchange happens on two ledgers at once',
    text: `
      accounts | id          | ledger | flags                          | status
               | alice.euro  | 1      | debits_must_not_exceed_credits | created
               | alice.franc | 2      |                                | created
               | desk.euro   | 1      |                                | created
               | desk.franc  | 2      | debits_must_not_exceed_credits | created
               | mint.euro   | 1      |                                | created
               | mint.franc  | 2      |                                | created
      commit
      transfers | id | debit      | credit      | amount | ledger | flags  | status
                | f1 | mint.euro  | alice.euro  | 100    | 1      |        | created
                | f2 | mint.franc | desk.franc  | 90     | 2      |        | created
                | e1 | alice.euro | desk.euro   | 100    | 1      | linked | linked_event_failed
                | e2 | desk.franc | alice.franc | 95     | 2      |        | exceeds_credits
                | e3 | alice.euro | desk.euro   | 90     | 1      | linked | created
                | e4 | desk.franc | alice.franc | 85     | 2      |        | created
      commit
      balances | account     | debits | credits
               | alice.euro  | 90     | 100
               | alice.franc | 0      | 85
               | desk.euro   | 0      | 90
               | desk.franc  | 85     | 90
    `,
  },
  {
    title: 'a chain makes a pending transfer and ends it, and takes both back when it fails',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags          | pending_id | status
                | h0 | alice | shop   | 20     | pending        |            | created
      commit
                | h1 | alice | shop   | 30     | pending linked |            | created
                | p1 | alice | shop   | 25     | post           | h1         | created
                | h2 | alice | shop   | 40     | pending linked |            | linked_event_failed
                | p2 | alice | shop   | max    | post linked    | h2         | linked_event_failed
                | p0 |       |        | max    | post linked    | h0         | linked_event_failed
                | t1 | alice | shop   | 40     |                |            | exceeds_credits
                | p2 | alice | shop   | max    | post           | h2         | pending_transfer_not_found
      commit
      balances | account | debits | credits | debits_pending | credits_pending
               | alice   | 25     | 100     | 20             | 0
               | shop    | 0      | 25      | 0              | 20
      lookups | transfer | pending_status | lookup
              | h0       | pending        | found
              | h1       | posted         | found
              | h2       |                | missing
              | p0       |                | missing
      transfers | id | debit | credit | amount | flags       | pending_id | status
                | v0 | alice | shop   | 0      | void linked | h0         | created
                | t2 | alice | shop   | 75     |             |            | created
      commit
      balances | account | debits | credits | debits_pending
               | alice   | 100    | 100     | 0
    `,
  },
  {
    title: 'a chain that fails opens an account again that it closed',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags                        | pending_id | status
                | c1 | alice | shop   | 0      | pending closing_debit linked |            | linked_event_failed
                | t1 | alice | shop   | 1      | linked                       |            | debit_account_already_closed
                | t2 | bank  | shop   | 1      |                              |            | linked_event_failed
                | t3 | alice | shop   | 1      |                              |            | created
                | c2 | alice | shop   | 0      | pending closing_debit        |            | created
                | v2 | alice | shop   | 0      | void linked                  | c2         | linked_event_failed
                | t4 | alice | shop   | 1      | linked                       |            | linked_event_failed
                | t5 | alice | shop   | 1000   |                              |            | exceeds_credits
      commit
      balances | account | debits | credits | debits_pending | state
               | alice   | 1      | 100     | 0              | closed
      lookups | transfer | pending_status | lookup
              | c2       | pending        | found
    `,
  },
  {
    title: 'balancing in a chain counts what the chain has done',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags                  | status
                | t1 | bank  | alice  | 11     | linked                 | created
                | t2 | alice | shop   | max    | balancing_debit linked | created
                | t3 | shop  | carol  | max    | balancing_debit        | created
                | t4 | carol | bank   | max    | balancing_debit linked | linked_event_failed
                | t5 | carol | bank   | max    | balancing_debit linked | linked_event_failed
                | t6 | alice | bank   | 1      |                        | exceeds_credits
      commit
      lookups | transfer | amount | lookup
              | t2       | 111    | found
              | t3       | 111    | found
              | t4       |        | missing
      balances | account | debits | credits
               | carol   | 0      | 111
               | bank    | 111    | 0
    `,
  },
  {
    title: 'chains over all owners, one after the other through the same accounts',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags  | status
                | a1 | alice | carol  | 40     | linked | created
                | a2 | carol | shop   | 40     |        | created
                | b1 | carol | alice  | 5      | linked | linked_event_failed
                | b2 | alice | bank   | 66     |        | exceeds_credits
                | c1 | bank  | alice  | 7      | linked | created
                | c2 | alice | shop   | 60     | linked | created
                | c3 | shop  | carol  | 99     | linked | created
                | c4 | carol | bank   | 98     |        | created
                | d1 | shop  | bank   | 1      |        | created
      commit
      balances | account | debits | credits
               | alice   | 100    | 107
               | bank    | 107    | 99
               | carol   | 138    | 139
               | shop    | 100    | 100
    `,
  },
  {
    title: 'a chain can be a whole batch',
    text: `${ACCOUNTS}
      transfers | id | debit | credit | amount | flags  | status
                | t1 | alice | shop   | 10     | linked | created
                | t2 | shop  | carol  | 9      | linked | created
                | t3 | carol | bank   | 8      | linked | created
                | t4 | bank  | alice  | 7      | linked | created
                | t5 | alice | carol  | 6      | linked | created
                | t6 | shop  | bank   | 5      | linked | created
                | t7 | carol | alice  | 4      | linked | created
                | t8 | bank  | shop   | 3      |        | created
      commit
                | u1 | alice | shop   | 10     | linked | linked_event_failed
                | u2 | shop  | carol  | 9      | linked | linked_event_failed
                | u3 | carol | bank   | 8      | linked | linked_event_failed
                | u4 | bank  | alice  | 7      | linked | linked_event_failed
                | u5 | alice | carol  | 6000   | linked | exceeds_credits
                | u6 | shop  | bank   | 5      | linked | linked_event_failed
                | u7 | carol | alice  | 4      | linked | linked_event_failed
                | u8 | bank  | shop   | 3      |        | linked_event_failed
      commit
      balances | account | debits | credits
               | alice   | 16     | 111
               | bank    | 110    | 13
               | carol   | 12     | 15
               | shop    | 14     | 13
    `,
  },
];
