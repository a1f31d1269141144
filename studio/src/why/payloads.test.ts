import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { EventSchema } from "../gen/venuemesh/events/v1/event_pb";
import { CheckResult } from "../gen/venuemesh/events/v1/checks_pb";
import { TradingMode, Verdict } from "../gen/venuemesh/events/v1/risk_pb";
import { enumText, scoreText } from "./enumText";
import { wholeChain } from "./exampleChain";
import { eventText, payloadJson, payloadName } from "./payloads";

test("the events of a chain say their main facts", () => {
  const texts = wholeChain().flatMap(({ event }) => (event ? [eventText(event)] : []));
  expect(texts.slice(0, 4).map(({ title, fact }) => `${title}: ${fact}`)).toEqual([
    "ema_cross: open Buy BTCUSDT",
    "intent issued: Buy 0.01 market",
    "allow: 1 checks passed, active",
    "taken: ",
  ]);
});

test("a verdict that blocks counts what blocks", () => {
  const event = create(EventSchema, {
    payload: {
      case: "verdictGiven",
      value: {
        verdict: Verdict.BLOCK,
        mode: TradingMode.STANDING_DOWN,
        checks: [{ result: CheckResult.BLOCKED }, { result: CheckResult.PASSED }],
      },
    },
  });
  expect(eventText(event)).toEqual({
    title: "block",
    fact: "1 of 2 block, standing down",
    tone: "bad",
  });
});

test("a stop that trails says from where to where", () => {
  const value = { before: "59000", after: "59600" };
  const stays = create(EventSchema, { payload: { case: "stopTrailed", value } });
  expect(eventText(stays).fact).toBe("59000 to 59600");
  expect(eventText(stays).title).toBe("stop follows here");
  const moved = { ...value, amendment: { requestId: "lc-1" } };
  const amended = create(EventSchema, { payload: { case: "stopTrailed", value: moved } });
  expect(eventText(amended).title).toBe("stop follows");
});

test("a kind without a card is shown by name and content", () => {
  const event = create(EventSchema, {
    payload: { case: "modeChanged", value: { scope: "mesh", after: TradingMode.HALTED } },
  });
  expect(payloadName(event)).toBe("mode_changed");
  expect(JSON.parse(payloadJson(event))).toEqual({ scope: "mesh", after: "TRADING_MODE_HALTED" });
});

test("a kind that the page has never heard of is shown by number and bytes", () => {
  // Field 99 with the two bytes "hi".
  const bytes = [
    ...toBinary(EventSchema, create(EventSchema, { source: "x" })),
    0x9a,
    6,
    2,
    104,
    105,
  ];
  const event = fromBinary(EventSchema, Uint8Array.from(bytes));
  expect(payloadName(event)).toBe("payload 99, newer than this page");
  expect(JSON.parse(payloadJson(event))).toMatchObject({
    source: "x",
    unknownFields: { 99: "026869" },
  });
});

test("unset and unknown values of enums", () => {
  expect([enumText(TradingMode, 0), enumText(TradingMode, 99)]).toEqual(["", "99"]);
  expect([scoreText(0.123456), scoreText(-1), scoreText(undefined)]).toEqual([
    "0.1235",
    "-1",
    "abstains",
  ]);
});
