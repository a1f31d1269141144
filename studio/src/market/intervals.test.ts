import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { BarSchema } from "../gen/venuemesh/bars/v1/bars_pb";
import { coveragePercent, intervalText, isIncomplete, isInterval } from "./intervals";

test("intervals of time and of other kinds are known, others are not", () => {
  const known = ["1s", "1w", "tick:100", "volume:0.5", "renko:10"];
  expect(known.filter(isInterval)).toEqual(known);
  expect(["7m", "lunar:7", "tick:", "tick:x", "constructor:1"].filter(isInterval)).toEqual([]);
  expect(["5m", "tick:100", "renko:10"].map(intervalText)).toEqual([
    "5m",
    "100 trades",
    "Renko 10",
  ]);
});

test("a bar is complete when all of its time is covered", () => {
  const time = create(BarSchema, { interval: "1s", final: true, coveredNs: 999_999_999n });
  expect([isIncomplete(time), coveragePercent(time)]).toEqual([true, 99]);
  const whole = { ...time, coveredNs: 1_000_000_000n };
  expect([isIncomplete(whole), coveragePercent(whole)]).toEqual([false, 100]);
  expect(isIncomplete({ ...time, final: false })).toBe(false);
  const tick = create(BarSchema, { interval: "tick:2", final: true, openTimeNs: 5n });
  expect(isIncomplete({ ...tick, closeTimeNs: 5n })).toBe(false);
  expect(isIncomplete({ ...tick, closeTimeNs: 9n, coveredNs: 3n })).toBe(true);
});
