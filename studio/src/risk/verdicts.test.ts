import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { type CheckSchema, CheckResult } from "../gen/venuemesh/events/v1/checks_pb";
import { Verdict } from "../gen/venuemesh/events/v1/risk_pb";
import { ReportedVerdictSchema } from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import { checkText, orderText, refusingChecks, verdictText, whoText } from "./verdicts";

const PLACE = { venue: "binance", account: "main", symbol: "BTCUSDT" };

function reported(fields: MessageInitShape<typeof ReportedVerdictSchema>) {
  return create(ReportedVerdictSchema, { ...PLACE, side: Side.BUY, size: "0.01", ...fields });
}

function refusing(check: MessageInitShape<typeof CheckSchema>) {
  const checks = [
    { name: "mode", result: CheckResult.PASSED },
    { name: "exposure_max", result: CheckResult.BLOCKED, ...check },
    { name: "drawdown_max", result: CheckResult.NOTED },
  ];
  return refusingChecks(reported({ verdict: { verdict: Verdict.BLOCK, checks } })).map(checkText);
}

test("only the checks that have blocked it have refused it", () => {
  const values = { observed: "600", projected: "650", limit: "620", unit: "USDT" };
  expect(refusing({ ...values, detail: "of mesh" })).toEqual([
    "exposure_max: 650 of 620 USDT, of mesh",
  ]);
});

test("a value that is not known is said to be so", () => {
  expect(refusing({ limit: "620", unit: "USDT" })).toEqual(["exposure_max: not known of 620 USDT"]);
  expect(refusing({ detail: "needs a stop" })).toEqual(["exposure_max, needs a stop"]);
});

test("an order is said as a sentence", () => {
  expect(orderText(reported({}))).toBe("Buy 0.01 BTCUSDT, binance/main");
  const reduces = { verdict: Verdict.ALLOW, isReduction: true };
  expect(orderText(reported({ side: Side.UNSPECIFIED, size: "", verdict: reduces }))).toBe(
    "Reduce BTCUSDT, binance/main",
  );
  expect(orderText(reported({ venue: "" }))).toBe("");
});

test("a verdict names the strategy or the person", () => {
  expect(whoText(reported({ strategy: "ema" }))).toBe("ema");
  expect(whoText(reported({ caller: "lena" }))).toBe("lena");
  expect(verdictText(reported({ verdict: { verdict: Verdict.STAND_DOWN } }))).toBe("stand down");
  expect(verdictText(reported({}))).toBe("no verdict");
});
