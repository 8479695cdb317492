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
      const url = nearUrl(specifier, context.parentURL);
      if (url === null) return next(specifier, context);
      return { url, format: 'module-typescript', shortCircuit: true };
    },
  });
}

/** Puts the two together as text: taking addresses apart takes as long as all else here, some hundred times in every thread. */
function nearUrl(specifier: string, parent: string | undefined): string | null {
  if (!specifier.startsWith('.') || !specifier.endsWith('.ts')) return null;
  if (parent?.startsWith('file:') !== true) return null;
  let directory = parent.slice(0, parent.lastIndexOf('/'));
  let rest = specifier.replace(/^\.\//u, '');
  while (rest.startsWith('../')) {
    directory = directory.slice(0, directory.lastIndexOf('/'));
    rest = rest.slice(3);
  }
  // What has more to it, a dot in its midst or a character that is written otherwise in an address, is Node's.
  return /^[\w-]+(?:[./][\w-]+)*$/u.test(rest) ? `${directory}/${rest}` : null;
}
