import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { InstrumentSchema } from "../gen/venuemesh/common/v1/types_pb";
import { precisionOf, searchInstruments } from "./instruments";

function instrument(symbol: string, unifiedSymbol = symbol) {
  return create(InstrumentSchema, { symbol, unifiedSymbol });
}

const LIST = [
  instrument("1000BTCUSDT"),
  instrument("BTC"),
  instrument("BTCEUR", "BTC/EUR"),
  instrument("BTCUSDT", "BTC/USDT"),
  instrument("ETHUSDT", "ETH/USDT"),
];

const find = (text: string, streamed: string[] = []) =>
  searchInstruments(LIST, text, new Set(streamed)).map(({ symbol }) => symbol);

test("the symbol itself comes first, then what is streamed, then what begins so", () => {
  expect(find("btc", ["BTCUSDT"])).toEqual(["BTC", "BTCUSDT", "BTCEUR", "1000BTCUSDT"]);
});

test("case and separators do not matter", () => {
  expect(find("eth/usdt")).toEqual(["ETHUSDT"]);
  expect(find("eth-USDT")).toEqual(["ETHUSDT"]);
  expect(find("doge")).toEqual([]);
});

test("without a text everything is listed, the streamed first", () => {
  expect(find("", ["ETHUSDT"])[0]).toBe("ETHUSDT");
  expect(find("")).toHaveLength(LIST.length);
});

test("precision follows the instrument's steps", () => {
  const listed = create(InstrumentSchema, { priceTick: "0.01000000", sizeStep: "1" });
  expect(precisionOf(listed)).toEqual({ price: 2, size: 0 });
  expect(precisionOf(undefined)).toEqual({ price: 0, size: 0 });
});
