/** Entry of the sealer thread; everything it does is in `segment-sealer.ts`. */
import { shortenNearImports } from '../lib/near-imports.ts';

// All else is loaded behind it.
shortenNearImports();
const { runSegmentSealer } = await import('./segment-sealer.ts');

runSegmentSealer();
