/** Rows of text, in columns. */
import type { Figures, Spread } from './figures.ts';

/** The first row is the head. */
export function tableOf(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => (row[at] ?? '').length)));
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

/** Figures by name; of those that have percentiles, p50 and p99. */
export function figuresTable(head: string, figures: Figures): string {
  const rows = Object.entries(figures).map(([name, value]) => [
    name.replaceAll('_', ' '),
    ...(value === null || typeof value === 'number'
      ? [numberText(value)]
      : [numberText(value['p50'] ?? null), numberText(value['p99'] ?? null)]),
  ]);
  return tableOf([[head, 'figure, or p50', 'p99'], ...rows]).join('\n');
}

const numberText = (value: number | null): string =>
  value === null ? 'unknown' : value.toLocaleString('en-US', { maximumFractionDigits: 3 });
