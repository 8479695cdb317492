/**
 * One request at the HTTP edge, from the bounds in front of the ledger to the account of how it ended, whatever carries its answer.
 *
 * Its body's bytes were counted as they arrived, and are given back here, once, when the answer was sent.
 */
import type { SyceeError } from '../lib/sycee-error.ts';
import type { EdgeMeter } from './edge-meter.ts';
import type { Edge } from './edge.ts';
import { asSyceeError } from './operation.ts';

export interface AdmittedRequest<To> {
  /** Of the operation, see METERED. */
  readonly index: number;
  readonly bytes: number;
  /** Who gets the answer. */
  readonly to: To;
  readonly refuse: (to: To, problem: SyceeError) => void;
}

/**
 * Hot path. Runs what is asked for within the bounds, and has its outcome sent; what is thrown or rejected on the way becomes the problem that
 * is sent instead. The outcome is sent and accounted for in one callback: each further one would be a promise per request.
 */
export function admit<To, Outcome>(
  { edge, meter }: { readonly edge: Edge; readonly meter: EdgeMeter },
  request: AdmittedRequest<To>,
  start: () => Promise<Outcome>,
  send: (to: To, outcome: Outcome) => void,
): void {
  const started = meter.begin();
  let isEntered = false;
  const leave = (): void => {
    if (isEntered) edge.admission.leave();
    edge.admission.giveBytes(request.bytes);
    meter.end(request.index, started);
  };
  const fail = (error: unknown): void => {
    const problem = asSyceeError(error, edge.log);
    meter.fail(request.index, problem);
    request.refuse(request.to, problem);
    leave();
  };
  const finish = (outcome: Outcome): void => {
    try {
      send(request.to, outcome);
    } catch (error: unknown) {
      fail(error);
      return;
    }
    leave();
  };
  try {
    edge.admission.enter();
    isEntered = true;
    start().then(finish, fail);
  } catch (error: unknown) {
    fail(error);
  }
}
