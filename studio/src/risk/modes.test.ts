import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { TradingMode } from "../gen/venuemesh/events/v1/risk_pb";
import { ModeStateSchema } from "../gen/venuemesh/inspector/v1/inspector_pb";
import {
  meaningOf,
  modeOf,
  modeOfValue,
  MODES,
  modeTone,
  questionText,
  scopesOf,
  setByText,
} from "./modes";

const HALTED = create(ModeStateSchema, { scope: "venue:okx", mode: TradingMode.HALTED });

test("each mode can be chosen and says what it does", () => {
  for (const [mode, meaning] of MODES) {
    expect(modeOfValue(String(mode))).toBe(mode);
    expect(meaningOf(mode)).toBe(meaning);
  }
  expect(MODES).toHaveLength(5);
  expect(modeTone(TradingMode.STANDING_DOWN)).toBe("bad");
  expect(modeTone(TradingMode.ACTIVE)).toBe("good");
});

test("a scope without a mode of its own is active", () => {
  expect(modeOf([HALTED], "venue:okx")).toBe(TradingMode.HALTED);
  expect(modeOf([HALTED], "venue:binance")).toBe(TradingMode.ACTIVE);
  const question = questionText("venue:okx", modeOf([HALTED], "venue:okx"), TradingMode.ACTIVE);
  expect(question).toBe("Set venue:okx from halted to active?");
});

test("each place has its scopes, once, and the mesh is first", () => {
  const places = [
    { venue: "binance", account: "main", strategy: "ema" },
    { venue: "binance", account: "main" },
  ];
  expect(scopesOf([HALTED], places)).toEqual([
    "mesh",
    "account:binance/main",
    "strategy:ema",
    "venue:binance",
    "venue:okx",
  ]);
});

test("a mode names the person or the rule that has set it", () => {
  expect(setByText(create(ModeStateSchema, { caller: "lena" }))).toBe("lena");
  expect(setByText(create(ModeStateSchema, { rule: "drawdown_max" }))).toBe("rule drawdown_max");
  expect(setByText(create(ModeStateSchema))).toBe("");
});
