import { BarSource, type Bar } from "../gen/venuemesh/bars/v1/bars_pb";
import { shortUnit } from "../instrument/sizes";

/** Intervals of time, in the order of the chart's buttons. The keys 1 to 9, 0 and - choose them. */
export const TIME_INTERVALS = [
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

/** The rule that ends a bar: a time interval, or "<kind>:<size>", for example "tick:100". */
export type Interval = string;

const KINDS: ReadonlyMap<string, string> = new Map([
  ["tick", "trades"],
  ["volume", "volume"],
  ["value", "value"],
  ["imbalance", "imbalance"],
  ["runs", "runs"],
  ["range", "range"],
  ["renko", "Renko"],
]);

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const SECOND_NS = 1_000_000_000n;
const DAY_NS = 86_400n * SECOND_NS;

export function isInterval(text: string): boolean {
  return isTimeInterval(text) || kindOf(text) !== undefined;
}

export function isTimeInterval(interval: Interval): boolean {
  return (TIME_INTERVALS as readonly string[]).includes(interval);
}

/** Length of an interval of time. 0 for other kinds: their bars end when they are full. */
export function intervalSeconds(interval: Interval): number {
  if (!isTimeInterval(interval)) return 0;
  return Number(interval.slice(0, -1)) * (UNIT_SECONDS[interval.slice(-1)] ?? 0);
}

/** "tick:100" is "100 trades", "renko:10" is "Renko 10", "5m" is "5m". */
export function intervalText(interval: Interval): string {
  const word = kindOf(interval);
  if (word === undefined) return interval;
  const size = interval.slice(interval.indexOf(":") + 1);
  return word === "trades" ? `${size} trades` : `${word} ${size}`;
}

function kindOf(interval: Interval): string | undefined {
  const [, kind = ""] = /^([a-z]+):\d+(?:\.\d+)?$/.exec(interval) ?? [];
  return KINDS.get(kind);
}

/**
 * The ascending slot of a bar within its interval. A bar keeps its slot when late trades
 * move its open time.
 */
export function barSlot(bar: Bar): bigint {
  if (isTimeInterval(bar.interval)) return bar.openTimeNs;
  return bar.openTimeNs - (bar.openTimeNs % DAY_NS) + BigInt(bar.number);
}

/** From the begin of a bar to its end; of kinds other than time, to its last trade. */
export function barLengthNs(bar: Bar): bigint {
  const seconds = intervalSeconds(bar.interval);
  return seconds > 0 ? BigInt(seconds) * SECOND_NS : bar.closeTimeNs - bar.openTimeNs;
}

/** True for a candle of the venue, where no trade was recorded. */
export function isVenueCandle(bar: Bar): boolean {
  return bar.source === BarSource.VENUE_CANDLE;
}

/** The unit of a bar's volume. Empty for a candle of the venue, which may count in another unit. */
export function volumeUnit(bar: Bar, unit: string): string {
  return isVenueCandle(bar) ? "" : shortUnit(unit);
}

/** True if a final bar has no full coverage, so that trades may be missing in it. */
export function isIncomplete(bar: Bar): boolean {
  return bar.final && !isVenueCandle(bar) && bar.coveredNs < barLengthNs(bar);
}

/** Coverage of a bar in whole percent, rounded down: 100 means all of it. */
export function coveragePercent(bar: Bar): number {
  const lengthNs = barLengthNs(bar);
  return lengthNs > 0n ? Number((bar.coveredNs * 100n) / lengthNs) : 100;
}
