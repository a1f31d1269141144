import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { ProfitSchema } from "../gen/venuemesh/ledger/v1/ledger_pb";
import { addProfits, ownerText, unpricedText } from "./profits";

function profit(changes: MessageInitShape<typeof ProfitSchema>) {
  const zero = { realized: "0", fees: "0", funding: "0", unrealized: "0" };
  return create(ProfitSchema, { asset: "USDT", ...zero, ...changes });
}

test("the parts are added up exactly", () => {
  const parts = addProfits([
    profit({ realized: "10.1", fees: "-0.000000000000000001", unrealized: "-2" }),
    profit({ realized: "-0.1", funding: "0.25", unrealized: "1" }),
  ]);
  expect(parts).toMatchObject({ realized: "10", fees: "-0.000000000000000001", unrealized: "-1" });
  expect(parts.net).toBe("9.249999999999999999");
});

test("one unknown price makes the sum unknown, and is named", () => {
  const parts = addProfits([
    profit({ unrealized: "5" }),
    profit({ unrealized: "", unpricedSymbols: ["ETHUSDT"] }),
    profit({ unrealized: "", unpricedSymbols: ["BTCUSDT", "ETHUSDT"] }),
  ]);
  expect([parts.unrealized, parts.net]).toEqual([undefined, undefined]);
  expect(parts.realized).toBe("0");
  expect(unpricedText(parts)).toBe("no price for BTCUSDT, ETHUSDT");
  expect(unpricedText(addProfits([]))).toBe("");
});

test("whose profit it is", () => {
  const one = profit({ venue: "binance", account: "demo", symbol: "BTCUSDT", strategy: "ema" });
  expect(ownerText("strategy", one)).toBe("ema");
  expect(ownerText("strategy", profit({}))).toBe("no strategy");
  expect(ownerText("account", one)).toBe("binance/demo");
  expect(ownerText("position", one)).toBe("BTCUSDT · ema · binance/demo");
});
