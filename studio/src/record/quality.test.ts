import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { QualitySchema } from "../gen/venuemesh/history/v1/history_pb";
import { byWindow, nearestPoint, qualityFloor, qualityPoints, scoreText } from "./quality";

const HOUR_NS = 3_600_000_000_000n;

function quality(computedTime: number, score: number, windowNs = HOUR_NS) {
  const computedTimeNs = BigInt(computedTime);
  const window = { windowStartNs: computedTimeNs - windowNs, windowEndNs: computedTimeNs };
  return create(QualitySchema, { computedTimeNs, score, ...window });
}

test("a score is cut: 1 means that nothing is missing", () => {
  expect([1, 0.99999, 0.5, 0].map(scoreText)).toEqual(["1", "0.9999", "0.5000", "0.0000"]);
});

test("the axis begins below the worst score", () => {
  expect(qualityFloor([quality(1, 1), quality(2, 0.9995)])).toBe(0.999);
  expect(qualityFloor([quality(1, 1), quality(2, 0.3)])).toBe(0);
});

test("scores are placed by time, and the pointer finds the nearest", () => {
  const points = qualityPoints([quality(100, 1), quality(200, 0.5), quality(500, 0)], 0);
  expect(points).toEqual([
    { x: 0, y: 0 },
    { x: 0.25, y: 0.5 },
    { x: 1, y: 1 },
  ]);
  expect([0, 0.2, 0.7].map((x) => nearestPoint(points, x))).toEqual([0, 1, 2]);
  expect(qualityPoints([quality(100, 1)], 0)).toEqual([{ x: 1, y: 0 }]);
});

test("scores are grouped by window length, the shortest first", () => {
  const scores = [quality(1, 0.5, 24n * HOUR_NS), quality(1, 1), quality(2, 1)];
  expect(byWindow(scores).map(({ text, scores: some }) => [text, some.length])).toEqual([
    ["1h", 2],
    ["24h", 1],
  ]);
  expect(byWindow([])).toEqual([]);
});
