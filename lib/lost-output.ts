/**
 * What becomes of a process when nobody takes its output any more. A command has nothing left to do: it ends without a word when its reader has
 * seen enough, as `head` has, and with a sentence when the output cannot be written. A ledger goes on: it does not live for its log.
 */

/** By the habit of shells: 128 and the number of SIGPIPE. */
const EXIT_CLOSED = 141;

export function mindLostOutput(goesOn: boolean): void {
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (goesOn) return;
    if (error.code === 'EPIPE') process.exit(EXIT_CLOSED);
    process.stderr.write(`sycee: standard output cannot be written: ${error.message}\n`);
    process.exit(1);
  });
}
