import type { HoleList, HoleLook, HoleSpan } from "../record/holes";
import type { Bar } from "../gen/venuemesh/bars/v1/bars_pb";
import type { Polled } from "../state/poll";
import type { GapNotice } from "./gaps";
import { barLengthNs } from "./intervals";

/** Repair waits for late trades before a gap becomes a hole. */
const JUDGED_AFTER_NS = 30_000_000_000n;

/**
 * What the chart shades: the holes that Repair knows, and gaps that it has not had the time to
 * judge. While Repair does not answer, all gaps.
 */
export function chartHoles(
  { value, failure }: Polled<HoleList>,
  notices: readonly GapNotice[],
): readonly HoleSpan[] {
  const holes = value?.spans ?? [];
  const judgedNs = value && !failure ? value.askedNs - JUDGED_AFTER_NS : 0n;
  const gaps = notices.filter(
    ({ channel, detectedTimeNs, span }) =>
      channel === "trades" &&
      detectedTimeNs >= judgedNs &&
      // A gap that has become a hole is drawn once.
      !holes.some((hole) => overlaps(hole, span)),
  );
  return [...holes, ...gaps.map(({ span }) => span)];
}

function overlaps(left: HoleSpan, right: HoleSpan): boolean {
  return left.startNs <= right.endNs && right.startNs <= left.endNs;
}

/** How many spans of each look there are. */
export function countLooks(spans: readonly HoleSpan[]): Record<HoleLook, number> {
  const counts = { open: 0, in_repair: 0, filled: 0, unavailable: 0 };
  for (const { look } of spans) counts[look] += 1;
  return counts;
}

/**
 * Position of a time among bars by open time: bar i spans i - 0.5 to i + 0.5. A
 * time between two bars, in which nothing was traded, is the edge between them.
 */
export function timePosition(bars: readonly Bar[], timeNs: bigint): number {
  const index = lastOpenIndex(bars, timeNs);
  const bar = bars[index];
  if (!bar) return -0.5;
  const lengthNs = Number(barLengthNs(bar));
  const share = lengthNs > 0 ? Number(timeNs - bar.openTimeNs) / lengthNs : 1;
  return index - 0.5 + Math.min(1, share);
}

/** Index of the last bar that opens at or before the time; -1 when there is none. */
export function lastOpenIndex(bars: readonly Bar[], timeNs: bigint): number {
  let low = 0;
  let high = bars.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const bar = bars[middle];
    if (bar && bar.openTimeNs <= timeNs) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
