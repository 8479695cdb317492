/** What both transports are given: the router, the shared admission, and how this server looks from outside. */
import type { Admission } from './admission.ts';
import type { RequestRouter } from './request-router.ts';

export interface Edge {
  readonly router: RequestRouter;
  readonly admission: Admission;
  readonly version: string;
  /** Every shard has recovered, and its journal can be written: there is room on its disk. */
  readonly isReady: () => boolean;
  /** One line of text for the operator. */
  readonly log: (line: string) => void;
}
