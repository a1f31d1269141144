import { create } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { EventStream } from "../gen/venuemesh/events/v1/event_pb";
import { Events, SubscribeResponseSchema } from "../gen/venuemesh/events/v1/events_pb";
import { OrderState } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { filled, orderState, wholeChain } from "./exampleChain";
import { addEvents, chainFeed, CHAINS_MAX } from "./newestChains";

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

test("a chain is one row with what was reached", () => {
  const [row] = addEvents([], wholeChain());
  expect(row).toMatchObject({ begunBy: "ema_cross", where: "binance/demo BTCUSDT" });
  expect([...(row?.reached ?? [])].map(([stage, { title }]) => `${stage}: ${title}`)).toEqual([
    "signal: ema_cross",
    "decision: intent issued",
    "verdict: allow",
    "order: filled",
    "fill: Buy 0.01",
    "posting: booked",
  ]);
});

test("an order outside of chains and its fills are one row, whichever comes first", () => {
  const events = [filled(12, "a"), orderState(11, OrderState.OPEN, "a")];
  const list = addEvents(addEvents([], events.slice(0, 1)), events.slice(1));
  expect(list.map(({ begunBy, where, newestTimeNs }) => [begunBy, where, newestTimeNs])).toEqual([
    ["", "binance/demo BTCUSDT", 12_000_000n],
  ]);
  expect(addEvents(list, events)).toEqual(list);
});

test("the newest come first, and old ones leave", () => {
  const events = Array.from({ length: CHAINS_MAX + 5 }, (_, at) => filled(at + 1, `o-${at}`));
  const list = addEvents([], events);
  expect(list).toHaveLength(CHAINS_MAX);
  expect(list[0]?.newestTimeNs).toBe(BigInt(CHAINS_MAX + 5) * 1_000_000n);
});

test("the page begins with the past of each stream, and then follows", async () => {
  const asked: [EventStream, bigint][] = [];
  const transport = createRouterTransport(({ service }) => {
    service(Events, {
      async *subscribe() {
        const positions = [{ stream: EventStream.EXECUTIONS, sequence: 1_000n }];
        yield create(SubscribeResponseSchema, { positions });
        await vi.waitFor(() => {
          expect(asked).toHaveLength(1);
        });
        yield create(SubscribeResponseSchema, { events: [filled(50, "live")], positions });
        await new Promise(() => undefined);
      },
      listEvents({ stream, afterSequence }) {
        asked.push([stream, afterSequence]);
        return { events: [filled(40, "past")] };
      },
    });
  });
  const feed = chainFeed(createClient(Events, transport));
  const stop = feed.start();
  await vi.waitFor(() => {
    expect(feed.value.latest?.map(({ newestTimeNs }) => newestTimeNs)).toEqual([
      50_000_000n,
      40_000_000n,
    ]);
  });
  expect(asked).toEqual([[EventStream.EXECUTIONS, 800n]]);
  stop();
});
