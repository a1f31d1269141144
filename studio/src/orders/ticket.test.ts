import { expect, test } from "vitest";

import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { type OrderContent, OrderType, TimeInForce } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { linkedOrders } from "./group";
import { orderText } from "./orderText";
import { contentOf, EMPTY_TICKET, fieldOf, problemsOf, type Ticket } from "./ticket";

const ADDRESS = { venue: "binance", account: "demo", symbol: "BTCUSDT" };
const NOW_NS = 1_723_127_100_000_000_000n;
const FULL: Ticket = {
  ...EMPTY_TICKET,
  size: "0.01",
  price: "60000",
  stopPrice: "59000",
  trailingOffset: "150",
};

const content = (change: Partial<Ticket>) => contentOf({ ...FULL, ...change }, ADDRESS, NOW_NS);

test("exit prices are optional and must be amounts", () => {
  expect(problemsOf(FULL)).toEqual({});
  expect(Object.keys(problemsOf({ ...FULL, profit: "x", loss: "0" }))).toEqual(["profit", "loss"]);
});

test("an alternative needs a resting order without exits", () => {
  const other = (change: Partial<Ticket>) => ({ ...FULL, alternative: "58000", ...change });
  expect(problemsOf(other({}))).toEqual({});
  expect(Object.keys(problemsOf(other({ alternative: "x" })))).toEqual(["alternative"]);
  expect(Object.keys(problemsOf(other({ loss: "50000" })))).toEqual(["alternative"]);
  const placed = (change: Partial<Ticket>) => linkedOrders(other(change), content(change));
  const atOnce = { timeInForce: TimeInForce.FILL_OR_KILL };
  for (const change of [{ type: OrderType.MARKET }, atOnce]) {
    expect(problemsOf(other({ ...change, loss: "50000" }))).toEqual({});
    expect(placed(change)).toEqual([]);
  }
});

test.each<[OrderType, Partial<OrderContent>]>([
  [OrderType.LIMIT, { type: OrderType.STOP, stopPrice: "58000", price: "" }],
  [OrderType.TAKE_PROFIT, { type: OrderType.STOP, stopPrice: "58000", price: "" }],
  [OrderType.STOP, { type: OrderType.LIMIT, price: "58000", stopPrice: "" }],
  [OrderType.TRAILING_STOP, { type: OrderType.LIMIT, price: "58000", stopPrice: "" }],
])("beside an order of type %i waits one that does the same at another price", (type, other) => {
  const ticket = { ...FULL, type, alternative: "58000" };
  const first = contentOf(ticket, ADDRESS, NOW_NS);
  expect(linkedOrders(ticket, first)).toMatchObject([{ ...ADDRESS, size: "0.01", ...other }]);
});

test.each<[Partial<Ticket>, string]>([
  [{ postOnly: true }, "Buy 0.01 BTCUSDT at 60000 on binance, account demo, post-only"],
  [
    { type: OrderType.MARKET, side: Side.SELL },
    "Sell 0.01 BTCUSDT at the market price on binance, account demo",
  ],
  [
    { type: OrderType.STOP, side: Side.SELL },
    "Sell 0.01 BTCUSDT at the market price on binance, account demo, " +
      "when the price falls to 59000",
  ],
  [
    { type: OrderType.STOP_LIMIT },
    "Buy 0.01 BTCUSDT at 60000 on binance, account demo, when the price rises to 59000",
  ],
  [
    { type: OrderType.TAKE_PROFIT, side: Side.SELL, reduceOnly: true },
    "Sell 0.01 BTCUSDT at the market price on binance, account demo, " +
      "when the price rises to 59000, reduce-only",
  ],
  [
    { type: OrderType.TAKE_PROFIT_LIMIT },
    "Buy 0.01 BTCUSDT at 60000 on binance, account demo, when the price falls to 59000",
  ],
  [
    { type: OrderType.TRAILING_STOP, side: Side.SELL },
    "Sell 0.01 BTCUSDT at the market price on binance, account demo, " +
      "when the price falls by 150 from its highest value",
  ],
  [
    { timeInForce: TimeInForce.IMMEDIATE_OR_CANCEL },
    "Buy 0.01 BTCUSDT at 60000 on binance, account demo, immediate or cancel",
  ],
  [
    { timeInForce: TimeInForce.FILL_OR_KILL },
    "Buy 0.01 BTCUSDT at 60000 on binance, account demo, fill or kill",
  ],
  [
    { timeInForce: TimeInForce.GOOD_TILL_TIME, minutes: "90" },
    "Buy 0.01 BTCUSDT at 60000 on binance, account demo, until 2024-08-08 15:55:00 UTC",
  ],
])("%j is shown as a sentence", (change, sentence) => {
  expect(problemsOf({ ...FULL, ...change })).toEqual({});
  expect(orderText(content(change), "")).toBe(sentence);
  const named = sentence.replace("0.01 BTCUSDT", "0.01 contracts of 100 USD in BTCUSDT");
  expect(orderText(content(change), "contracts of 100 USD")).toBe(named);
});

test("amounts stay the typed text, whatever its length", () => {
  const sent = content({ size: " 0.000000000000000001 ", price: "9007199254740993.10" });
  expect(sent.size).toBe("0.000000000000000001");
  expect(sent.price).toBe("9007199254740993.10");
});

test("fields that the type does not have are not sent", () => {
  const sent = content({ type: OrderType.MARKET, postOnly: true });
  expect(sent).toMatchObject({ price: "", stopPrice: "", trailingOffset: "", postOnly: false });
  expect(sent.timeInForce).toBe(TimeInForce.UNSPECIFIED);
  const atOnce = content({ timeInForce: TimeInForce.FILL_OR_KILL, postOnly: true });
  expect(atOnce).toMatchObject({ postOnly: false, expireTimeNs: 0n });
});

test.each(["", " ", "0", "0.000", "-1", "1e-30", "1,000", ".5", "1.", "NaN", "1".repeat(41)])(
  "%j is no amount",
  (size) => {
    expect(problemsOf({ ...FULL, size }).size).toBeTypeOf("string");
  },
);

test("only the fields of the type are required", () => {
  const empty = { ...EMPTY_TICKET, minutes: "" };
  const wrong = (type: OrderType) => Object.keys(problemsOf({ ...empty, type }));
  expect(wrong(OrderType.MARKET)).toEqual(["size"]);
  expect(wrong(OrderType.LIMIT)).toEqual(["size", "price"]);
  expect(wrong(OrderType.STOP)).toEqual(["size", "stopPrice"]);
  expect(wrong(OrderType.STOP_LIMIT)).toEqual(["size", "price", "stopPrice"]);
  expect(wrong(OrderType.TRAILING_STOP)).toEqual(["size", "trailingOffset"]);
});

test.each(["", "0", "1.5", "-3", "600000"])("%j is not a valid number of minutes", (minutes) => {
  const timed = { ...FULL, timeInForce: TimeInForce.GOOD_TILL_TIME };
  expect(problemsOf({ ...timed, minutes }).minutes).toBeTypeOf("string");
  expect(problemsOf({ ...timed, minutes: "15" })).toEqual({});
});

test("an error's field is found on the form", () => {
  expect(["size", "stop_price", "account"].map(fieldOf)).toEqual(["size", "stopPrice", undefined]);
});
