import { ACCOUNT_TABLES } from './account-tables.ts';
import { BALANCING_TABLES } from './balancing-tables.ts';
import { CHAIN_TABLES } from './chain-tables.ts';
import { CLOSING_TABLES } from './closing-tables.ts';
import { EXPIRY_TABLES, LAST_TABLES } from './expiry-tables.ts';
import { HISTORY_TABLES } from './history-tables.ts';
import { IDEMPOTENCY_TABLES } from './idempotency-tables.ts';
import { IMPORTED_TABLES } from './imported-tables.ts';
import { PENDING_TABLES } from './pending-tables.ts';
import { POST_TABLES } from './post-tables.ts';
import type { RuleTable } from './rule-table.ts';
import { TRANSFER_TABLES } from './transfer-tables.ts';

/** In the order of reading. A table's place here keeps its ids apart from the others'. */
export const EVERY_TABLE: readonly RuleTable[] = [
  ...ACCOUNT_TABLES,
  ...TRANSFER_TABLES,
  ...IDEMPOTENCY_TABLES,
  ...PENDING_TABLES,
  ...POST_TABLES,
  ...EXPIRY_TABLES,
  ...CLOSING_TABLES,
  ...BALANCING_TABLES,
  ...CHAIN_TABLES,
  ...IMPORTED_TABLES,
  ...HISTORY_TABLES,
  ...LAST_TABLES,
];
