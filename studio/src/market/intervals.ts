import type { Bar } from "../gen/venuemesh/bars/v1/bars_pb";

/** Bar intervals, in the order of the chart's buttons. The keys 1 to 9, 0 and - choose them. */
export const INTERVALS = [
  "1s",
  "5s",
  "15s",
  "1m",
  "5m",
  "15m",
  "30m",
  "1h",
  "4h",
  "1d",
  "1w",
] as const;

export type Interval = (typeof INTERVALS)[number];

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

export function intervalSeconds(interval: Interval): number {
  return Number(interval.slice(0, -1)) * (UNIT_SECONDS[interval.slice(-1)] ?? 0);
}

export function isInterval(text: string): text is Interval {
  return (INTERVALS as readonly string[]).includes(text);
}

/** Open time of a bar as charts want it, seconds. Every interval is whole seconds. */
export function barSeconds(bar: Bar): number {
  return Number(bar.openTimeNs / 1_000_000_000n);
}

/** True when a part of a finished bar was not watched, so that trades may be missing in it. */
export function isIncomplete(bar: Bar, intervalNs: bigint): boolean {
  return bar.final && bar.coveredNs < intervalNs;
}

/** The watched part of a bar in whole percent, rounded down, so that 100 means all of it. */
export function coveragePercent(bar: Bar, intervalNs: bigint): number {
  return Number((bar.coveredNs * 100n) / intervalNs);
}
