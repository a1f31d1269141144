import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { DifferenceKind, DifferenceSchema } from "../gen/venuemesh/tradeflow/v1/differences_pb";
import {
  FillSchema,
  type Order,
  OrderSchema,
  OrderState,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { StreamExecutionsResponseSchema } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";
import { ExecutionSnapshotSchema } from "../gen/venuemesh/tradeflow/v1/snapshots_pb";
import {
  type AccountView,
  addFills,
  applyEvent,
  ENDED_MAX,
  FILLS_MAX,
  mergeOrder,
  EMPTY_VIEW,
  orderKey,
  sortOpen,
  missingOrders,
} from "./accountView";

const { CANCELLED, FILLED, OPEN, PARTLY_FILLED, SENT, UNKNOWN } = OrderState;

type Event = MessageInitShape<typeof StreamExecutionsResponseSchema>["event"];

function after(view: AccountView, ...events: NonNullable<Event>[]): AccountView {
  return events.reduce(
    (before, event) => applyEvent(before, create(StreamExecutionsResponseSchema, { event })),
    view,
  );
}

function order(clientOrderId: string, state: OrderState, updated = 0): Order {
  return create(OrderSchema, { clientOrderId, state, updatedTimeNs: BigInt(updated) });
}

function fill(fillId: string, time: number) {
  return create(FillSchema, { symbol: "BTCUSDT", fillId, venueTimeNs: BigInt(time) });
}

const ids = (orders: readonly Order[]) => orders.map(orderKey);

test("a final order moves from open orders to ended orders", () => {
  let view = after(EMPTY_VIEW, { case: "order", value: order("a", SENT, 1) });
  view = after(view, { case: "order", value: order("a", PARTLY_FILLED, 2) });
  expect(view.open.map(({ state }) => state)).toEqual([PARTLY_FILLED]);
  view = after(view, { case: "order", value: order("a", FILLED, 3) });
  expect(view.open).toEqual([]);
  expect(ids(view.ended)).toEqual(["a"]);
});

test("an order in an unknown state stays open and is listed first", () => {
  const view = after(
    EMPTY_VIEW,
    { case: "order", value: order("a", OPEN) },
    { case: "order", value: order("lost", UNKNOWN) },
  );
  const sorted = sortOpen(view.open, ({ state }) => state === UNKNOWN);
  expect(ids(sorted)).toEqual(["lost", "a"]);
});

test("orders without a client order id are identified by the venue's id", () => {
  const external = (venueOrderId: string) =>
    create(OrderSchema, { venueOrderId, state: OPEN, external: true });
  const view = after(
    EMPTY_VIEW,
    { case: "order", value: external("1") },
    { case: "order", value: external("2") },
  );
  expect(ids(view.open)).toEqual(["venue:1", "venue:2"]);
});

test("a snapshot replaces open orders and holdings, and missing orders are found", () => {
  const before = after(
    EMPTY_VIEW,
    { case: "order", value: order("a", OPEN) },
    { case: "order", value: order("b", OPEN) },
    { case: "order", value: order("c", CANCELLED) },
    { case: "balance", value: { asset: "ETH", total: "1", free: "1" } },
  );
  expect(before.isKnown).toBe(false);
  const snapshot = create(ExecutionSnapshotSchema, {
    orders: [order("b", OPEN), order("d", OPEN)],
    balances: [
      { asset: "USDT", total: "100.50", free: "40" },
      { asset: "BTC", total: "0.00" },
    ],
    positions: [{ symbol: "BTC-PERP", size: "-1" }],
  });
  expect(ids(missingOrders(before, snapshot))).toEqual(["a"]);
  const view = after(before, { case: "snapshot", value: snapshot });
  expect(view.isKnown).toBe(true);
  expect(ids(view.open)).toEqual(["b", "d"]);
  expect(ids(view.ended)).toEqual(["c"]);
  expect(view.balances.map(({ asset, total }) => `${asset} ${total}`)).toEqual(["USDT 100.50"]);
  expect(view.positions.map(({ size }) => size)).toEqual(["-1"]);
});

test("zero balances and positions are removed, others keep every digit", () => {
  const view = after(
    EMPTY_VIEW,
    { case: "balance", value: { asset: "USDT", total: "9007199254740993.10", free: "0" } },
    { case: "balance", value: { asset: "BTC", total: "1" } },
    { case: "balance", value: { asset: "BTC", total: "0" } },
    { case: "position", value: { symbol: "P", size: "5" } },
    { case: "position", value: { symbol: "P", size: "-0.000" } },
  );
  expect(view.balances.map(({ total }) => total)).toEqual(["9007199254740993.10"]);
  expect(view.positions).toEqual([]);
});

test("a response older than the view changes nothing", () => {
  const view = after(
    EMPTY_VIEW,
    { case: "order", value: order("a", PARTLY_FILLED, 5) },
    { case: "order", value: order("b", FILLED, 5) },
  );
  expect(mergeOrder(view, order("a", OPEN, 4))).toBe(view);
  expect(mergeOrder(view, order("b", OPEN, 9))).toBe(view);
  expect(ids(mergeOrder(view, order("a", CANCELLED, 6)).ended)).toEqual(["a", "b"]);
});

test("fills are unique, newest first, and bounded", () => {
  const view = after(EMPTY_VIEW, { case: "fill", value: fill("2", 2) });
  const more = addFills(view, [fill("3", 3), fill("2", 2), fill("1", 1)]);
  expect(more.fills.map(({ fillId }) => fillId)).toEqual(["3", "2", "1"]);
  expect(addFills(more, [fill("1", 1)])).toBe(more);
  const many = Array.from({ length: FILLS_MAX + 5 }, (_, place) => fill(`m${place}`, place));
  expect(addFills(EMPTY_VIEW, many).fills).toHaveLength(FILLS_MAX);
});

test("ended orders are bounded, the newest stay", () => {
  let view = EMPTY_VIEW;
  for (let place = 1; place <= ENDED_MAX + 1; place++) {
    view = after(view, { case: "order", value: order(String(place), FILLED, place) });
  }
  expect(view.ended).toHaveLength(ENDED_MAX);
  expect(view.ended[0]?.clientOrderId).toBe(String(ENDED_MAX + 1));
});

test("positions left open by a group are listed apart from resolved differences", () => {
  const difference = (kind: DifferenceKind, found: string) =>
    create(DifferenceSchema, { kind, found });
  const before = difference(DifferenceKind.LEFT_OPEN, "1");
  const leftOpen = difference(DifferenceKind.LEFT_OPEN, "2");
  const settled = difference(DifferenceKind.FEE, "3");
  const view = after(
    EMPTY_VIEW,
    { case: "snapshot", value: create(ExecutionSnapshotSchema, { leftOpen: [before] }) },
    { case: "difference", value: leftOpen },
    { case: "difference", value: settled },
  );
  expect(view.leftOpen).toEqual([before, leftOpen]);
  expect(view.differences).toEqual([settled]);
});
