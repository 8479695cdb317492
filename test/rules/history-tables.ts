/** What can be read of the past: statements and balances of an account, queries, changes. What comes in an order stands in batches of its own. */
import type { RuleTable } from './rule-table.ts';

const BOOKED = `
      accounts | id    | flags                                  | status
               | bank  | history                                | created
               | alice | history debits_must_not_exceed_credits | created
               | shop  |                                        | created
      commit
      transfers | id     | debit | credit | amount | flags   | code | timeout | status
                | salary | bank  | alice  | 100    |         | 10   |         | created
      commit
                | rent   | alice | shop   | 101    |         | 20   |         | exceeds_credits
                | hotel  | alice | shop   | 60     | pending | 20   | 600     | created
      commit
                | food   | alice | shop   | 7      |         | 30   |         | created
      commit
      transfers | id   | amount | flags | pending_id | debit | credit | status
                | stay | 45     | post  | hotel      |       |        | created
      commit
      transfers | id    | debit | credit | amount | code | status
                | bonus | bank  | alice  | 1      | 10   | created
      commit
`;

export const HISTORY_TABLES: readonly RuleTable[] = [
  {
    title: 'a statement shows the transfers of an account in order, with what became of them',
    text: `${BOOKED}
      statement | account | transfer | amount | pending_status
                | alice   | salary   | 100    | none
                |         | hotel    | 60     | posted
                |         | food     | 7      | none
                |         | stay     | 45     | none
                |         | bonus    | 1      | none
                | shop    | hotel    | 60     | posted
                |         | food     | 7      | none
                |         | stay     | 45     | none
                | bank    | salary   | 100    | none
                |         | bonus    | 1      | none
                | nobody  |          |        |
                | 0       |          |        |
                | max     |          |        |
    `,
  },
  {
    title: 'a statement shows one side, or some, or the newest first',
    text: `${BOOKED}
      statement | account | transfer | side    | order        | limit | code
                | alice   | salary   | credits |              |       |
                |         | bonus    |         |              |       |
                | alice   | hotel    | debits  |              |       |
                |         | food     |         |              |       |
                |         | stay     |         |              |       |
                | alice   | bonus    |         | newest first | 2     |
                |         | stay     |         |              |       |
                | alice   | salary   |         |              | 1     |
                | alice   | salary   |         |              |       | 10
                |         | bonus    |         |              |       |
                | alice   | stay     |         | newest first |       | 20
                |         | hotel    |         |              |       |
                | alice   |          | credits |              |       | 20
    `,
  },
  {
    title: 'a statement shows what lies between two instants, both included',
    text: `
      accounts | id     | status
               | notary | created
      commit
      wait | seconds
           | 100
      accounts | id    | flags    | timestamp | status
               | old.a | imported | start+10  | created
               | old.b | imported | start+11  | created
      commit
      transfers | id | debit | credit | amount | flags    | timestamp | status
                | t1 | old.a | old.b  | 1      | imported | start+20  | created
                | t2 | old.b | old.a  | 2      | imported | start+21  | created
                | t3 | old.a | old.b  | 3      | imported | start+22  | created
                | t4 | old.a | old.b  | 4      | imported | start+23  | created
      commit
      statement | account | transfer | from     | to       | order
                | old.a   | t2       | start+21 | start+22 |
                |         | t3       |          |          |
                | old.a   | t3       | start+22 |          |
                |         | t4       |          |          |
                | old.a   | t2       |          | start+21 | newest first
                |         | t1       |          |          |
                | old.a   |          | start+24 |          |
                | old.a   |          | start+22 | start+21 |
    `,
  },
  {
    title: 'an account that keeps its history shows its balances after each transfer',
    text: `${BOOKED}
      history | account | debits | credits | debits_pending | credits_pending
              | alice   | 0      | 100     | 0              | 0
              |         | 0      | 100     | 60             | 0
              |         | 7      | 100     | 60             | 0
              |         | 52     | 100     | 0              | 0
              |         | 52     | 101     | 0              | 0
              | bank    | 100    | 0       | 0              | 0
              |         | 101    | 0       | 0              | 0
              | shop    |        |         |                |
      history | account | debits | credits | debits_pending | credits_pending | side    | order        | limit
              | alice   | 0      | 100     | 0              | 0               | credits |              |
              |         | 52     | 101     | 0              | 0               |         |              |
              | alice   | 52     | 101     | 0              | 0               |         | newest first | 3
              |         | 52     | 100     | 0              | 0               |         |              |
              |         | 7      | 100     | 60             | 0               |         |              |
    `,
  },
  {
    title: 'expiry is no transfer: neither a statement nor a history shows it',
    text: `
      accounts | id    | flags   | status
               | bank  | history | created
               | alice | history | created
      commit
      transfers | id | debit | credit | amount | flags   | timeout | status
                | h1 | bank  | alice  | 5      | pending | 1       | created
      commit
      wait | seconds
           | 1
      transfers | id | debit | credit | amount | status
                | t1 | bank  | alice  | 7      | created
      commit
      statement | account | transfer | pending_status
                | bank    | h1       | expired
                |         | t1       | none
      history | account | debits | credits | debits_pending | credits_pending
              | bank    | 0      | 0       | 5              | 0
              |         | 7      | 0       | 0              | 0
              | alice   | 0      | 0       | 0              | 5
              |         | 0      | 7       | 0              | 0
    `,
  },
  {
    title: 'a chain that failed leaves no trace in statement and history',
    text: `
      accounts | id    | flags                                  | status
               | bank  | history                                | created
               | alice | history debits_must_not_exceed_credits | created
      commit
      transfers | id | debit | credit | amount | flags  | status
                | t1 | bank  | alice  | 5      | linked | linked_event_failed
                | t2 | alice | bank   | 6      |        | exceeds_credits
      commit
                | t3 | bank  | alice  | 5      | linked | created
                | t4 | alice | bank   | 2      |        | created
      commit
      statement | account | transfer
                | bank    | t3
                |         | t4
      history | account | debits | credits
              | bank    | 5      | 0
              |         | 5      | 2
              | alice   | 0      | 5
              |         | 2      | 5
    `,
  },
  {
    title: 'balances after balancing, closing and void',
    text: `
      accounts | id    | flags   | status
               | bank  | history | created
               | alice | history | created
      commit
      transfers | id | debit | credit | amount | flags                                 | pending_id | status
                | t1 | bank  | alice  | 9      |                                       |            | created
      commit
                | t2 | alice | bank   | 4      | balancing_debit                       |            | created
      commit
                | t3 | alice | bank   | max    | pending balancing_debit closing_debit |            | created
      commit
                | v3 | alice | bank   | 0      | void                                  | t3         | created
      commit
      history | account | debits | credits | debits_pending | credits_pending
              | alice   | 0      | 9       | 0              | 0
              |         | 4      | 9       | 0              | 0
              |         | 4      | 9       | 5              | 0
              |         | 4      | 9       | 0              | 0
              | bank    | 9      | 0       | 0              | 0
              |         | 9      | 4       | 0              | 0
              |         | 9      | 4       | 0              | 5
              |         | 9      | 4       | 0              | 0
    `,
  },
  {
    title: 'queries find what has all of the given fields',
    text: `
      accounts | id    | ledger | code | user_data_128 | user_data_64 | user_data_32 | status
               | bank  | 1      | 5    | blue          | 2^40         | 7            | created
      commit
               | alice | 1      | 6    | blue          | 3            | 7            | created
      commit
               | shop  | 1      | 5    | blue          | 3            | 8            | created
      commit
               | rupee | 2      | 5    | blue          | 3            | 8            | created
      commit
               | other | 1      | 5    |               |              |              | created
      commit
      transfers | id | debit | credit | amount | code | user_data_128 | user_data_64 | user_data_32 | flags   | pending_id | status
                | t1 | bank  | alice  | 1      | 8    | green         | 4            | 1            |         |            | created
      commit
                | t2 | alice | shop   | 2      | 9    | green         | 4            | 2            |         |            | created
      commit
                | t3 | shop  | bank   | 3      | 8    | green         | 5            | 2            | pending |            | created
      commit
                | p3 |       |        | max    | 0    |               |              | 3            | post    | t3         | created
      commit
                | t4 | shop  | bank   | 3      | 8    |               | 5            | 2            |         |            | created
      commit
      queries | of        | ledger | code | user_data_128 | user_data_64 | user_data_32 | limit | order        | found
              | accounts  |        |      | blue          |              |              |       |              | bank alice shop rupee
              | accounts  | 1      |      | blue          |              |              |       |              | bank alice shop
              | accounts  | 1      | 5    | blue          |              |              |       |              | bank shop
              | accounts  |        |      | blue          | 3            |              |       |              | alice shop rupee
              | accounts  |        |      | blue          | 2^40         |              |       |              | bank
              | accounts  |        |      | blue          | 3            | 8            | 1     |              | shop
              | accounts  |        |      | blue          |              |              | 2     | newest first | rupee shop
              | accounts  |        | 7    | blue          |              |              |       |              |
              | accounts  |        |      | green         |              |              |       |              |
              | transfers |        |      | green         |              |              |       |              | t1 t2 t3 p3
              | transfers |        | 8    | green         |              |              |       |              | t1 t3 p3
              | transfers |        |      | green         | 4            |              |       |              | t1 t2
              | transfers |        |      | green         | 5            | 3            |       |              | p3
              | transfers |        |      | green         |              |              | 3     | newest first | p3 t3 t2
              | transfers | 2      |      | green         |              |              |       |              |
              | transfers | 1      | 9    | green         |              |              |       |              | t2
    `,
  },
  {
    title: 'changes tell each step with both balances after it',
    text: `${BOOKED}
      transfers | id | debit | credit | amount | flags   | timeout | pending_id | status
                | h2 | bank  | shop   | 3      | pending |         |            | created
      commit
                | v2 | bank  | shop   | 0      | void    |         | h2         | created
      commit
                | h3 | shop  | bank   | 2      | pending | 1       |            | created
      commit
      wait | seconds
           | 1
      transfers | id   | debit | credit | amount | status
                | last | shop  | bank   | 1      | created
      commit
      changes | type              | transfer | debits | debits_pending | credits | credits_pending
              | single_phase      | salary   | 100    | 0              | 100     | 0
              | two_phase_pending | hotel    | 0      | 60             | 0       | 60
              | single_phase      | food     | 7      | 60             | 7       | 60
              | two_phase_posted  | stay     | 52     | 0              | 52      | 0
              | single_phase      | bonus    | 101    | 0              | 101     | 0
              | two_phase_pending | h2       | 101    | 3              | 52      | 3
              | two_phase_voided  | v2       | 101    | 0              | 52      | 0
              | two_phase_pending | h3       | 0      | 2              | 0       | 2
              | two_phase_expired | h3       | 0      | 0              | 0       | 0
              | single_phase      | last     | 1      | 0              | 1       | 0
    `,
  },
];
