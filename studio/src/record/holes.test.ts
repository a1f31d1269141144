import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { GapReason, GapSchema } from "../gen/venuemesh/common/v1/types_pb";
import { HoleSchema, HoleSource, HoleState } from "../gen/venuemesh/repair/v1/repair_pb";
import { spanLengthText, spanOfGap, spanOfHole, spanText, tradeCountText } from "./holes";

const T = 1_723_127_100_123_000_000n;

test("a hole has a reason, a state and a number of missing trades", () => {
  const hole = create(HoleSchema, {
    holeId: "h1",
    source: HoleSource.TRADE_IDS,
    state: HoleState.UNAVAILABLE,
    startTimeNs: T,
    endTimeNs: T + 3_100_000_000n,
    lastIdBefore: 10n,
    firstIdAfter: 14n,
  });
  const span = spanOfHole(hole);
  expect(span).toMatchObject({ key: "h1", look: "unavailable", reason: "trade ids jump" });
  expect(tradeCountText(span)).toBe("3 trades");
  expect(spanText(span)).toBe("2024-08-08 14:25:00.123 – 14:25:03.223");
  expect(spanLengthText(span)).toBe("3.1 s");
  const ofGap = create(HoleSchema, { source: HoleSource.GAP, reason: GapReason.RECONNECT });
  expect(spanOfHole(ofGap).reason).toBe("reconnect");
  expect(tradeCountText(spanOfHole(ofGap))).toBe("");
});

test("a gap without times is placed where it was noticed", () => {
  const gap = create(GapSchema, { reason: GapReason.OUT_OF_ORDER, detectedTimeNs: T });
  expect(spanOfGap("g", gap)).toMatchObject({ startNs: T, endNs: T, reason: "out of order" });
  const known = create(GapSchema, { lastTimeNs: 5n, firstTimeNs: 9n, detectedTimeNs: T });
  expect(spanOfGap("g", known)).toMatchObject({ startNs: 5n, endNs: 9n });
});

test("a hole over midnight shows both days, and lengths have fitting units", () => {
  const day = 86_400_000_000_000n;
  const over = { ...spanOfGap("g", create(GapSchema, { detectedTimeNs: T })), endNs: T + day };
  expect(spanText(over)).toBe("2024-08-08 14:25:00.123 – 2024-08-09 14:25:00.123");
  const lengths = [0n, 344_000_000n, 59_900_000_000n, 61_000_000_000n];
  expect(lengths.map((length) => spanLengthText({ ...over, endNs: T + length }))).toEqual([
    "< 1 ms",
    "344 ms",
    "59.9 s",
    "1m 1s",
  ]);
});
