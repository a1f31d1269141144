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
import { AccountSchema } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";
import { accepted, FakeTradeFlow, refusal } from "./fakeTradeFlow";
import { groupSentence, othersOf } from "./group";
import { mayPlace, Placing } from "./placing";
import { contentOf, EMPTY_TICKET } from "./ticket";
import { flagsText } from "./words";

let server: FakeTradeFlow;
let placing: Placing;
let learnt: Order[];

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
  server = new FakeTradeFlow();
  learnt = [];
  placing = new Placing("binance", "demo", (order) => learnt.push(order), server);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

const ADDRESS = { venue: "binance", account: "demo", symbol: "BTCUSDT" };
const content = (size = "0.01") =>
  contentOf({ ...EMPTY_TICKET, size, price: "60000" }, ADDRESS, 0n);
const shown = () => placing.current.latest;
const sentIds = () => server.placed.map(({ approved }) => approved?.requestId);

function failOnce(error: ConnectError): void {
  server.onPlace = () => {
    server.onPlace = accepted;
    throw error;
  };
}

test("a page places orders on paper only, and only where somebody approves them", () => {
  const paper = create(AccountSchema, { account: "paper", paper: true });
  const real = create(AccountSchema, { account: "main" });
  expect(mayPlace("there", paper)).toBe(true);
  expect(mayPlace("asked", paper)).toBe(true);
  expect(mayPlace("absent", paper)).toBe(false);
  expect(mayPlace("there", real)).toBe(false);
});

test("nothing is sent before it was reviewed, then it is approved and placed once", async () => {
  await placing.send();
  expect(server.placed).toEqual([]);
  placing.review(content());
  expect(shown()?.phase).toBe("review");
  expect(server.placed).toEqual([]);
  const sending = placing.send();
  expect(shown()?.phase).toBe("sending");
  await Promise.all([sending, placing.send()]);
  expect(sentIds()).toEqual([shown()?.requestId]);
  expect(shown()?.requestId).toMatch(/^studio-[0-9a-f]{24}$/);
  expect(server.placed[0]?.approved).toMatchObject({ content: content(), keyId: "development" });
  expect(server.venues).toEqual(["binance"]);
  expect(shown()).toMatchObject({ phase: "answered", order: { state: OrderState.OPEN } });
  expect(learnt).toHaveLength(1);
});

test("an order and what is to close it are placed together", async () => {
  const ticket = { ...EMPTY_TICKET, size: "0.01", price: "60000", profit: "66000", loss: "58000" };
  const entry = contentOf(ticket, ADDRESS, 0n);
  placing.review(entry, othersOf(ticket, entry));
  expect(groupSentence(entry, shown()?.others ?? [])).toBe(
    "Buy 0.01 BTCUSDT at 60000 on binance, account demo. When it is filled: " +
      "Sell 0.01 BTCUSDT at 66000 on binance, account demo. Or: Sell 0.01 BTCUSDT at the market " +
      "price on binance, account demo, once the market has fallen to 58000",
  );
  await placing.send();
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

test("an order and the other way to do it are placed together", async () => {
  const ticket = { ...EMPTY_TICKET, size: "0.01", price: "66000", alternative: " 58000 " };
  const first = contentOf({ ...ticket, side: Side.SELL, reduceOnly: true }, ADDRESS, 0n);
  placing.review(first, othersOf(ticket, first));
  expect(groupSentence(first, shown()?.others ?? [])).toBe(
    "Sell 0.01 BTCUSDT at 66000 on binance, account demo, only to make a position smaller. Or: " +
      "Sell 0.01 BTCUSDT at the market price on binance, account demo, once the market has " +
      "fallen to 58000, only to make a position smaller. Both together fill no more than 0.01",
  );
  await placing.send();
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

test("a group that is in doubt is found again by all of its orders", async () => {
  const ticket = { ...EMPTY_TICKET, size: "0.01", price: "66000", alternative: "58000" };
  const first = contentOf(ticket, ADDRESS, 0n);
  server.onGroup = () => {
    throw new ConnectError("cut", Code.Unavailable);
  };
  placing.review(first, othersOf(ticket, first));
  await placing.send();
  const id = shown()?.requestId;
  placing.review(first, othersOf({ ...ticket, alternative: "57000" }, first));
  expect(shown()).toMatchObject({ phase: "review", isInDoubt: false });
  placing.review(first, othersOf(ticket, first));
  expect(shown()).toMatchObject({ requestId: id, phase: "failed", isInDoubt: true });
});

test("each order has an id of its own", async () => {
  for (const size of ["0.01", "0.01"]) {
    placing.review(content(size));
    await placing.send();
    placing.close();
  }
  expect(new Set(sentIds()).size).toBe(2);
});

test("a try after a timeout is the same request, from the dialog or the form", async () => {
  failOnce(new ConnectError("no answer", Code.DeadlineExceeded));
  placing.review(content());
  await placing.send();
  expect(shown()).toMatchObject({ phase: "failed", isInDoubt: true });
  placing.close();
  expect(placing.inDoubt.latest).toHaveLength(1);
  placing.review(content("0.02"));
  expect(shown()).toMatchObject({ phase: "review", isInDoubt: false });
  placing.review(content());
  expect(shown()).toMatchObject({ phase: "failed", isInDoubt: true });
  await placing.send();
  const [first, second] = sentIds();
  expect(second).toBe(first);
  expect(shown()?.phase).toBe("answered");
  expect(placing.inDoubt.latest).toEqual([]);
});

test("a refusal before anything was written leaves no doubt, and tells what is valid", async () => {
  const metadata = { field: "price", value: "60000.001", nearest: "60000" };
  failOnce(refusal("INVALID_ORDER", Code.InvalidArgument, metadata));
  placing.review(content());
  await placing.send();
  expect(shown()).toMatchObject({
    phase: "failed",
    isInDoubt: false,
    failure: { reason: "INVALID_ORDER", metadata },
  });
  expect(placing.inDoubt.latest).toEqual([]);
});

test("a doubt is not taken away by a later refusal", async () => {
  failOnce(new ConnectError("cut", Code.Unavailable));
  placing.review(content());
  await placing.send();
  failOnce(refusal("ACCOUNT_NOT_READY", Code.FailedPrecondition));
  await placing.send();
  expect(shown()).toMatchObject({ phase: "failed", isInDoubt: true });
  expect(placing.inDoubt.latest).toHaveLength(1);
});

test("a failure to approve places nothing, so there is no doubt", async () => {
  server.onApprove = () => {
    throw new ConnectError("cut", Code.Unavailable);
  };
  placing.review(content());
  await placing.send();
  expect(shown()).toMatchObject({ phase: "failed", isInDoubt: false });
  expect(server.placed).toEqual([]);
});

test("the account's stream settles what a call did not, and tells how it goes on", async () => {
  failOnce(new ConnectError("cut", Code.Unavailable));
  placing.review(content());
  await placing.send();
  const requestId = shown()?.requestId ?? "";
  const told = (state: OrderState, updatedTimeNs: bigint) =>
    create(OrderSchema, { requestId, state, updatedTimeNs });
  placing.see(create(OrderSchema, { requestId: "another" }));
  expect(placing.inDoubt.latest).toHaveLength(1);
  placing.see(told(OrderState.UNKNOWN, 5n));
  expect(shown()).toMatchObject({ phase: "answered", order: { state: OrderState.UNKNOWN } });
  expect(placing.inDoubt.latest).toEqual([]);
  placing.see(told(OrderState.FILLED, 7n));
  placing.see(told(OrderState.OPEN, 6n));
  expect(shown()?.order?.state).toBe(OrderState.FILLED);
});

test("while it is being sent it cannot be put away", async () => {
  placing.review(content());
  const sending = placing.send();
  placing.close();
  expect(shown()?.phase).toBe("sending");
  await sending;
  placing.close();
  expect(shown()).toBeUndefined();
});

test.each([
  ["there", undefined],
  ["absent", new ConnectError("no such service", Code.Unimplemented)],
  ["absent", refusal("UNKNOWN_SERVICE", Code.NotFound)],
])("who approves is %s", async (approver, error) => {
  server.onApprove = () => {
    if (error) throw error;
  };
  const stop = placing.start();
  await vi.waitFor(() => {
    expect(placing.approver.latest).toBe(approver);
  });
  stop();
  expect(server.placed).toEqual([]);
});
