import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { StrategyState, StrategyStatusSchema } from "../gen/venuemesh/detector/v1/detector_pb";
import { chosenInstance, instancesOf, instanceText, missingText, stateText } from "./instances";

/** What a newer detector may answer. */
const fromNewer: object = { state: 99 };
const ANY = { strategy: "", venue: "", symbol: "" };
const LISTED = [
  { file: "broken.py", state: StrategyState.FAILED, detail: "line 2: SyntaxError" },
  { strategy: "trend", venue: "binance", symbol: "BTCUSDT" },
  { strategy: "trend", venue: "kraken", symbol: "BTC/USDT" },
].map((fields) => create(StrategyStatusSchema, fields));

test("the address chooses an instance, and what is empty fits all", () => {
  const chosen = (wanted: Partial<typeof ANY>) => chosenInstance(LISTED, { ...ANY, ...wanted });
  expect(chosen({})).toBe(LISTED[1]);
  expect(chosen({ strategy: "trend", venue: "kraken" })).toBe(LISTED[2]);
  expect(chosen({ strategy: "trend", venue: "okx" })).toBeUndefined();
  expect(chosen({ strategy: "none" })).toBeUndefined();
  expect(instancesOf(LISTED)).toHaveLength(2);
  expect(instancesOf(undefined)).toEqual([]);
});

test("a page without an instance says why, and what to do", () => {
  expect(missingText([], ANY)).toContain("No strategy runs. Write one with ./venuemesh strategy");
  expect(missingText(LISTED.slice(0, 1), ANY)).toContain("no file of the folder can be used");
  const wanted = { strategy: "none", venue: "okx", symbol: "BTC-USDT" };
  expect(missingText(LISTED, wanted)).toBe("There is no strategy “none on okx BTC-USDT”.");
  expect(instanceText({ ...ANY, strategy: "trend" })).toBe("trend");
});

test("a state is a word, and one that this page does not know is a number", () => {
  expect(stateText(StrategyState.RUNNING)).toBe("running");
  const { state } = create(StrategyStatusSchema, fromNewer);
  expect(stateText(state)).toBe("state 99");
});
