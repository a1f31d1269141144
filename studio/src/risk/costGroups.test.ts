import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { OrderCostsGroupSchema } from "../gen/venuemesh/history/v1/order_costs_pb";
import { groupMeans, groupName } from "./costGroups";

test("a group is named by what it is added up by", () => {
  const group = create(OrderCostsGroupSchema, { strategy: "ema", hour: 9 });
  expect(groupName(group, "strategy")).toBe("ema");
  expect(groupName(group, "hour")).toBe("09:00 UTC");
  const unnamed = create(OrderCostsGroupSchema, {});
  expect(groupName(unnamed, "strategy")).toBe("no strategy");
  expect(groupName(unnamed, "hour")).toBe("not known");
});

test("midnight is an hour", () => {
  expect(groupName(create(OrderCostsGroupSchema, { hour: 0 }), "hour")).toBe("00:00 UTC");
});

test("a mean of no order is not known, and the last mark-out is shown", () => {
  const group = create(OrderCostsGroupSchema, {
    slippageBps: { value: "1.5" },
    shortfallBps: { value: "" },
    markouts: [{ valueBps: { value: "2" } }, { valueBps: { value: "-3" } }],
  });
  expect(groupMeans(group)).toEqual(["1.5", undefined, undefined, "-3"]);
});
