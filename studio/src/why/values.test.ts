import { expect, test } from "vitest";

import { shownValue } from "./values";

test("a number of ns since the epoch is shown as a time", () => {
  expect(shownValue("1793628309123456789", "ns")).toEqual({
    text: "2026-11-02 14:05:09",
    unit: "UTC",
  });
});

test.each([
  ["250000000", "ns"],
  ["", "ns"],
  ["1793628309123456789", "USDT"],
  ["0.005", "ratio"],
])("%j in %j is shown as it is", (value, unit) => {
  expect(shownValue(value, unit)).toEqual({ text: value, unit });
});
