/** Entry of a thread that fills tables from an image; everything it does is in `image-loader.ts`. */
import { shortenNearImports } from '../lib/near-imports.ts';

// All else is loaded behind it.
shortenNearImports();
const { runImageLoader } = await import('./image-loader.ts');

runImageLoader();
