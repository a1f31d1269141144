import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Poll, polledState } from "./poll";

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

const FOREVER_MS = 1_000_000;

test("a refresh asks at once, also while an answer is under way", async () => {
  const answers: ((value: number) => void)[] = [];
  const poll = new Poll<number>(() => new Promise((resolve) => answers.push(resolve)), FOREVER_MS);
  const stop = poll.start();
  expect(answers).toHaveLength(1);
  poll.refresh();
  answers[0]?.(1);
  await vi.waitFor(() => {
    expect(answers).toHaveLength(2);
  });
  answers[1]?.(2);
  await vi.waitFor(() => {
    expect(poll.state.latest.value).toBe(2);
  });
  poll.refresh();
  await vi.waitFor(() => {
    expect(answers).toHaveLength(3);
  });
  stop();
  answers[2]?.(3);
  await Promise.resolve();
  expect(poll.state.latest.value).toBe(2);
  expect(answers).toHaveLength(3);
});

test("a failure keeps the last value and is reported", async () => {
  let isAway = false;
  const ask = () => (isAway ? Promise.reject(new Error("away")) : Promise.resolve("here"));
  const poll = new Poll<string>(ask, FOREVER_MS);
  expect(polledState(poll.state.latest).phase).toBe("connecting");
  const stop = poll.start();
  await vi.waitFor(() => {
    expect(polledState(poll.state.latest).phase).toBe("live");
  });
  isAway = true;
  poll.refresh();
  await vi.waitFor(() => {
    expect(polledState(poll.state.latest).phase).toBe("reconnecting");
  });
  expect(poll.state.latest.value).toBe("here");
  stop();
});
