import { create } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { EventStream } from "../gen/venuemesh/events/v1/event_pb";
import { Events, SubscribeResponseSchema } from "../gen/venuemesh/events/v1/events_pb";
import { filled } from "../why/exampleChain";
import { RiskFeed } from "./riskFeed";

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

test("each event of risk says that something has changed, and the beginning does not", async () => {
  const asked: EventStream[][] = [];
  const transport = createRouterTransport(({ service }) => {
    service(Events, {
      async *subscribe({ streams }) {
        asked.push(streams);
        yield create(SubscribeResponseSchema);
        yield create(SubscribeResponseSchema, { events: [filled(1, "a"), filled(2, "a")] });
        await new Promise(() => undefined);
      },
    });
  });
  const onChange = vi.fn();
  const feed = new RiskFeed(onChange, createClient(Events, transport));
  const stop = feed.start();
  await vi.waitFor(() => {
    expect(onChange).toHaveBeenCalledOnce();
  });
  expect(asked).toEqual([[EventStream.RISK]]);
  expect(feed.state.latest.phase).toBe("live");
  stop();
});
