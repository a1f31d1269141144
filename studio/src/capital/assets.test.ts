import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { GetEquityHistoryResponseSchema } from "../gen/venuemesh/ledger/v1/equity_pb";
import { ProfitSchema } from "../gen/venuemesh/ledger/v1/ledger_pb";
import { assetsOf, chosenAsset } from "./assets";

const HISTORY = create(GetEquityHistoryResponseSchema, {
  histories: [{ asset: "BTC" }, { asset: "USDT" }],
});

function profit(
  asset: string,
  realized: string,
  unrealized: string,
  unpricedSymbols: string[] = [],
) {
  return create(ProfitSchema, { asset, realized, unrealized, unpricedSymbols });
}

test("the asset with the most profits is shown until another one is chosen", () => {
  const profits = [profit("BNB", "0", "0"), profit("USDT", "0", "", ["BTCUSDT"])];
  expect(assetsOf(profits, HISTORY)).toEqual(["BNB", "USDT", "BTC"]);
  expect(chosenAsset("", profits, HISTORY)).toBe("USDT");
  expect(chosenAsset("BTC", profits, HISTORY)).toBe("BTC");
  expect(chosenAsset("GONE", profits, HISTORY)).toBe("USDT");
});

test("without profits it is what is held, and without both nothing", () => {
  expect(chosenAsset("", [], HISTORY)).toBe("BTC");
  expect(chosenAsset("", undefined, undefined)).toBe("");
});
