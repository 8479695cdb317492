/** A directory for what a tool needs for a while, outside of the one that it looks at. Only its owner can read it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Scratch implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'sycee-tool-'));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
