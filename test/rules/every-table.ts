import { ACCOUNT_TABLES } from './account-tables.ts';
import { IDEMPOTENCY_TABLES } from './idempotency-tables.ts';
import type { RuleTable } from './rule-table.ts';
import { TRANSFER_TABLES } from './transfer-tables.ts';

/** In the order of reading. A table's place here keeps its ids apart from the others'. */
export const EVERY_TABLE: readonly RuleTable[] = [
  ...ACCOUNT_TABLES,
  ...TRANSFER_TABLES,
  ...IDEMPOTENCY_TABLES,
];
