import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { type DayCoverage, DayCoverageSchema } from "../gen/venuemesh/history/v1/history_pb";
import {
  calendarDays,
  calendarMonths,
  calendarStart,
  dateText,
  DAY_NS,
  dayStart,
  dayText,
  levelOf,
  shareText,
  sumCoverage,
} from "./days";

/** Saturday. */
const LAST_DAY_NS = BigInt(Date.UTC(2026, 10, 21)) * 1_000_000n;

function coverage(coveredShare: number, rest: Partial<DayCoverage> = {}) {
  return create(DayCoverageSchema, {
    dayStartNs: LAST_DAY_NS,
    coveredNs: BigInt(coveredShare * 1_000_000),
    expectedNs: 1_000_000n,
    tradeCount: 1_234n,
    openGapCount: rest.openGapCount ?? 0,
    filledGapCount: rest.filledGapCount ?? 0,
  });
}

test("the calendar begins on the Monday of 53 weeks and ends with the last day", () => {
  expect(dateText(calendarStart(LAST_DAY_NS))).toBe("2025-11-17");
  const days = calendarDays(LAST_DAY_NS, [coverage(1)]);
  expect(days).toHaveLength(52 * 7 + 6);
  expect(days.at(-1)?.coverage?.tradeCount).toBe(1_234n);
  expect(days.at(-2)?.coverage).toBeUndefined();
  // A Monday is the first of its own week, a Sunday the last.
  expect(calendarDays(LAST_DAY_NS + 2n * DAY_NS, [])).toHaveLength(52 * 7 + 1);
  expect(calendarDays(LAST_DAY_NS + DAY_NS, [])).toHaveLength(53 * 7);
  expect(dayStart(LAST_DAY_NS + DAY_NS - 1n)).toBe(LAST_DAY_NS);
});

test("months are labelled at the week in which they begin", () => {
  const months = calendarMonths(calendarDays(LAST_DAY_NS, []));
  expect(months[0]).toEqual([2, "Dec"]);
  expect(months.map(([, name]) => name)).toHaveLength(12);
});

test("a share is cut, so that 100 % means all of it", () => {
  const texts = [1, 0.99999, 0.5, 0.00001].map((share) => shareText(coverage(share)));
  expect(texts).toEqual(["100 %", "99.99 %", "50.00 %", "0.00 %"]);
  expect(shareText({ coveredNs: 0n, expectedNs: 0n })).toBe("0.00 %");
});

test("levels distinguish coverage from days without records", () => {
  const levels = [1, 0.99999, 0.95, 0.7, 0.1, 0].map((share) => levelOf(coverage(share)));
  expect(levels).toEqual(["whole", "almost", "most", "part", "little", "little"]);
  expect(levelOf(undefined)).toBe("nothing");
});

test("a day has a text", () => {
  const day = { startNs: LAST_DAY_NS, coverage: coverage(0.9, { openGapCount: 1 }) };
  expect(dayText(day)).toBe(
    "2026-11-21: 90.00 % coverage, 1,234 trades, 1 open gap, 0 filled gaps",
  );
  expect(dayText({ startNs: LAST_DAY_NS, coverage: undefined })).toBe(
    "2026-11-21: nothing recorded",
  );
});

test("days are summed by duration, not by share", () => {
  const short = create(DayCoverageSchema, { coveredNs: 1n, expectedNs: 1n, filledGapCount: 2 });
  const sum = sumCoverage([short, coverage(0.5, { openGapCount: 3 })]);
  expect(sum).toEqual({
    coveredNs: 500_001n,
    expectedNs: 1_000_001n,
    dayCount: 2,
    tradeCount: 1_234n,
    openGapCount: 3,
    filledGapCount: 2,
  });
});
