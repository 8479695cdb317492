/**
 * Questions about the past that both transports serve: a filter to the router, its page to bytes. An invalid filter is answered here, with
 * an empty page. Where an answer may not exceed some bytes, fewer rows are asked for than the limit says: a page of rows at their widest
 * fits, and `next` leads on.
 */
import { SyceeError } from '../lib/sycee-error.ts';
import { encodingOfBody } from './parse-command.ts';
import { parseFilter, parseFilterOfUrl } from './parse-filter.ts';
import type { RequestRouter } from './request-router.ts';
import {
  CURSOR_CHARS_MAX,
  emptyPage,
  type FilterOf,
  isVoidFilter,
  type PageOf,
  type QueryOperation,
} from './wire-codec-filters.ts';
import { encodePage, type PageForm, rowBytesMax } from './wire-codec-pages.ts';
import type { Encoding } from './wire-codec.ts';

/** Field names, the cursor, and the positions of 64 shards. */
const PAGE_FRAME_BYTES = CURSOR_CHARS_MAX + 8192;

export interface QueryOptions {
  readonly encoding?: Encoding | undefined;
  /** Bytes that an answer may have. */
  readonly answerBytesMax?: number | undefined;
  readonly deadlineMs: number;
}

export interface QueryAnswer {
  readonly payload: string | Uint8Array;
  readonly encoding: Encoding;
  readonly httpStatus: 200;
}

/** Throws what can be seen from the bytes alone. */
export function startQuery(
  router: RequestRouter,
  operation: QueryOperation,
  body: Uint8Array,
  options: QueryOptions,
): Promise<QueryAnswer> {
  const encoding = encodingOfBody(body);
  refuseOtherEncoding(encoding, options.encoding);
  const { filter, hasColumns } = parseFilter(operation, encoding, body);
  const form = { encoding, hasColumns };
  const asked = fittingFilter(operation, filter, form, options.answerBytesMax);
  return answerOf(router, operation, asked, { form, deadlineMs: options.deadlineMs });
}

/** The same for a filter that stands in a URL: `query` is what is behind the `?`, `account` is the one that the path names. */
export function startUrlQuery(
  router: RequestRouter,
  operation: QueryOperation,
  url: { readonly query: string; readonly account: bigint | undefined },
  deadlineMs: number,
): Promise<QueryAnswer> {
  const filter = parseFilterOfUrl(operation, url.query, url.account);
  const form: PageForm = { encoding: 'json', hasColumns: false };
  return answerOf(router, operation, filter, { form, deadlineMs });
}

async function answerOf<O extends QueryOperation>(
  router: RequestRouter,
  operation: O,
  filter: FilterOf<O>,
  options: { readonly form: PageForm; readonly deadlineMs: number },
): Promise<QueryAnswer> {
  const { form, deadlineMs } = options;
  const page = isVoidFilter(filter)
    ? emptyPage(operation)
    : await ASK[operation](router, filter, deadlineMs);
  return { payload: encodePage(operation, form, page), encoding: form.encoding, httpStatus: 200 };
}

function fittingFilter<O extends QueryOperation>(
  operation: O,
  filter: FilterOf<O>,
  form: PageForm,
  bytesMax: number | undefined,
): FilterOf<O> {
  if (bytesMax === undefined) return filter;
  const rows = Math.floor((bytesMax - PAGE_FRAME_BYTES) / rowBytesMax(operation, form));
  return rows >= filter.limit ? filter : { ...filter, limit: Math.max(rows, 1) };
}

const ASK: {
  readonly [O in QueryOperation]: (
    router: RequestRouter,
    filter: FilterOf<O>,
    deadlineMs: number,
  ) => Promise<PageOf<O>>;
} = {
  get_account_transfers: (router, ...asked) => router.getAccountTransfers(...asked),
  get_account_balances: (router, ...asked) => router.getAccountBalances(...asked),
  query_accounts: (router, ...asked) => router.queryAccounts(...asked),
  query_transfers: (router, ...asked) => router.queryTransfers(...asked),
  get_change_events: (router, ...asked) => router.getChangeEvents(...asked),
};

export function refuseOtherEncoding(encoding: Encoding, declared: Encoding | undefined): void {
  if (declared === undefined || encoding === declared) return;
  throw new SyceeError(
    'malformed_request',
    `the Content-Type says ${declared}, but the body is ${encoding}`,
    { field: 'Content-Type', rule: 'names the encoding of the body' },
  );
}
