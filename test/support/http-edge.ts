/** What an HTTP edge is made of, for tests: a fake router behind it, and the lines that it logs; and what its clients send. */
import { Admission, type AdmissionLimits } from '../../gateway/admission.ts';
import { EdgeMeter } from '../../gateway/edge-meter.ts';
import type { HttpOptions } from '../../gateway/http-server.ts';
import { Metrics } from '../../gateway/metrics.ts';
import { areWritable } from '../../gateway/readiness.ts';
import { FakeRouter } from './fake-router.ts';

/** A transfer as a client of any edge may write it. */
export const TRANSFER = {
  id: 9,
  debit_account_id: 1,
  credit_account_id: '2',
  amount: 5,
  ledger: 1,
  code: 1,
};

export interface HttpEdge {
  readonly router: FakeRouter;
  readonly admission: Admission;
  readonly meter: EdgeMeter;
  readonly options: HttpOptions;
  readonly lines: string[];
}

export function httpEdge(
  changes: Partial<HttpOptions> = {},
  limits: AdmissionLimits = {},
): HttpEdge {
  const router = new FakeRouter();
  const admission = new Admission(limits);
  const meter = new EdgeMeter('http');
  const lines: string[] = [];
  const edge = {
    router,
    admission,
    version: '1.2.3',
    isReady: () => areWritable(router.status()),
    log: (line: string) => lines.push(line),
  };
  const metrics = new Metrics({ version: '1.2.3', shards: () => [], meters: [meter], admission });
  return { router, admission, meter, lines, options: { edge, meter, metrics, ...changes } };
}
