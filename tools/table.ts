/** Tables for people: columns as wide as they must be, numbers to the right so that their digits stand below each other. */
import type { Sink } from './sink.ts';

export interface TableColumn {
  readonly title: string;
  readonly isNumber?: boolean;
}

/** Calls `rows` twice, first for the widths: a table may be longer than memory. An empty one is only its titles. */
export function writeTable(
  sink: Pick<Sink, 'line'>,
  columns: readonly TableColumn[],
  rows: () => Iterable<readonly string[]>,
): void {
  const widths = columns.map(({ title }) => title.length);
  for (const cells of rows()) {
    for (const [i, cell] of cells.entries()) {
      if (cell.length > widths[i]!) widths[i] = cell.length;
    }
  }
  const lineOf = (cells: readonly string[]): string =>
    cells
      .map((cell, i) =>
        columns[i]!.isNumber === true ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!),
      )
      .join('  ')
      .trimEnd();
  sink.line(lineOf(columns.map(({ title }) => title)));
  for (const cells of rows()) sink.line(lineOf(cells));
}

/** A cell of a CSV line. Only names have anything that needs quotes. */
export function csvLine(cells: readonly string[]): string {
  return cells
    .map((cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell))
    .join(',');
}

/** Columns of titles in which the marked ones are numbers. */
export function columnsOf(titles: string): readonly TableColumn[] {
  return titles.split(' ').map((title) => {
    const isNumber = title.endsWith('#');
    return { title: (isNumber ? title.slice(0, -1) : title).replaceAll('_', ' '), isNumber };
  });
}
