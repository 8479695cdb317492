/** Writes a plot of lines as SVG: each goes from point to point over a common horizontal axis; both axes begin at 0. */
import { shortNumber, svgDocument, text } from './plot.ts';

export interface LinePlot {
  readonly title: string;
  readonly horizontal: string;
  readonly vertical: string;
  readonly lines: readonly Line[];
}

export interface Line {
  readonly label: string;
  /** From left to right. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

const WIDTH = 860;
const HEIGHT = 420;
const LEFT = 80;
const RIGHT = 24;
const TOP = 76;
const BOTTOM = 56;
const TICKS = 5;
const COLORS = ['#2f6f8f', '#b3562d', '#5b7f3a', '#7a5195'];

export function linePlot({ title, horizontal, vertical, lines }: LinePlot): string {
  const all = lines.flatMap(({ points }) => points);
  const [xMax, yMax] = [0, 1].map((axis) => roundUp(Math.max(...all.map((point) => point[axis]!))));
  const x = (value: number): number => LEFT + (value / xMax!) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => HEIGHT - BOTTOM - (value / yMax!) * (HEIGHT - TOP - BOTTOM);
  const ticks = Array.from({ length: TICKS + 1 }, (_, i) => i / TICKS);
  return svgDocument(title, { width: WIDTH, height: HEIGHT }, [
    ...ticks.flatMap((part) => [
      `<path d="M${round(x(part * xMax!))} ${TOP}V${HEIGHT - BOTTOM}" stroke="#ddd"/>`,
      `<path d="M${LEFT} ${round(y(part * yMax!))}H${WIDTH - RIGHT}" stroke="#ddd"/>`,
      text(x(part * xMax!), HEIGHT - BOTTOM + 14, shortNumber(part * xMax!), MIDDLE),
      text(LEFT - 8, y(part * yMax!), shortNumber(part * yMax!), 'text-anchor="end"'),
    ]),
    ...lines.flatMap(({ label, points }, at) => {
      const color = COLORS[at % COLORS.length]!;
      const path = points.map(([px, py]) => `${round(x(px))},${round(y(py))}`).join(' ');
      return [
        `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2"/>`,
        `<rect x="${LEFT + at * 190}" y="46" width="12" height="12" fill="${color}"/>`,
        text(LEFT + at * 190 + 18, 52, label, ''),
      ];
    }),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, horizontal, MIDDLE),
    `<g transform="rotate(-90 18 ${HEIGHT / 2})">${text(18, HEIGHT / 2, vertical, MIDDLE)}</g>`,
  ]);
}

const MIDDLE = 'text-anchor="middle"';
const round = (value: number): number => Math.round(value * 10) / 10;

/** To a number with one digit, or one and a half, so that ticks are short. */
export function roundUp(value: number): number {
  if (!(value > 0 && Number.isFinite(value))) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
  return power * steps.find((step) => step * power >= value * 0.999_999)!;
}
