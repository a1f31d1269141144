import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { type Order, OrderSchema, OrderState } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { ExecutionFeed } from "./executionFeed";
import { FakeTradeFlow } from "./fakeTradeFlow";

const { FILLED, OPEN } = OrderState;
const EPOCH = 7n;

let server: FakeTradeFlow;
let feed: ExecutionFeed;
let stop: () => void;
let heard: Order[];

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
  server = new FakeTradeFlow();
  heard = [];
  feed = new ExecutionFeed("binance", "demo", (each) => heard.push(each), server.tradeFlow);
  stop = () => undefined;
});

afterEach(() => {
  stop();
  vi.unstubAllGlobals();
});

const order = (clientOrderId: string, state = OPEN) =>
  create(OrderSchema, { clientOrderId, requestId: `r-${clientOrderId}`, state });
const at = (sequence: number, epoch = EPOCH) => ({ cursor: { epoch, sequence: BigInt(sequence) } });
const snapshot = (sequence: number, orders: Order[], epoch = EPOCH) => ({
  ...at(sequence, epoch),
  event: { case: "snapshot" as const, value: { orders } },
});
const changed = (sequence: number, value: Order, epoch = EPOCH) => ({
  ...at(sequence, epoch),
  event: { case: "order" as const, value },
});

const openIds = () => feed.view.latest.open.map(({ clientOrderId }) => clientOrderId);
const endedIds = () => feed.view.latest.ended.map(({ clientOrderId }) => clientOrderId);

async function eventually(check: () => void): Promise<void> {
  await vi.waitFor(check, { timeout: 4_000 });
}

test("the feed starts with a snapshot of the venue in the header, then follows", async () => {
  server.firstEvents = [[snapshot(4, [order("a")]), changed(5, order("b"))]];
  stop = feed.start();
  await eventually(() => {
    expect(openIds()).toEqual(["a", "b"]);
  });
  expect(server.streams[0]).toMatchObject({ venue: "binance", account: "demo" });
  expect(server.streams[0]?.resumeAfter).toBeUndefined();
  expect(server.venues[0]).toBe("binance");
  expect(heard.map(({ requestId }) => requestId)).toEqual(["r-a", "r-b"]);
  server.publish({ ...at(6), event: { case: "account", value: { account: "demo" } } });
  await eventually(() => {
    expect(feed.latestAccount.latest?.account).toBe("demo");
  });
});

test("a lost stream resumes after its cursor and reports that it is disconnected", async () => {
  server.firstEvents = [[snapshot(4, [order("a")])], [changed(5, order("a", FILLED))]];
  stop = feed.start();
  await eventually(() => {
    expect(openIds()).toEqual(["a"]);
  });
  expect(feed.lostTimeMs.latest).toBeUndefined();
  server.closeStream();
  await eventually(() => {
    expect(feed.state.latest.phase).toBe("reconnecting");
  });
  expect(feed.lostTimeMs.latest).toBeTypeOf("number");
  expect(openIds()).toEqual(["a"]);
  await eventually(() => {
    expect(endedIds()).toEqual(["a"]);
  });
  expect(server.streams[1]?.resumeAfter).toMatchObject({ epoch: EPOCH, sequence: 4n });
  expect(feed.state.latest.phase).toBe("live");
  expect(feed.lostTimeMs.latest).toBeUndefined();
});

test("a reopened feed resumes where it was", async () => {
  server.firstEvents = [[snapshot(4, [order("a")])], [changed(5, order("b"))]];
  stop = feed.start();
  await eventually(() => {
    expect(openIds()).toEqual(["a"]);
  });
  stop();
  stop = feed.start();
  await eventually(() => {
    expect(openIds()).toEqual(["a", "b"]);
  });
});

test("missing events lead to a snapshot", async () => {
  server.firstEvents = [
    [snapshot(4, [order("a")]), changed(6, order("b"))],
    [snapshot(6, [order("a"), order("b"), order("missed")])],
  ];
  stop = feed.start();
  await eventually(() => {
    expect(openIds()).toEqual(["a", "b", "missed"]);
  });
  expect(server.streams[1]?.resumeAfter).toBeUndefined();
});

test("an event of another epoch leads to a snapshot", async () => {
  server.firstEvents = [
    [snapshot(4, []), changed(5, order("b"), EPOCH + 1n)],
    [snapshot(5, [order("b")], EPOCH + 1n)],
  ];
  stop = feed.start();
  await eventually(() => {
    expect(openIds()).toEqual(["b"]);
  });
  expect(server.streams).toHaveLength(2);
});

test("orders missing in a new snapshot are requested", async () => {
  server.orders.set("a", order("a", FILLED));
  server.firstEvents = [[snapshot(4, [order("a")])], [snapshot(1, [order("c")], EPOCH + 1n)]];
  stop = feed.start();
  await eventually(() => {
    expect(openIds()).toEqual(["a"]);
  });
  server.closeStream();
  await eventually(() => {
    expect(openIds()).toEqual(["c"]);
    expect(endedIds()).toEqual(["a"]);
  });
});

test("past fills are loaded with their orders, and no fill appears twice", async () => {
  const past = { symbol: "BTCUSDT", fillId: "1", clientOrderId: "old", venueTimeNs: 1n };
  server.fills = [past, { symbol: "BTCUSDT", fillId: "0", clientOrderId: "gone", venueTimeNs: 0n }];
  server.orders.set("old", order("old", FILLED));
  const fill = { ...at(1), event: { case: "fill" as const, value: past } };
  server.firstEvents = [[snapshot(0, []), fill]];
  stop = feed.start();
  await eventually(() => {
    expect(feed.view.latest.fills.map(({ fillId }) => fillId)).toEqual(["1", "0"]);
    expect(endedIds()).toEqual(["old"]);
  });
  expect(feed.historyFailure.latest).toBeUndefined();
});
