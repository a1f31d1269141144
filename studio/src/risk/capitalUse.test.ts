import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import {
  StrategyCapitalSchema,
  SuppressedSignalsSchema,
} from "../gen/venuemesh/inspector/v1/capital_reports_pb";
import { partText, strategyName, wonText } from "./capitalUse";

test("a part is shown as a percentage, and one that is not known is not 0", () => {
  expect(partText("0.3056")).toBe("30.6 %");
  expect(partText("1.2")).toBe("120 %");
  expect(partText("")).toBeUndefined();
});

test("what no strategy holds is of persons", () => {
  expect(strategyName(create(StrategyCapitalSchema, {}))).toBe("persons");
  expect(strategyName(create(SuppressedSignalsSchema, { strategy: "ema" }))).toBe("ema");
});

test("signals without an outcome have neither won nor lost", () => {
  expect(wonText(create(SuppressedSignalsSchema, { signals: 9, won: 2, lost: 3 }))).toBe("2 of 5");
  expect(wonText(create(SuppressedSignalsSchema, { signals: 9, unknown: 9 }))).toBeUndefined();
});
