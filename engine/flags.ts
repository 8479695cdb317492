/** The flag bits of accounts and transfers, TigerBeetle's; every other bit is reserved. */
export const AccountFlags = {
  linked: 1,
  debitsMustNotExceedCredits: 2,
  creditsMustNotExceedDebits: 4,
  history: 8,
  imported: 16,
  closed: 32,
} as const;
export const ACCOUNT_FLAGS_ALL = 0x3f;

export const TransferFlags = {
  linked: 1,
  pending: 2,
  postPendingTransfer: 4,
  voidPendingTransfer: 8,
  balancingDebit: 16,
  balancingCredit: 32,
  closingDebit: 64,
  closingCredit: 128,
  imported: 256,
} as const;
export const TRANSFER_FLAGS_ALL = 0x1ff;

/** Posts and voids: transfers that end a pending one, and may leave fields to be inherited from it. */
export const RESOLVING = TransferFlags.postPendingTransfer | TransferFlags.voidPendingTransfer;
export const BALANCING = TransferFlags.balancingDebit | TransferFlags.balancingCredit;
export const CLOSING = TransferFlags.closingDebit | TransferFlags.closingCredit;
/** With one of these the stored transfer may differ from the event: its record is a row of its own in the journal. */
export const REWRITTEN = RESOLVING | BALANCING;
