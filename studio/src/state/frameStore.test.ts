import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { FrameStore } from "./frameStore";

let frames: (() => void)[] = [];

beforeEach(() => {
  frames = [];
  vi.stubGlobal("requestAnimationFrame", (frame: () => void) => frames.push(frame));
});

afterEach(() => {
  vi.unstubAllGlobals();
});

function nextFrame() {
  const due = frames;
  frames = [];
  for (const frame of due) frame();
}

test("many changes within a frame are shown once, with the newest value", () => {
  const store = new FrameStore(0);
  const seen: number[] = [];
  store.subscribe(() => seen.push(store.shown()));
  for (let value = 1; value <= 100; value++) store.set(value);
  expect(store.latest).toBe(100);
  expect(store.shown()).toBe(0);
  expect(frames).toHaveLength(1);
  nextFrame();
  store.set(101);
  nextFrame();
  expect(seen).toEqual([100, 101]);
});

test("a value that is back where it was is not shown again", () => {
  const store = new FrameStore("a");
  const listener = vi.fn();
  const unsubscribe = store.subscribe(listener);
  store.set("b");
  store.set("a");
  nextFrame();
  expect(listener).not.toHaveBeenCalled();
  unsubscribe();
  store.set("c");
  nextFrame();
  expect(listener).not.toHaveBeenCalled();
  expect(store.shown()).toBe("c");
});
