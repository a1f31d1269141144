import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { TradingMode } from "../gen/venuemesh/events/v1/risk_pb";
import { Inspector, type SetModeRequest } from "../gen/venuemesh/inspector/v1/inspector_pb";
import { ModeSetter } from "./modeSetter";

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

/** An inspector whose next call fails as long as there is a failure. */
function fakeInspector(failures: ConnectError[] = []) {
  const asked: SetModeRequest[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(Inspector, {
      setMode(request) {
        asked.push(request);
        const failure = failures.shift();
        if (failure) throw failure;
        const { scope, mode, reason } = request;
        return { mode: { scope, mode, reason, unfencedAccounts: ["okx/main"] } };
      },
    });
  });
  return { asked, setter: new ModeSetter(createClient(Inspector, transport)) };
}

test("a mode is set with its reason, and names accounts that may still take entries", async () => {
  const { asked, setter } = fakeInspector();
  await setter.set("mesh", TradingMode.HALTED, "a test");
  expect(asked).toMatchObject([{ scope: "mesh", mode: TradingMode.HALTED, reason: "a test" }]);
  expect(setter.change.latest).toEqual({ phase: "done", unfenced: ["okx/main"] });
});

test("a refusal is shown, and the call can be repeated", async () => {
  const { asked, setter } = fakeInspector([new ConnectError("away", Code.Unavailable)]);
  await setter.set("mesh", TradingMode.HALTED, "a test");
  expect(setter.change.latest).toMatchObject({ phase: "failed", failure: { message: "away" } });
  await setter.set("mesh", TradingMode.HALTED, "a test");
  expect(setter.change.latest.phase).toBe("done");
  expect(asked).toHaveLength(2);
});

test("a second click while the first is sent does nothing", async () => {
  const { asked, setter } = fakeInspector();
  const first = setter.set("mesh", TradingMode.HALTED, "a test");
  await setter.set("mesh", TradingMode.ACTIVE, "another");
  await first;
  expect(asked).toHaveLength(1);
});
