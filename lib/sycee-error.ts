/** What a caller can meet besides ledger outcomes: the code is the same on every edge and in every client. */
export const ERROR_CODES = [
  'malformed_request',
  'unauthorized',
  'too_large',
  'unsupported_media_type',
  'overloaded',
  'not_ready',
  'shard_unavailable',
  'segment_archived',
  'storage_full',
  'deadline_exceeded',
  'unknown',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** HTTP status of each code; NATS carries the same number in `Nats-Service-Error-Code`. */
export const ERROR_HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  malformed_request: 400,
  unauthorized: 401,
  too_large: 413,
  unsupported_media_type: 415,
  overloaded: 429,
  not_ready: 503,
  shard_unavailable: 503,
  segment_archived: 503,
  storage_full: 507,
  deadline_exceeded: 504,
  unknown: 504,
};

const RETRYABLE = new Set<ErrorCode>([
  'overloaded',
  'not_ready',
  'shard_unavailable',
  'segment_archived',
  'storage_full',
  'deadline_exceeded',
  'unknown',
]);

export interface SyceeErrorDetails {
  readonly field?: string;
  readonly rule?: string;
  readonly cause?: unknown;
  /** Where it is another than the code's. */
  readonly retryable?: boolean;
}

/** Recognise it by `code`. `retryable` says that the same request with the same ids may be sent again. */
export class SyceeError extends Error {
  override readonly name = 'SyceeError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  /** For malformed_request: which field, and which rule it breaks. */
  readonly field: string | undefined;
  readonly rule: string | undefined;

  constructor(code: ErrorCode, message: string, details: SyceeErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryable = details.retryable ?? RETRYABLE.has(code);
    this.field = details.field;
    this.rule = details.rule;
  }
}
