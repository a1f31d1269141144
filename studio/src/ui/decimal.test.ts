import { expect, test } from "vitest";

import {
  add,
  alignDecimals,
  compare,
  decimalPlaces,
  formatScaled,
  multiply,
  parseDecimal,
  ratioText,
  signOf,
  subtract,
  sumText,
} from "./decimal";

test.each([
  [6412345n, 2, "64123.45"],
  [5n, 8, "0.00000005"],
  [-5n, 2, "-0.05"],
  [0n, 2, "0.00"],
  [42n, 0, "42"],
  // More digits than a float holds.
  [9007199254740993n, 8, "90071992.54740993"],
])("%s with scale %s is %s, and back", (value, scale, text) => {
  expect(formatScaled({ value, scale })).toBe(text);
  expect(parseDecimal(text)).toEqual({ value, scale });
});

test.each(["", "1e-7", "NaN", ".5", "1.", "1,000", "--1"])("%j is not a decimal", (text) => {
  expect(() => parseDecimal(text)).toThrow(RangeError);
});

test("aligning pads and drops zeros but no significant digit", () => {
  expect(alignDecimals("1.5", 2)).toBe("1.50");
  expect(alignDecimals("1.50000000", 2)).toBe("1.50");
  expect(alignDecimals("1.23450000", 2)).toBe("1.2345");
  expect(alignDecimals("7.000", 0)).toBe("7");
  expect(alignDecimals("100", 0)).toBe("100");
});

test("the places of a step", () => {
  expect(["0.01000000", "1", "0.5", "10.00"].map(decimalPlaces)).toEqual([2, 0, 1, 0]);
});

test("differences and comparison across scales are exact", () => {
  const spread = subtract(parseDecimal("0.30"), parseDecimal("0.1"));
  expect(formatScaled(spread)).toBe("0.20");
  expect(compare(parseDecimal("1.10"), parseDecimal("1.1"))).toBe(0);
  expect(compare(parseDecimal("1.09"), parseDecimal("1.1"))).toBe(-1);
});

test("sums are exact, and have no zeros at their end", () => {
  expect(formatScaled(add(parseDecimal("0.1"), parseDecimal("0.20")))).toBe("0.30");
  expect(sumText(["0.1", "0.20", "-0.000000000000000001"])).toBe("0.299999999999999999");
  expect([sumText([]), sumText(["1.50", "-1.5"])]).toEqual(["0", "0"]);
  expect(["-0.01", "0.00", "7"].map(signOf)).toEqual([-1, 0, 1]);
});

test("products are exact", () => {
  const product = multiply(parseDecimal("90071992.54740993"), parseDecimal("0.00000001"));
  expect(formatScaled(product)).toBe("0.9007199254740993");
});

test("ratios have two decimals and no division by zero", () => {
  expect(ratioText(parseDecimal("-1"), parseDecimal("80"), 100n)).toBe("-1.25");
  expect(ratioText(parseDecimal("0.13"), parseDecimal("64000"), 10_000n)).toBe("0.02");
  expect(ratioText(parseDecimal("1"), parseDecimal("0"), 100n)).toBe("0.00");
});
