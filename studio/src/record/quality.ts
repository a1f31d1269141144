import type { Quality } from "../gen/venuemesh/history/v1/history_pb";

/** Possible lower ends of the axis, so that scores near 1 stay readable. */
const FLOORS = [0.999, 0.99, 0.9, 0.5];

/** Scores of windows of one length, oldest first. */
export interface QualityWindow {
  /** "1h", "24h". */
  readonly text: string;
  readonly lengthNs: bigint;
  readonly scores: readonly Quality[];
}

/** The scores by the length of their windows, the shortest first. */
export function byWindow(scores: readonly Quality[]): readonly QualityWindow[] {
  const groups = new Map<bigint, Quality[]>();
  for (const score of scores) {
    const lengthNs = score.windowEndNs - score.windowStartNs;
    const group = groups.get(lengthNs);
    if (group) group.push(score);
    else groups.set(lengthNs, [score]);
  }
  return [...groups]
    .map(([lengthNs, group]) => ({ text: windowText(lengthNs), lengthNs, scores: group }))
    .sort((left, right) => (left.lengthNs < right.lengthNs ? -1 : 1));
}

function windowText(lengthNs: bigint): string {
  const minutes = Number(lengthNs / 60_000_000_000n);
  return minutes % 60 === 0 ? `${minutes / 60}h` : `${minutes}m`;
}

/** "0.9987", rounded down: 1 means that nothing is missing. */
export function scoreText(score: number): string {
  if (score >= 1) return "1";
  return (Math.floor(score * 10_000) / 10_000).toFixed(4);
}

/** The lower end of the axis. */
export function qualityFloor(scores: readonly Quality[]): number {
  const least = Math.min(...scores.map(({ score }) => score));
  return FLOORS.find((floor) => least >= floor) ?? 0;
}

/** Position of a score, each from 0 to 1: oldest to newest, top to bottom. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

export function qualityPoints(scores: readonly Quality[], floor: number): readonly Point[] {
  const first = scores[0]?.computedTimeNs ?? 0n;
  const length = Number((scores.at(-1)?.computedTimeNs ?? 0n) - first);
  return scores.map(({ computedTimeNs, score }) => ({
    x: length > 0 ? Number(computedTimeNs - first) / length : 1,
    y: (1 - score) / (1 - floor),
  }));
}

/** Index of the point nearest to a position from 0 (left) to 1 (right). -1 without points. */
export function nearestPoint(points: readonly Point[], x: number): number {
  const distances = points.map((point) => Math.abs(point.x - x));
  return distances.indexOf(Math.min(...distances));
}
