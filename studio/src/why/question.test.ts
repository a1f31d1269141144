import { expect, test } from "vitest";

import type { Question } from "../route";
import { hexBytes, hexText, shortText } from "./bytes";
import { lookUpOf, questionOf, requestOf } from "./question";

const PLACE = { venue: "kraken", account: "main" };

test.each<[Question, object]>([
  [
    { about: "fill", ...PLACE, symbol: "BTC/USDT", fillId: "7" },
    { ...PLACE, symbol: "BTC/USDT", fillId: "7" },
  ],
  [
    { about: "order", ...PLACE, orderId: "6b1f" },
    { ...PLACE, orderId: "6b1f" },
  ],
  [
    { about: "position", ...PLACE, symbol: "BTC/USDT" },
    { ...PLACE, symbol: "BTC/USDT" },
  ],
  [{ about: "event", eventId: "0aff" }, { eventId: Uint8Array.from([10, 255]) }],
])("%j is asked and can be changed", (question, request) => {
  expect(requestOf(question)).toEqual(request);
  expect(questionOf(lookUpOf(question))).toEqual(question);
});

test("nothing is asked while a field is empty", () => {
  const typed = { about: "fill" as const, ...PLACE, symbol: " ", id: "7" };
  expect(questionOf(typed)).toBeUndefined();
  expect(questionOf({ ...typed, about: "order" })).toMatchObject({ about: "order", orderId: "7" });
  expect(questionOf(lookUpOf(undefined))).toBeUndefined();
});

test("bytes as text and back", () => {
  expect(hexText(Uint8Array.from([0, 255]))).toBe("00ff");
  expect(hexBytes("00ff")).toEqual(Uint8Array.from([0, 255]));
  expect([hexBytes("0"), hexBytes("xy"), hexBytes("")]).toEqual([undefined, undefined, undefined]);
  expect([shortText("12345678"), shortText("1234567890")]).toEqual(["12345678", "12345678…"]);
});
