/** The command line within this process: what it ends with, and what it has said. */
import { main } from '../../cli.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- Documents of many shapes, whose fields are then compared.
export type Json = Readonly<Record<string, any>>;

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly log: string;
}

export async function sycee(...args: readonly string[]): Promise<Ran> {
  const out: string[] = [];
  const log: string[] = [];
  const code = await main(args, { out: (text) => out.push(text), log: (line) => log.push(line) });
  return { code, out: out.join('\n'), log: log.join('\n') };
}

/** The document of a verb, beside the code and what was logged. */
export async function syceeJson(...args: readonly string[]): Promise<Json> {
  const { code, out, log } = await sycee(...args, '--json');
  return { code, log, ...(out === '' ? {} : (JSON.parse(out) as Json)) };
}
