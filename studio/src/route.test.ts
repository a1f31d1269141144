import { expect, test } from "vitest";

import { formatRoute, parseRoute, type Route } from "./route";

test.each<[Route, string]>([
  [{ page: "mesh" }, "#/mesh"],
  [{ page: "risk" }, "#/risk"],
  [
    { page: "market", venue: "binance", symbol: "BTCUSDT", interval: "5m" },
    "#/market/binance/BTCUSDT/5m",
  ],
  [
    { page: "market", venue: "kraken", symbol: "BTC/USDT", interval: "1w" },
    "#/market/kraken/BTC%2FUSDT/1w",
  ],
  [{ page: "market", venue: "kraken", symbol: "", interval: "1h" }, "#/market/kraken//1h"],
  [
    { page: "market", venue: "binance", symbol: "BTCUSDT", interval: "tick:100" },
    "#/market/binance/BTCUSDT/tick:100",
  ],
  [{ page: "data", venue: "kraken", symbol: "BTC/USDT" }, "#/data/kraken/BTC%2FUSDT"],
  [{ page: "data", venue: "", symbol: "" }, "#/data"],
  [{ page: "orders", venue: "", account: "" }, "#/orders"],
  [{ page: "orders", venue: "binance", account: "" }, "#/orders/binance"],
  [{ page: "orders", venue: "binance", account: "a/b" }, "#/orders/binance/a%2Fb"],
  [{ page: "capital", venue: "", account: "" }, "#/capital"],
  [{ page: "capital", venue: "binance", account: "demo" }, "#/capital/binance/demo"],
  [{ page: "signals", strategy: "", venue: "", symbol: "" }, "#/signals"],
  [{ page: "signals", strategy: "trend", venue: "", symbol: "" }, "#/signals/trend"],
  [
    { page: "signals", strategy: "trend", venue: "kraken", symbol: "BTC/USDT" },
    "#/signals/trend/kraken/BTC%2FUSDT",
  ],
  [{ page: "decisions", strategy: "", eventId: "" }, "#/decisions"],
  [{ page: "decisions", strategy: "a/b", eventId: "" }, "#/decisions/a%2Fb"],
  [{ page: "decisions", strategy: "trend", eventId: "3f6c" }, "#/decisions/trend/3f6c"],
  [{ page: "decisions", strategy: "", eventId: "3f6c" }, "#/decisions//3f6c"],
  [{ page: "why", question: undefined }, "#/why"],
  [
    {
      page: "why",
      question: {
        about: "fill",
        venue: "kraken",
        account: "main",
        symbol: "BTC/USDT",
        fillId: "T-1/2",
      },
    },
    "#/why/fill/kraken/main/BTC%2FUSDT/T-1%2F2",
  ],
  [
    { page: "why", question: { about: "order", venue: "binance", account: "a", orderId: "6b1f" } },
    "#/why/order/binance/a/6b1f",
  ],
  [
    { page: "why", question: { about: "position", venue: "okx", account: "a", symbol: "X" } },
    "#/why/position/okx/a/X",
  ],
  [{ page: "why", question: { about: "event", eventId: "3f6c" } }, "#/why/event/3f6c"],
  [{ page: "market", venue: "", symbol: "", interval: "1m" }, "#/market"],
])("%j has an address that leads back to it", (route, hash) => {
  expect(formatRoute(route)).toBe(hash);
  expect(parseRoute(hash)).toEqual(route);
});

test("a question that lacks a part is not asked", () => {
  const nothing = { page: "why", question: undefined };
  for (const hash of [
    "#/why/fill/binance/main/BTCUSDT",
    "#/why/order/binance",
    "#/why/who/a/b/c",
  ]) {
    expect(parseRoute(hash)).toEqual(nothing);
  }
});

test("an empty address is the market page with defaults", () => {
  const home = { page: "market", venue: "", symbol: "", interval: "1m" };
  expect(parseRoute("")).toEqual(home);
  expect(parseRoute("#/nowhere")).toEqual(home);
  expect(parseRoute("#/market/binance/BTCUSDT/7m")).toMatchObject({ interval: "1m" });
  expect(parseRoute("#/market/binance/BTCUSDT/lunar:7")).toMatchObject({ interval: "1m" });
  expect(parseRoute("#/market/%E0%A4%A/x/1m")).toMatchObject({ venue: "%E0%A4%A" });
});
