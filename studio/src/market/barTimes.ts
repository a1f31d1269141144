import type { Bar } from "../gen/venuemesh/bars/v1/bars_pb";

/** The smallest difference of two numbers of this size that is exact. */
const STEP_SECONDS = 1e-6;

/**
 * Where a chart draws a bar, seconds since the Unix epoch: its open time, or a little later, as a
 * chart wants each time once and bars of kinds other than time may open together.
 */
export function barTime(bar: Bar, before: number | undefined): number {
  const open = Number(bar.openTimeNs / 1_000n) / 1e6;
  return before === undefined ? open : Math.max(open, before + STEP_SECONDS);
}

/** The times of all bars of a chart; see barTime. */
export function barTimes(bars: readonly Bar[]): number[] {
  const times: number[] = [];
  for (const bar of bars) times.push(barTime(bar, times.at(-1)));
  return times;
}
