import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { TradingMode } from "../gen/venuemesh/events/v1/risk_pb";
import {
  LimitUseSchema,
  ListLimitsResponseSchema,
} from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import {
  consequenceText,
  filledPart,
  modesText,
  nearnessOf,
  sortedLimits,
  usedText,
} from "./limits";

function limit(fields: MessageInitShape<typeof LimitUseSchema>) {
  const base = { name: "exposure_max", scope: "mesh", limit: "1000", observed: "500" };
  return create(LimitUseSchema, { ...base, used: "0.5", ...fields });
}

const UNKNOWN = limit({ observed: "", used: "", problem: "no price" });
const BEYOND = limit({ observed: "1200", used: "1.2", isBeyond: true });
const OF_ORDERS = limit({ observed: "", used: "", isOfOrders: true });

test("a limit is near from four fifths on", () => {
  expect(nearnessOf(limit({ used: "0.7999" }))).toBe("within");
  expect(nearnessOf(limit({ used: "0.8" }))).toBe("near");
});

test("a value that is not known is never within its limit", () => {
  expect(nearnessOf(UNKNOWN)).toBe("unknown");
  expect(usedText(UNKNOWN)).toBe("");
  expect(nearnessOf(OF_ORDERS)).toBe("of_orders");
});

test("what needs a person comes first, then the most used", () => {
  const little = limit({ used: "0.1" });
  const limits = [OF_ORDERS, little, limit({}), UNKNOWN, BEYOND];
  const sorted = sortedLimits(create(ListLimitsResponseSchema, { limits }));
  expect(sorted).toEqual([BEYOND, UNKNOWN, limit({}), little, OF_ORDERS]);
});

test("the used part is exact, and the bar ends at the limit", () => {
  expect(usedText(limit({ used: "0.3751" }))).toBe("37.51 %");
  expect(usedText(limit({ used: "0" }))).toBe("0 %");
  expect(filledPart(BEYOND)).toBe(1);
  // A minimum that nothing is left of has no used part.
  expect(filledPart(limit({ used: "", isBeyond: true }))).toBe(1);
});

test("the words say what a limit does, from which part on and for how long", () => {
  expect(modesText(limit({}))).toBe("");
  expect(consequenceText(limit({}))).toBe("Entries beyond it are blocked.");
  const escalations = [
    { mode: TradingMode.THROTTLED, share: "0.8", releaseSeconds: 3600 },
    { mode: TradingMode.CLOSING_ALL, share: "1" },
  ];
  expect(modesText(limit({ escalations }))).toBe("throttled from 80 % on, closing all");
  expect(consequenceText(limit({ escalations }))).toBe(
    "Entries beyond it are blocked. throttled: until the value was within it for 1h 0m" +
      " closing all: until a person ends it",
  );
});
