import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { ConversionSchema } from "../gen/venuemesh/ledger/v1/equity_pb";
import { notIncludedText, ratesText } from "./totals";

test("what is not in a total is named with its amount", () => {
  const conversion = create(ConversionSchema, {
    totals: [{ notIncluded: [{ asset: "DOGE", amount: "5" }, { asset: "USDT" }] }],
  });
  expect(notIncludedText(conversion.totals[0]?.notIncluded ?? [])).toBe(
    "5 DOGE, open profit in USDT",
  );
});

test("each rate names its markets", () => {
  const price = { venue: "binance", symbol: "BTCUSDT", price: "60000" };
  const conversion = create(ConversionSchema, {
    rates: [
      { asset: "BTC", prices: [price] },
      { asset: "ETH", prices: [{ ...price, symbol: "ETHBTC", price: "0.05" }, price] },
      { asset: "USDT", prices: [{ ...price, inverted: true }] },
    ],
  });
  const [direct, bridged, inverted] = ratesText(conversion).split("\n");
  expect(direct).toMatch(/^BTC: 60000 \(binance BTCUSDT, /);
  expect(bridged).toMatch(/^ETH: 0\.05 \(binance ETHBTC, .*\), then 60000 \(binance BTCUSDT, /);
  expect(inverted).toMatch(/^USDT: 1 \/ 60000 \(/);
});
