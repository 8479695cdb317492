/** Entry of the sealer thread; everything it does is in `segment-sealer.ts`. */
import { workerData } from 'node:worker_threads';
import { shortenNearImports } from '../lib/near-imports.ts';
import { lowerThreadPriority } from '../lib/thread-priority.ts';
import type { SealerSettings } from './segment-sealer.ts';

// Before all else is loaded.
const { stepsBack } = workerData as SealerSettings;
if (stepsBack > 0) lowerThreadPriority(stepsBack);
shortenNearImports();
const { runSegmentSealer } = await import('./segment-sealer.ts');

runSegmentSealer();
