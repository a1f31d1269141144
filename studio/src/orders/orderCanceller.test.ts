import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import {
  type Order,
  OrderSchema,
  OrderState,
  OrderType,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { SubmissionOutcome } from "../gen/venuemesh/events/v1/risk_pb";
import { Operation } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import { Role } from "../gen/venuemesh/access/v1/access_pb";
import { TokenSchema } from "../gen/venuemesh/access/v1/tokens_pb";
import { session } from "../session/session";
import { ALL_ORDERS, OrderCanceller } from "./orderCanceller";
import { FakeTradeFlow, apiError } from "./fakeTradeFlow";

const OPEN = create(OrderSchema, { clientOrderId: "a", state: OrderState.OPEN });
const GONE = create(OrderSchema, { clientOrderId: "a", state: OrderState.CANCELLED });

let server: FakeTradeFlow;
let learnt: Order[];
let cancelling: OrderCanceller;

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
  server = new FakeTradeFlow();
  learnt = [];
  cancelling = new OrderCanceller("binance", "demo", (order) => learnt.push(order), server);
});

afterEach(() => {
  session.caller.set(undefined);
  vi.unstubAllGlobals();
});

test("an order is cancelled once, however often the button is pressed", async () => {
  server.onCancel = () => GONE;
  const asked = [cancelling.cancel(OPEN), cancelling.cancel(OPEN)];
  expect([...cancelling.state.latest.waiting]).toEqual(["a"]);
  await Promise.all(asked);
  expect(server.cancelled).toHaveLength(1);
  expect(server.cancelled[0]).toMatchObject({
    venue: "binance",
    account: "demo",
    clientOrderId: "a",
  });
  expect(server.venues).toEqual(["binance"]);
  expect(learnt).toEqual([GONE]);
  expect(cancelling.state.latest.waiting.size).toBe(0);
});

test("a rejection is shown at its order until the next attempt", async () => {
  server.onCancel = () => {
    throw apiError("VENUE_UNAVAILABLE", Code.Unavailable);
  };
  await cancelling.cancel(OPEN);
  expect(cancelling.state.latest.failures.get("a")?.reason).toBe("VENUE_UNAVAILABLE");
  server.onCancel = () => GONE;
  await cancelling.cancel(OPEN);
  expect(cancelling.state.latest.failures.size).toBe(0);
});

const STOP = create(OrderSchema, {
  clientOrderId: "a",
  content: { symbol: "BTCUSDT", type: OrderType.STOP },
});

test("a protective order is cancelled by the inspector, or by an operator at once", async () => {
  await cancelling.cancel(STOP);
  expect(server.cancelled).toEqual([]);
  expect(server.submitted[0]).toMatchObject({
    operation: Operation.CANCEL,
    targetClientOrderId: "a",
    content: { venue: "binance", account: "demo", symbol: "BTCUSDT" },
  });
  expect(learnt).toMatchObject([{ state: OrderState.CANCELLED }]);
  session.caller.set(create(TokenSchema, { roles: [Role.OPERATOR] }));
  server.onCancel = () => GONE;
  await cancelling.cancel(STOP);
  expect(server.submitted).toHaveLength(1);
  expect(server.cancelled).toHaveLength(1);
});

test.each([
  [{}, "not known"],
  [{ outcome: SubmissionOutcome.REFUSED, refusalReason: "UNKNOWN_ORDER" }, "UNKNOWN_ORDER"],
])("a cancel that the inspector has not carried out is a failure: %j", async (submitted, text) => {
  server.onSubmit = () => ({ submitted });
  await cancelling.cancel(STOP);
  expect(cancelling.state.latest.failures.get("a")?.message).toContain(text);
});

test("to cancel all includes protective orders for an operator only", async () => {
  for (const [role, included] of [
    [Role.TRADER, false],
    [Role.OPERATOR, true],
    [Role.ADMIN, true],
  ] as const) {
    session.caller.set(create(TokenSchema, { roles: [role] }));
    await cancelling.cancelAll();
    expect(server.cancelledAll.at(-1)?.includeProtective).toBe(included);
  }
});

test("all are cancelled with one call", async () => {
  server.orders.set("a", GONE);
  await cancelling.cancelAll();
  expect(learnt).toEqual([GONE]);
  expect(cancelling.state.latest).toEqual({ waiting: new Set(), failures: new Map() });
  expect(cancelling.state.latest.waiting.has(ALL_ORDERS)).toBe(false);
});
