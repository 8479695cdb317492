/** Entry of the sealer thread; everything it does is in `segment-sealer.ts`. */
import { runSegmentSealer } from './segment-sealer.ts';

runSegmentSealer();
