/**
 * Lets a thread of background work step back where the cores are fewer than the threads, so that the ones that somebody waits for go first.
 *
 * Linux keeps a priority for each thread, and `setpriority` takes a thread's id, which Node does not tell but /proc does. Elsewhere, or where
 * /proc is hidden, nothing happens: the work is as it was, only not out of the way.
 */
import { readlinkSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';

/** Lowers the calling thread by so many steps of `nice`. False where that cannot be done. */
export function lowerThreadPriority(steps: number): boolean {
  const thread = threadId();
  if (thread === undefined) return false;
  // From where the process stands: nobody may go up again.
  setPriority(thread, Math.min(getPriority(thread) + steps, constants.priority.PRIORITY_LOW));
  return true;
}

function threadId(): number | undefined {
  let link: string;
  try {
    link = readlinkSync('/proc/thread-self');
  } catch (error: unknown) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EACCES' || code === 'EPERM') return undefined;
    throw error;
  }
  const id = Number(link.split('/').at(-1));
  return Number.isSafeInteger(id) && id > 0 ? id : undefined;
}
