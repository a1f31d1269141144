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

test("it begins with the snapshot of the venue that the header names, then follows", async () => {
  server.greetings = [[snapshot(4, [order("a")]), changed(5, order("b"))]];
  stop = feed.start();
  await eventually(() => {
    expect(openIds()).toEqual(["a", "b"]);
  });
  expect(server.streams[0]).toMatchObject({ venue: "binance", account: "demo" });
  expect(server.streams[0]?.resumeAfter).toBeUndefined();
  expect(server.venues[0]).toBe("binance");
  expect(heard.map(({ requestId }) => requestId)).toEqual(["r-a", "r-b"]);
  server.tell({ ...at(6), event: { case: "account", value: { account: "demo" } } });
  await eventually(() => {
    expect(feed.accountTold.latest?.account).toBe("demo");
  });
});

test("a stream that was lost goes on after its cursor, and says so meanwhile", async () => {
  server.greetings = [[snapshot(4, [order("a")])], [changed(5, order("a", FILLED))]];
  stop = feed.start();
  await eventually(() => {
    expect(openIds()).toEqual(["a"]);
  });
  expect(feed.lostTimeMs.latest).toBeUndefined();
  server.hangUp();
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

test("closed and opened again, it goes on where it was", async () => {
  server.greetings = [[snapshot(4, [order("a")])], [changed(5, order("b"))]];
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

test("a hole between two events leads to a snapshot", async () => {
  server.greetings = [
    [snapshot(4, [order("a")]), changed(6, order("b"))],
    [snapshot(6, [order("a"), order("b"), order("missed")])],
  ];
  stop = feed.start();
  await eventually(() => {
    expect(openIds()).toEqual(["a", "b", "missed"]);
  });
  expect(server.streams[1]?.resumeAfter).toBeUndefined();
});

test("an event of another epoch does not follow either", async () => {
  server.greetings = [
    [snapshot(4, []), changed(5, order("b"), EPOCH + 1n)],
    [snapshot(5, [order("b")], EPOCH + 1n)],
  ];
  stop = feed.start();
  await eventually(() => {
    expect(openIds()).toEqual(["b"]);
  });
  expect(server.streams).toHaveLength(2);
});

test("what a new snapshot does not have any more is asked for", async () => {
  server.orders.set("a", order("a", FILLED));
  server.greetings = [[snapshot(4, [order("a")])], [snapshot(1, [order("c")], EPOCH + 1n)]];
  stop = feed.start();
  await eventually(() => {
    expect(openIds()).toEqual(["a"]);
  });
  server.hangUp();
  await eventually(() => {
    expect(openIds()).toEqual(["c"]);
    expect(endedIds()).toEqual(["a"]);
  });
});

test("fills of before come with their orders, those of now are not doubled", async () => {
  const past = { symbol: "BTCUSDT", fillId: "1", clientOrderId: "old", venueTimeNs: 1n };
  server.fills = [past, { symbol: "BTCUSDT", fillId: "0", clientOrderId: "gone", venueTimeNs: 0n }];
  server.orders.set("old", order("old", FILLED));
  const fill = { ...at(1), event: { case: "fill" as const, value: past } };
  server.greetings = [[snapshot(0, []), fill]];
  stop = feed.start();
  await eventually(() => {
    expect(feed.view.latest.fills.map(({ fillId }) => fillId)).toEqual(["1", "0"]);
    expect(endedIds()).toEqual(["old"]);
  });
  expect(feed.pastFailure.latest).toBeUndefined();
});
