/**
 * Short cut for imports of this repository's own files, for one thread: a path that is written out, `./ring.ts`, is what it says. Node would look
 * for a package.json in all directories above it, and for links in it, a sixth of what the start of a shard's thread takes.
 *
 * A file that is not there still fails, when it is read. Packages and built-in modules are left to Node.
 */
import { registerHooks } from 'node:module';

export function shortenNearImports(): void {
  registerHooks({
    resolve: (specifier, context, next) => {
      const { parentURL } = context;
      const isNear = specifier.startsWith('.') && specifier.endsWith('.ts');
      if (!isNear || parentURL === undefined) return next(specifier, context);
      const { href } = new URL(specifier, parentURL);
      return { url: href, format: 'module-typescript', shortCircuit: true };
    },
  });
}
