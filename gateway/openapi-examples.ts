/** Examples of `/openapi.json`: a bank and a customer, one payment between them, and what is told of it later. */

const BANK_ID = '1';
const CUSTOMER_ID = '2';
const STAMP = '1795248539257607313';
const NOTHING = { user_data_128: '0', user_data_64: '0', user_data_32: 0 };

export const ACCOUNT_INPUTS = [
  { id: BANK_ID, ledger: 1, code: 1 },
  { id: CUSTOMER_ID, ledger: 1, code: 1, flags: ['debits_must_not_exceed_credits', 'history'] },
];

const transferInput = {
  id: '100',
  debit_account_id: BANK_ID,
  credit_account_id: CUSTOMER_ID,
  amount: '250',
  ledger: 1,
  code: 1,
};
export const TRANSFER_INPUTS = [
  transferInput,
  { ...transferInput, id: '101', amount: '20', flags: ['pending'], timeout: 3600 },
  { id: '102', pending_id: '101', amount: '15', flags: ['post_pending_transfer'] },
];

export const IDS = { ids: [BANK_ID, CUSTOMER_ID] };

const transfer = {
  ...transferInput,
  pending_id: '0',
  ...NOTHING,
  timeout: 0,
  flags: [],
  timestamp: STAMP,
};

const accountOf = (id: string, moved: object, flags: readonly string[]): object => ({
  id,
  debits_pending: '0',
  debits_posted: '0',
  credits_pending: '0',
  credits_posted: '0',
  ...moved,
  ...NOTHING,
  reserved: 0,
  ledger: 1,
  code: 1,
  flags,
  timestamp: '1795248539238683246',
});
const bank = accountOf(BANK_ID, { debits_posted: '250' }, []);
const customer = accountOf(CUSTOMER_ID, { credits_posted: '250' }, [
  'debits_must_not_exceed_credits',
  'history',
]);

const END = { next: null, positions: [{ shard: 0, sequence: 2, timestamp: STAMP }] };

export const QUERY = { ledger: 1, code: 1, timestamp_min: STAMP, limit: 50, flags: ['reversed'] };

export const PAGES = {
  AccountTransferPage: {
    transfers: [{ ...transfer, pending_status: 'none', effect_timestamp: STAMP }],
    ...END,
  },
  AccountBalancePage: {
    balances: [
      {
        debits_pending: '0',
        debits_posted: '0',
        credits_pending: '0',
        credits_posted: '250',
        timestamp: STAMP,
        effect_timestamp: STAMP,
      },
    ],
    ...END,
  },
  AccountPage: { accounts: [customer, bank], ...END },
  TransferPage: { transfers: [{ ...transfer, pending_status: 'none' }], ...END },
  ChangePage: {
    changes: [
      {
        type: 'single_phase',
        timestamp: STAMP,
        transfer,
        debit_account: bank,
        credit_account: customer,
      },
    ],
    ...END,
  },
};
