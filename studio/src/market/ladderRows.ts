import type { Level } from "./book";
import { alignDecimals, formatScaled, rescale, toNumber } from "../ui/decimal";
import type { Precision } from "../instrument/instruments";

export interface LadderRow {
  readonly price: string;
  readonly size: string;
  /** Sum of the sizes from the best price to this one. */
  readonly total: string;
  /** Length of the depth bar, 0 to 1. */
  readonly depth: number;
}

/** Rows of one side, best price first, with `full` as the total whose bar has the whole length. */
export function ladderRows(
  levels: readonly Level[],
  precision: Precision,
  full: number,
): LadderRow[] {
  const scale = Math.max(0, ...levels.map((level) => level.size.scale));
  let total = 0n;
  return levels.map(({ price, size }) => {
    total += rescale(size, scale);
    const sum = { value: total, scale };
    return {
      price: alignDecimals(formatScaled(price), precision.price),
      size: alignDecimals(formatScaled(size), precision.size),
      total: alignDecimals(formatScaled(sum), precision.size),
      depth: full > 0 ? toNumber(sum) / full : 0,
    };
  });
}

/** Total size of a side, as a number for drawing. */
export function sideTotal(levels: readonly Level[]): number {
  return levels.reduce((sum, level) => sum + toNumber(level.size), 0);
}
