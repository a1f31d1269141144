import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, expect, test, vi } from "vitest";

import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";
import { describeFailure } from "./failure";
import { delayMs, retryUntilAnswered } from "./retry";
import { follow, type StreamState } from "./stream";

afterEach(() => {
  vi.useRealTimers();
});

/** Answers each opening with the next script: messages, then the error, if any. */
function scripted(scripts: { messages: string[]; error?: Error }[]) {
  return async function* () {
    await Promise.resolve();
    const script = scripts.shift();
    yield* script?.messages ?? [];
    if (script?.error) throw script.error;
  };
}

function apiError(reason: string, code: Code): ConnectError {
  const info = { reason, domain: "venuemesh" };
  const detail = { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, info) };
  return new ConnectError("No such thing.", code, undefined, [detail]);
}

/** Follows the scripts to their end and returns the handler calls. */
async function watch(scripts: { messages: string[]; error?: Error }[]) {
  const messages: string[] = [];
  const states: StreamState[] = [];
  await new Promise<void>((finished) => {
    const stop = follow(
      scripted(scripts),
      { onMessage: (message) => messages.push(message), onState: (state) => states.push(state) },
      () => {
        if (scripts.length === 0) {
          stop();
          finished();
        }
        return Promise.resolve();
      },
    );
  });
  return { messages, states, phases: states.map((state) => state.phase) };
}

test("a stream that ends is opened again", async () => {
  const seen = await watch([{ messages: ["a", "b"] }, { messages: ["c"] }]);
  expect(seen.messages).toEqual(["a", "b", "c"]);
  expect(seen.phases).toEqual(["connecting", "live", "reconnecting", "live", "reconnecting"]);
});

test("a lost stream reconnects with a reason, a rejected one is an error", async () => {
  const away = apiError("STORE_UNAVAILABLE", Code.Unavailable);
  const unknown = apiError("UNKNOWN_INSTRUMENT", Code.NotFound);
  const seen = await watch([
    { messages: [], error: away },
    { messages: [], error: unknown },
  ]);
  expect(seen.phases).toEqual(["connecting", "reconnecting", "error"]);
  expect(seen.states[1]).toMatchObject({ failure: { reason: "STORE_UNAVAILABLE" } });
  expect(seen.states[2]).toMatchObject({ failure: { reason: "UNKNOWN_INSTRUMENT" } });
});

test("nothing is reported after stopping, and the call is aborted", async () => {
  const seen: string[] = [];
  let closed = false;
  const stop = follow(
    async function* () {
      try {
        await Promise.resolve();
        yield "a";
        yield "b";
      } finally {
        closed = true;
      }
    },
    {
      onMessage: (message) => {
        seen.push(message);
        stop();
      },
      onState: (state) => seen.push(state.phase),
    },
  );
  await expect.poll(() => closed).toBe(true);
  expect(seen).toEqual(["connecting", "live", "a"]);
});

test("a stream that is accepted and stays silent is live after a second", async () => {
  vi.useFakeTimers();
  const phases: string[] = [];
  const stop = follow(
    async function* (options): AsyncGenerator<string> {
      options.onHeader?.(new Headers());
      await new Promise(() => undefined);
      yield "never";
    },
    { onMessage: () => undefined, onState: (state) => phases.push(state.phase) },
  );
  await vi.advanceTimersByTimeAsync(900);
  expect(phases).toEqual(["connecting"]);
  await vi.advanceTimersByTimeAsync(200);
  expect(phases).toEqual(["connecting", "live"]);
  stop();
});

test("a call is retried until it succeeds or is aborted", async () => {
  const failures: string[] = [];
  const away = apiError("STORE_UNAVAILABLE", Code.Unavailable);
  const controller = new AbortController();
  const answers = [away, away, "bars"];
  const ask = () => {
    const answer = answers.shift();
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  const note = (failure: { reason: string }) => failures.push(failure.reason);
  const noWait = () => Promise.resolve();
  expect(await retryUntilAnswered(ask, controller.signal, note, noWait)).toBe("bars");
  expect(failures).toEqual(["STORE_UNAVAILABLE", "STORE_UNAVAILABLE"]);
  controller.abort();
  answers.push(away, "too late");
  expect(await retryUntilAnswered(ask, controller.signal, note, noWait)).toBeUndefined();
});

test("delays double up to ten seconds and jitter takes off at most a half", () => {
  expect([0, 1, 2, 3].map((failures) => delayMs(failures, 0))).toEqual([500, 1000, 2000, 4000]);
  expect(delayMs(50, 0)).toBe(10_000);
  expect(delayMs(50, 1)).toBe(5_000);
});

test("a failure without details is named by its gRPC code", () => {
  const failure = describeFailure(new ConnectError("gone", Code.DeadlineExceeded));
  expect(failure).toEqual({ reason: "DEADLINE_EXCEEDED", message: "gone", isRejected: false });
});

test("a lost connection differs from a response", () => {
  const failure = describeFailure(new TypeError("network error"));
  expect(failure).toMatchObject({ reason: "CONNECTION_LOST", isRejected: false });
});
