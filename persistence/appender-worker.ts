/** Entry of a thread that appends; everything it does is in `appender.ts`. */
import { shortenNearImports } from '../lib/near-imports.ts';

// All else is loaded behind it.
shortenNearImports();
const { runAppender } = await import('./appender.ts');

runAppender();
