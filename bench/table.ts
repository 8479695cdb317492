/** Rows of text, in columns. */
import type { Spread } from './figures.ts';

/** The first row is the head. */
export function tableOf(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  );
}

export function spreadText(
  { median, least, greatest }: Spread,
  numberText: (value: number) => string,
): string {
  return `${numberText(median)} (${numberText(least)} to ${numberText(greatest)})`;
}
