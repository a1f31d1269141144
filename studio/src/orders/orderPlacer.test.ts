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
import { CheckResult } from "../gen/venuemesh/events/v1/checks_pb";
import { SubmissionOutcome, Verdict } from "../gen/venuemesh/events/v1/risk_pb";
import { FakeTradeFlow, apiError, taken } from "./fakeTradeFlow";
import { groupText, linkedOrders } from "./group";
import { OrderPlacer } from "./orderPlacer";
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
const sentIds = () => server.submitted.map(({ requestId }) => requestId);
const members = () => {
  const [request] = server.submitted;
  return request ? [request.content, ...request.others] : [];
};

function failOnce(error: ConnectError): void {
  server.onSubmit = () => {
    server.onSubmit = taken;
    throw error;
  };
}

test("an order is sent after the review only, and placed once", async () => {
  await placer.send();
  expect(server.submitted).toEqual([]);
  placer.review(content());
  expect(shown()?.phase).toBe("review");
  expect(server.submitted).toEqual([]);
  const sending = placer.send();
  expect(shown()?.phase).toBe("sending");
  await Promise.all([sending, placer.send()]);
  expect(sentIds()).toEqual([shown()?.requestId]);
  expect(shown()?.requestId).toMatch(/^studio-[0-9a-f]{24}$/);
  expect(server.submitted[0]).toMatchObject({ content: content(), others: [] });
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
  const id = shown()?.requestId ?? "";
  expect(sentIds()).toEqual([id]);
  expect(members().map((each) => each?.group)).toMatchObject([
    { groupId: id, role: GroupRole.ENTRY, count: 3 },
    { groupId: id, role: GroupRole.EXIT, count: 3 },
    { groupId: id, role: GroupRole.EXIT, count: 3 },
  ]);
  expect(members().map((each) => each?.side)).toEqual([Side.BUY, Side.SELL, Side.SELL]);
  expect(shown()).toMatchObject({ phase: "answered", order: { requestId: `${id}-1` } });
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
  const id = shown()?.requestId ?? "";
  expect(members()).toMatchObject([
    { group: { groupId: id, role: GroupRole.ALTERNATIVE, count: 2 }, price: "66000" },
    { group: { groupId: id, role: GroupRole.ALTERNATIVE, count: 2 }, stopPrice: "58000" },
  ]);
  expect(learnt).toHaveLength(2);
});

test("a group with an unknown outcome is found again by all of its orders", async () => {
  const ticket = { ...EMPTY_TICKET, size: "0.01", price: "66000", alternative: "58000" };
  const first = contentOf(ticket, ADDRESS, 0n);
  server.onSubmit = () => {
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

test("a blocked order is shown with its checks; the next review is another request", async () => {
  const checks = [{ name: "order_notional_max", result: CheckResult.BLOCKED }];
  server.onSubmit = () => ({ verdict: { verdict: Verdict.BLOCK, checks } });
  placer.review(content());
  await placer.send();
  expect(shown()).toMatchObject({ phase: "blocked", isInDoubt: false });
  expect(shown()?.answer?.verdict?.checks).toMatchObject(checks);
  await placer.send();
  expect(server.submitted).toHaveLength(1);
  placer.review(content());
  expect(shown()).toMatchObject({ phase: "review" });
  expect(shown()?.requestId).not.toBe(sentIds()[0]);
});

test("a refusal of the venue's process is shown as it is", async () => {
  const submitted = { outcome: SubmissionOutcome.REFUSED, refusalReason: "LIMIT_EXCEEDED" };
  server.onSubmit = () => ({ verdict: { verdict: Verdict.ALLOW }, submitted });
  placer.review(content());
  await placer.send();
  expect(shown()).toMatchObject({ phase: "blocked", isInDoubt: false, answer: { submitted } });
});

test("an order without an outcome yet is in doubt until a retry has the answer", async () => {
  server.onSubmit = () => ({ verdict: { verdict: Verdict.ALLOW } });
  placer.review(content());
  await placer.send();
  expect(shown()).toMatchObject({ phase: "failed", isInDoubt: true });
  expect(placer.inDoubt.latest).toHaveLength(1);
  server.onSubmit = taken;
  await placer.send();
  expect(new Set(sentIds()).size).toBe(1);
  expect(shown()?.phase).toBe("answered");
  expect(placer.inDoubt.latest).toEqual([]);
});

test("the account's stream updates the order that is shown", async () => {
  placer.review(content());
  await placer.send();
  const clientOrderId = shown()?.order?.clientOrderId ?? "";
  const told = (state: OrderState, updatedTimeNs: bigint) =>
    create(OrderSchema, { clientOrderId, state, updatedTimeNs });
  placer.see(create(OrderSchema, { clientOrderId: "another", updatedTimeNs: 90n }));
  placer.see(told(OrderState.FILLED, 70n));
  placer.see(told(OrderState.OPEN, 60n));
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
