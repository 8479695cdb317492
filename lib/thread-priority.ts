/**
 * Lets a thread of background work step back where the cores are fewer than the threads, so that the ones that somebody waits for go first.
 *
 * Linux keeps a priority for each thread, and `setpriority` takes a thread's id, which Node does not tell but /proc does. Elsewhere, or where
 * /proc is hidden, nothing happens: the work is as it was, only not out of the way.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';

const TASKS = '/proc/self/task';
const HIDDEN: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ESRCH']);

/** Lowers the calling thread by so many steps of `nice`. False where that cannot be done. */
export function lowerThreadPriority(steps: number): boolean {
  const thread = threadId();
  if (thread === undefined) return false;
  lower(thread, steps);
  return true;
}

/** The same for the threads of this process whose names begin so. Says how many there are. */
export function lowerThreadsNamed(start: string, steps: number): number {
  const threads = unlessHidden(() => readdirSync(TASKS)) ?? [];
  const named = threads.filter((id) => {
    const name = unlessHidden(() => readFileSync(`${TASKS}/${id}/comm`, 'utf8'));
    return name?.startsWith(start) === true;
  });
  for (const id of named) lower(Number(id), steps);
  return named.length;
}

/** From where it stands: nobody may go up again. */
function lower(thread: number, steps: number): void {
  setPriority(thread, Math.min(getPriority(thread) + steps, constants.priority.PRIORITY_LOW));
}

function threadId(): number | undefined {
  const link = unlessHidden(() => readlinkSync('/proc/thread-self'));
  const id = Number(link?.split('/').at(-1));
  return Number.isSafeInteger(id) && id > 0 ? id : undefined;
}

/** Undefined where /proc does not have it, or does not show it; a thread that has ended meanwhile is not there either. */
function unlessHidden<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error: unknown) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && HIDDEN.has(code)) return undefined;
    throw error;
  }
}
