/**
 * Writes a plot as SVG: horizontal bars in groups on a logarithmic axis, each with its spread. Text in, text out; no fonts, scripts, or colors
 * from elsewhere, so that it is shown alike in a document, in a browser, and on paper.
 */

export interface Plot {
  readonly title: string;
  /** What the axis counts. */
  readonly axis: string;
  readonly groups: readonly BarGroup[];
  /** Where bars begin: a power of ten, 1 unless given, which is where a ratio is of equals. */
  readonly origin?: number | undefined;
}

export interface BarGroup {
  readonly label: string;
  readonly bars: readonly Bar[];
}

/** All above 0. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly least: number;
  readonly greatest: number;
}

const WIDTH = 860;
const LABELS = 330;
/** Room for a value behind its bar. */
const VALUES = 90;
const MARGIN = 16;
const ROW = 22;
const BAR = 12;
const TITLE = 34;
const AXIS = 40;
const COLORS = ['#2f6f8f', '#b3562d', '#5b7f3a', '#7a5195'];

/** Throws where a value cannot be on a logarithmic axis. */
export function barPlot({ title, axis, groups, origin = 1 }: Plot): string {
  const bars = groups.flatMap((group) => group.bars);
  const bad = bars.find(
    ({ value, least, greatest }) => !(least > 0 && least <= value && value <= greatest),
  );
  if (bad !== undefined) throw new Error(`"${bad.label}" has no place on a logarithmic axis`);
  const room = { from: MARGIN + LABELS, to: WIDTH - MARGIN - VALUES };
  const scale = logScale(bars, room, origin);
  const parts: string[] = [];
  let y = MARGIN + TITLE;
  for (const [index, group] of groups.entries()) {
    parts.push(text(MARGIN, y + ROW / 2, group.label, 'font-weight="bold"'));
    y += ROW;
    for (const bar of group.bars) {
      parts.push(barLine(bar, y, { scale, color: COLORS[index % COLORS.length]! }));
      y += ROW;
    }
  }
  const ticks = scale.ticks.map((tick) =>
    tickLine(scale.at(tick), tick, { top: TITLE, bottom: y, isOrigin: tick === origin }),
  );
  const height = y + AXIS + MARGIN;
  return svgDocument(title, { width: WIDTH, height }, [
    ...ticks,
    ...parts,
    text((MARGIN + LABELS + WIDTH) / 2, y + AXIS - 4, axis, 'text-anchor="middle"'),
  ]);
}

/** A document with its title on it. */
export function svgDocument(
  title: string,
  { width, height }: { readonly width: number; readonly height: number },
  parts: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12" fill="#222">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(MARGIN, MARGIN + 8, title, 'font-size="15" font-weight="bold"'),
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

interface Scale {
  readonly origin: number;
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

/** Whole powers of ten around all values and the origin. */
export function logScale(
  bars: readonly Pick<Bar, 'least' | 'greatest'>[],
  { from, to }: { readonly from: number; readonly to: number },
  origin = 1,
): Scale {
  const low = Math.floor(Math.log10(Math.min(origin, ...bars.map((bar) => bar.least))));
  const high = Math.max(
    low + 1,
    Math.ceil(Math.log10(Math.max(origin, ...bars.map((bar) => bar.greatest)))),
  );
  return {
    origin,
    at: (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from),
    ticks: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)),
  };
}

function barLine(
  bar: Bar,
  y: number,
  { scale, color }: { readonly scale: Scale; readonly color: string },
): string {
  const marks = [scale.origin, bar.value, bar.least, bar.greatest];
  const [one, value, least, greatest] = marks.map((at) => Math.round(scale.at(at)));
  const left = Math.min(one!, value!);
  const middle = y + ROW / 2;
  const whisker = `M${least} ${middle - 4}v8M${least} ${middle}H${greatest}M${greatest} ${middle - 4}v8`;
  return [
    text(MARGIN + LABELS - 8, middle, bar.label, 'text-anchor="end"'),
    `<rect x="${left}" y="${middle - BAR / 2}" width="${Math.max(1, Math.abs(value! - one!))}" height="${BAR}" fill="${color}"/>`,
    `<path d="${whisker}" stroke="#222" fill="none"/>`,
    text(Math.max(greatest!, one!) + 8, middle, shortNumber(bar.value), ''),
  ].join('\n');
}

function tickLine(
  x: number,
  tick: number,
  {
    top,
    bottom,
    isOrigin,
  }: { readonly top: number; readonly bottom: number; readonly isOrigin: boolean },
): string {
  const at = Math.round(x);
  const color = isOrigin ? '#222' : '#ddd';
  return [
    `<path d="M${at} ${MARGIN + top}V${bottom}" stroke="${color}"/>`,
    text(at, bottom + 12, tick.toLocaleString('en-US'), 'text-anchor="middle"'),
  ].join('\n');
}

/** Three digits, which is more than a spread leaves. */
export function shortNumber(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumFractionDigits: 6 });
}

export const text = (x: number, y: number, content: string, attributes: string): string =>
  `<text x="${x}" y="${y}" dominant-baseline="middle" ${attributes}>${escaped(content)}</text>`;

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
