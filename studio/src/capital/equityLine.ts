import type { AssetEquityHistory, EquityPoint } from "../gen/venuemesh/ledger/v1/equity_pb";
import { alignDecimals, compare, formatScaled, parseDecimal, type Scaled } from "../ui/decimal";

/** What the line shows. */
export type Measure = "profit" | "equity";

/** A value at a time. */
export interface LinePoint {
  /** ns since the Unix epoch. */
  readonly timeNs: bigint;
  /** Exact. */
  readonly text: string;
  /** Each from 0 to 1: left to right, top to bottom. For drawing only. */
  readonly x: number;
  readonly y: number;
}

/** The line of one asset. */
export interface EquityLine {
  /** Oldest first, open positions at their cost. */
  readonly points: readonly LinePoint[];
  /** Now, at market prices. Undefined: a price is not known. */
  readonly market: LinePoint | undefined;
  /** Exact ends of the axis. */
  readonly top: string;
  readonly bottom: string;
  /** Where 0 is on the axis, from 0 (top) to 1. Undefined: outside. */
  readonly zero: number | undefined;
}

const PARTS = 1_000_000n;

/** The line of a history. `market`: the value of now at market prices. */
export function equityLine(
  { points }: AssetEquityHistory,
  measure: Measure,
  market: string | undefined,
): EquityLine | undefined {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last) return undefined;
  const texts = points.map((point) => valueOf(point, measure));
  const values = [...texts, ...(market === undefined ? [] : [market])].map(parseDecimal);
  if (measure === "profit") values.push(ZERO);
  const highest = values.reduce((left, right) => (compare(left, right) >= 0 ? left : right));
  const lowest = values.reduce((left, right) => (compare(left, right) <= 0 ? left : right));
  const height = (text: string) => 1 - shareOf(parseDecimal(text), lowest, highest);
  const lengthNs = last.timeNs - first.timeNs;
  const placed = points.map(({ timeNs }, index) => {
    const text = texts[index] ?? "0";
    const x = lengthNs > 0n ? Number(((timeNs - first.timeNs) * PARTS) / lengthNs) / 1e6 : 1;
    return { timeNs, text, x, y: height(text) };
  });
  const hasZero = compare(lowest, ZERO) <= 0 && compare(highest, ZERO) >= 0;
  return {
    points: placed,
    market:
      market === undefined
        ? undefined
        : { timeNs: last.timeNs, text: market, x: 1, y: height(market) },
    top: exactText(highest),
    bottom: exactText(lowest),
    zero: hasZero ? 1 - shareOf(ZERO, lowest, highest) : undefined,
  };
}

const ZERO: Scaled = { value: 0n, scale: 0 };

export function valueOf(point: EquityPoint, measure: Measure): string {
  return measure === "profit" ? point.netProfit : point.equityAtCost;
}

/** A path of steps: a value stays until the next point. In a square of 100 by 100. */
export function stepPath(points: readonly LinePoint[]): string {
  return points
    .map(({ x, y }, index) => {
      const [across, down] = [(x * 100).toFixed(2), (y * 100).toFixed(2)];
      return index === 0 ? `M${across} ${down}` : `H${across}V${down}`;
    })
    .join("");
}

/** Times at equal distances, for the axis: as many as fit. */
export function axisTimes(points: readonly LinePoint[], count: number): readonly bigint[] {
  const first = points[0]?.timeNs ?? 0n;
  const lengthNs = (points.at(-1)?.timeNs ?? first) - first;
  return Array.from(
    { length: count },
    (_, index) => first + (lengthNs * BigInt(index)) / BigInt(Math.max(count - 1, 1)),
  );
}

/** Where a value is between two others, from 0 to 1; in the middle of two equal ones. */
function shareOf(value: Scaled, low: Scaled, high: Scaled): number {
  const scale = Math.max(value.scale, low.scale, high.scale);
  const at = (one: Scaled) => one.value * 10n ** BigInt(scale - one.scale);
  const length = at(high) - at(low);
  return length === 0n ? 0.5 : Number(((at(value) - at(low)) * PARTS) / length) / 1e6;
}

function exactText(value: Scaled): string {
  return alignDecimals(formatScaled(value), 0);
}
