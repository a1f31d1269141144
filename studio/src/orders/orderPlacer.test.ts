import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Side } from "../gen/venuemesh/common/v1/types_pb";
import {
  GroupRole,
  type Order,
  OrderSchema,
  OrderState,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { AccountSchema } from "../gen/venuemesh/tradeflow/v1/accounts_pb";
import { accepted, FakeTradeFlow, apiError } from "./fakeTradeFlow";
import { groupText, linkedOrders } from "./group";
import { mayPlace, OrderPlacer } from "./orderPlacer";
import { contentOf, EMPTY_TICKET } from "./ticket";
import { flagsText } from "./labels";

let server: FakeTradeFlow;
let placer: OrderPlacer;
let learnt: Order[];

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
  server = new FakeTradeFlow();
  learnt = [];
  placer = new OrderPlacer("binance", "demo", (order) => learnt.push(order), server);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

const ADDRESS = { venue: "binance", account: "demo", symbol: "BTCUSDT" };
const content = (size = "0.01") =>
  contentOf({ ...EMPTY_TICKET, size, price: "60000" }, ADDRESS, 0n);
const shown = () => placer.current.latest;
const sentIds = () => server.placed.map(({ approved }) => approved?.requestId);

function failOnce(error: ConnectError): void {
  server.onPlace = () => {
    server.onPlace = accepted;
    throw error;
  };
}

test("a page places only paper orders, and only with an approver", () => {
  const paper = create(AccountSchema, { account: "paper", paper: true });
  const real = create(AccountSchema, { account: "main" });
  expect(mayPlace("available", paper)).toBe(true);
  expect(mayPlace("unknown", paper)).toBe(true);
  expect(mayPlace("absent", paper)).toBe(false);
  expect(mayPlace("available", real)).toBe(false);
});

test("an order is sent after the review only, then approved and placed once", async () => {
  await placer.send();
  expect(server.placed).toEqual([]);
  placer.review(content());
  expect(shown()?.phase).toBe("review");
  expect(server.placed).toEqual([]);
  const sending = placer.send();
  expect(shown()?.phase).toBe("sending");
  await Promise.all([sending, placer.send()]);
  expect(sentIds()).toEqual([shown()?.requestId]);
  expect(shown()?.requestId).toMatch(/^studio-[0-9a-f]{24}$/);
  expect(server.placed[0]?.approved).toMatchObject({ content: content(), keyId: "development" });
  expect(server.venues).toEqual(["binance"]);
  expect(shown()).toMatchObject({ phase: "answered", order: { state: OrderState.OPEN } });
  expect(learnt).toHaveLength(1);
});

test("an order and its exits are placed together", async () => {
  const ticket = { ...EMPTY_TICKET, size: "0.01", price: "60000", profit: "66000", loss: "58000" };
  const entry = contentOf(ticket, ADDRESS, 0n);
  placer.review(entry, linkedOrders(ticket, entry));
  expect(groupText(entry, shown()?.others ?? [], "")).toBe(
    "Buy 0.01 BTCUSDT at 60000 on binance, account demo. After the fill: " +
      "Sell 0.01 BTCUSDT at 66000 on binance, account demo. Or: Sell 0.01 BTCUSDT at the market " +
      "price on binance, account demo, when the price falls to 58000",
  );
  await placer.send();
  expect(server.placed).toEqual([]);
  const id = shown()?.requestId ?? "";
  const approved = server.groups[0]?.approved ?? [];
  expect(approved.map(({ requestId }) => requestId)).toEqual([id, `${id}-1`, `${id}-2`]);
  expect(approved.map(({ content }) => content?.group)).toMatchObject([
    { groupId: id, role: GroupRole.ENTRY, count: 3 },
    { groupId: id, role: GroupRole.EXIT, count: 3 },
    { groupId: id, role: GroupRole.EXIT, count: 3 },
  ]);
  expect(approved.map(({ content }) => content?.side)).toEqual([Side.BUY, Side.SELL, Side.SELL]);
  expect(shown()).toMatchObject({ phase: "answered", order: { requestId: id } });
  expect(learnt).toHaveLength(3);
  expect(learnt.map(flagsText)).toEqual(
    ["entry", "exit", "exit"].map((role) => `${role} of …${id.slice(-6)}`),
  );
});

test("an order and its alternative are placed together", async () => {
  const ticket = { ...EMPTY_TICKET, size: "0.01", price: "66000", alternative: " 58000 " };
  const first = contentOf({ ...ticket, side: Side.SELL, reduceOnly: true }, ADDRESS, 0n);
  placer.review(first, linkedOrders(ticket, first));
  expect(groupText(first, shown()?.others ?? [], "BTC")).toBe(
    "Sell 0.01 BTC in BTCUSDT at 66000 on binance, account demo, reduce-only. Or (OCO): " +
      "Sell 0.01 BTC in BTCUSDT at the market price on binance, account demo, when the price " +
      "falls to 58000, reduce-only. Together they fill at most 0.01 BTC",
  );
  await placer.send();
  expect(server.placed).toEqual([]);
  const id = shown()?.requestId ?? "";
  const approved = server.groups[0]?.approved ?? [];
  expect(approved.map(({ requestId }) => requestId)).toEqual([id, `${id}-1`]);
  expect(approved.map(({ content }) => content)).toMatchObject([
    { group: { groupId: id, role: GroupRole.ALTERNATIVE, count: 2 }, price: "66000" },
    { group: { groupId: id, role: GroupRole.ALTERNATIVE, count: 2 }, stopPrice: "58000" },
  ]);
  expect(learnt).toHaveLength(2);
});

test("a group with an unknown outcome is found again by all of its orders", async () => {
  const ticket = { ...EMPTY_TICKET, size: "0.01", price: "66000", alternative: "58000" };
  const first = contentOf(ticket, ADDRESS, 0n);
  server.onGroup = () => {
    throw new ConnectError("cut", Code.Unavailable);
  };
  placer.review(first, linkedOrders(ticket, first));
  await placer.send();
  const id = shown()?.requestId;
  placer.review(first, linkedOrders({ ...ticket, alternative: "57000" }, first));
  expect(shown()).toMatchObject({ phase: "review", isInDoubt: false });
  placer.review(first, linkedOrders(ticket, first));
  expect(shown()).toMatchObject({ requestId: id, phase: "failed", isInDoubt: true });
});

test("each order has a different request id", async () => {
  for (const size of ["0.01", "0.01"]) {
    placer.review(content(size));
    await placer.send();
    placer.close();
  }
  expect(new Set(sentIds()).size).toBe(2);
});

test("a retry after a timeout sends the same request id, from the dialog or the form", async () => {
  failOnce(new ConnectError("no answer", Code.DeadlineExceeded));
  placer.review(content());
  await placer.send();
  expect(shown()).toMatchObject({ phase: "failed", isInDoubt: true });
  placer.close();
  expect(placer.inDoubt.latest).toHaveLength(1);
  placer.review(content("0.02"));
  expect(shown()).toMatchObject({ phase: "review", isInDoubt: false });
  placer.review(content());
  expect(shown()).toMatchObject({ phase: "failed", isInDoubt: true });
  await placer.send();
  const [first, second] = sentIds();
  expect(second).toBe(first);
  expect(shown()?.phase).toBe("answered");
  expect(placer.inDoubt.latest).toEqual([]);
});

test("a rejection before anything was written has a known outcome and a valid value", async () => {
  const metadata = { field: "price", value: "60000.001", nearest: "60000" };
  failOnce(apiError("INVALID_ORDER", Code.InvalidArgument, metadata));
  placer.review(content());
  await placer.send();
  expect(shown()).toMatchObject({
    phase: "failed",
    isInDoubt: false,
    failure: { reason: "INVALID_ORDER", metadata },
  });
  expect(placer.inDoubt.latest).toEqual([]);
});

test("an unknown outcome stays unknown after a later rejection", async () => {
  failOnce(new ConnectError("cut", Code.Unavailable));
  placer.review(content());
  await placer.send();
  failOnce(apiError("ACCOUNT_NOT_READY", Code.FailedPrecondition));
  await placer.send();
  expect(shown()).toMatchObject({ phase: "failed", isInDoubt: true });
  expect(placer.inDoubt.latest).toHaveLength(1);
});

test("a failed approval places nothing and leaves no unknown outcome", async () => {
  server.onApprove = () => {
    throw new ConnectError("cut", Code.Unavailable);
  };
  placer.review(content());
  await placer.send();
  expect(shown()).toMatchObject({ phase: "failed", isInDoubt: false });
  expect(server.placed).toEqual([]);
});

test("the account's stream resolves an unknown outcome and updates the order", async () => {
  failOnce(new ConnectError("cut", Code.Unavailable));
  placer.review(content());
  await placer.send();
  const requestId = shown()?.requestId ?? "";
  const told = (state: OrderState, updatedTimeNs: bigint) =>
    create(OrderSchema, { requestId, state, updatedTimeNs });
  placer.see(create(OrderSchema, { requestId: "another" }));
  expect(placer.inDoubt.latest).toHaveLength(1);
  placer.see(told(OrderState.UNKNOWN, 5n));
  expect(shown()).toMatchObject({ phase: "answered", order: { state: OrderState.UNKNOWN } });
  expect(placer.inDoubt.latest).toEqual([]);
  placer.see(told(OrderState.FILLED, 7n));
  placer.see(told(OrderState.OPEN, 6n));
  expect(shown()?.order?.state).toBe(OrderState.FILLED);
});

test("the review cannot be closed while the order is being sent", async () => {
  placer.review(content());
  const sending = placer.send();
  placer.close();
  expect(shown()?.phase).toBe("sending");
  await sending;
  placer.close();
  expect(shown()).toBeUndefined();
});

test.each([
  ["available", undefined],
  ["absent", new ConnectError("no such service", Code.Unimplemented)],
  ["absent", apiError("UNKNOWN_SERVICE", Code.NotFound)],
])("who approves is %s", async (approver, error) => {
  server.onApprove = () => {
    if (error) throw error;
  };
  const stop = placer.start();
  await vi.waitFor(() => {
    expect(placer.approver.latest).toBe(approver);
  });
  stop();
  expect(server.placed).toEqual([]);
});
