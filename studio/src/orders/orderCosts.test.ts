import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import {
  type FigureSchema,
  OrderCostsSchema,
  UnknownReason,
} from "../gen/venuemesh/history/v1/order_costs_pb";
import { COST_COLUMNS, costTexts } from "./orderCosts";

const MARKOUTS = [
  { horizonMs: 1_000, valueBps: { value: "24.691358" } },
  { horizonMs: 10_000, valueBps: { value: "-3" } },
  { horizonMs: 60_000, valueBps: { unknownReason: UnknownReason.NOT_YET } },
];

type FigureInit = MessageInitShape<typeof FigureSchema>;

interface Changes {
  readonly waitsForPrice?: boolean;
  readonly slippageBps?: FigureInit;
  readonly triggerSlippageBps?: FigureInit;
}

function texts(changes: Changes) {
  const costs = create(OrderCostsSchema, {
    slippageBps: { value: "74.626866" },
    triggerSlippageBps: { unknownReason: UnknownReason.NO_TRIGGER },
    shortfall: { totalBps: { unknownReason: UnknownReason.NO_DECISION } },
    feeBps: { value: "0" },
    expectedFeeBps: { value: "10" },
    markouts: MARKOUTS,
    ...changes,
  });
  const found = costTexts(costs);
  expect(found).toHaveLength(COST_COLUMNS.length);
  return found.map(({ text, unknown }) => text ?? `(${unknown})`);
}

test("a figure is shown exactly, or why it is not known; 0 is a figure", () => {
  expect(texts({})).toEqual([
    "74.626866",
    "(no decision)",
    "0",
    "10",
    "24.691358",
    "-3",
    "(not yet)",
  ]);
});

test("what waits for a price is compared with its stop price", () => {
  const waits = { value: "50.761421" };
  const arrival = { unknownReason: UnknownReason.WAITS_FOR_PRICE };
  const found = texts({ waitsForPrice: true, slippageBps: arrival, triggerSlippageBps: waits });
  expect(found[0]).toBe("50.761421");
});
