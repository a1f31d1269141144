import { expect, test } from "vitest";

import {
  formatBytes,
  formatCount,
  formatDateTime,
  formatDuration,
  formatMillis,
  formatRate,
  formatTime,
} from "./format";

test("counts and rates", () => {
  expect(formatCount(1234567n)).toBe("1,234,567");
  expect([0, 0.44, 9.96, 1234.5].map(formatRate)).toEqual(["0", "0.4", "10.0", "1,235"]);
});

test("durations have two units at most", () => {
  const texts = [0, 5_900, 65_000, 3_600_000, 93_784_000].map(formatDuration);
  expect(texts).toEqual(["0s", "5s", "1m 5s", "1h 0m", "1d 2h"]);
  expect([0.42, 42.4, 1_500, 120_000].map(formatMillis)).toEqual([
    "0.4 ms",
    "42 ms",
    "1.5 s",
    "2m 0s",
  ]);
});

test("memory", () => {
  expect([73_400_320n, 1_610_612_736n].map(formatBytes)).toEqual(["70 MiB", "1.50 GiB"]);
});

test("times are UTC and cut, not rounded", () => {
  expect(formatTime(1_723_127_100_123_999_999n)).toBe("14:25:00.123");
  expect(formatDateTime(1_723_127_100_123_999_999n)).toBe("2024-08-08 14:25:00");
  expect(formatTime(10n ** 30n)).toBe("");
});
