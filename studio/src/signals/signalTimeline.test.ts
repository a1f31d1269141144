import { create } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { EventStream } from "../gen/venuemesh/events/v1/event_pb";
import {
  Events,
  type ListEventsRequest,
  SubscribeResponseSchema,
} from "../gen/venuemesh/events/v1/events_pb";
import { PositionAction, StrategyRunState } from "../gen/venuemesh/events/v1/signals_pb";
import { made } from "../why/exampleChain";
import { addEvents, signalCount, signalRows, stateRowText, timelineFeed } from "./signalTimeline";

const KEY = { strategy: "trend", venue: "binance", symbol: "BTCUSDT" };
const STREAM = EventStream.SIGNALS;

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

function raised(number: number, changes: Partial<typeof KEY> = {}) {
  const value = {
    ...KEY,
    ...changes,
    action: PositionAction.OPEN,
    side: Side.BUY,
    rules: [
      { rule: "cross", weight: 1, score: 1 },
      { rule: "flow", weight: 1, score: 0 },
    ],
  };
  return made({ number, stream: STREAM, payload: { case: "signalRaised", value } });
}

function failed(number: number) {
  const value = { ...KEY, state: StrategyRunState.FAILED, detail: "trend.py:3: KeyError" };
  return made({ number, stream: STREAM, payload: { case: "strategyStateChanged", value } });
}

test("signals and states of one instance, newest first, each once", () => {
  const others = [raised(3, { strategy: "other" }), raised(4, { symbol: "ETHUSDT" })];
  const first = addEvents([], [raised(1), ...others, failed(5)], KEY);
  const timeline = addEvents(first, [raised(6), failed(5), raised(2)], KEY);
  expect(timeline.map(({ kind, sequence }) => [kind, sequence])).toEqual([
    ["signal", 6n],
    ["state", 5n],
    ["signal", 2n],
    ["signal", 1n],
  ]);
  const signals = signalRows(timeline);
  expect(signals.map(({ sequence }) => sequence)).toEqual([6n, 2n, 1n]);
  expect([signalCount(signals, "cross"), signalCount(signals, "flow")]).toEqual([3, 0]);
});

test("a state says why", () => {
  const [row] = addEvents([], [failed(1)], KEY);
  expect(row?.kind === "state" && stateRowText(row.changed)).toBe("failed: trend.py:3: KeyError");
});

test("the past is that of the strategy, whatever others have raised since", async () => {
  const asked: ListEventsRequest[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(Events, {
      async *subscribe() {
        const positions = [{ stream: STREAM, sequence: 100_000n }];
        yield create(SubscribeResponseSchema, { positions });
        await new Promise(() => undefined);
      },
      listEvents(request) {
        asked.push(request);
        return { events: request.subject === "strategy:trend" ? [raised(7)] : [failed(8)] };
      },
    });
  });
  const feed = timelineFeed(KEY, createClient(Events, transport));
  const stop = feed.start();
  await vi.waitFor(() => {
    expect(feed.value.latest?.map(({ sequence }) => sequence)).toEqual([8n, 7n]);
  });
  expect(asked.map(({ subject }) => subject)).toEqual([
    "strategy:trend",
    "strategy_state:trend/binance/BTCUSDT",
  ]);
  for (const request of asked) {
    expect([request.newestFirst, request.stream, request.afterSequence]).toEqual([
      true,
      STREAM,
      0n,
    ]);
  }
  stop();
});
