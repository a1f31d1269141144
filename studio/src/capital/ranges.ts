const HOUR_NS = 3_600_000_000_000n;

/** How far back the equity is shown. */
export type Range = "1h" | "1d" | "1w" | "all";

/** Their lengths, ns. 0: from the first entry on. */
export const RANGES: Readonly<Record<Range, bigint>> = {
  "1h": HOUR_NS,
  "1d": 24n * HOUR_NS,
  "1w": 168n * HOUR_NS,
  all: 0n,
};
