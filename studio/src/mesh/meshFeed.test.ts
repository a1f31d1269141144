import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { ServiceSchema } from "../gen/venuemesh/registry/v1/registry_pb";
import { addRates, type MeshService } from "./meshFeed";

function service(serviceId: string, heartbeat: number, eventsPerSecond: number) {
  return create(ServiceSchema, {
    instance: { serviceId },
    status: { eventsPerSecond },
    heartbeatTimeNs: BigInt(heartbeat),
  });
}

test("a rate is added with each heartbeat, not with each message", () => {
  let list = addRates([], [service("bars", 1, 10)]);
  list = addRates(list, [service("bars", 1, 10)]);
  list = addRates(list, [service("bars", 2, 20)]);
  expect(list[0]?.rates).toEqual([10, 20]);
});

test("rates are bounded, and a stopped service is removed", () => {
  let list: readonly MeshService[] = [];
  for (let beat = 1; beat <= 100; beat++) list = addRates(list, [service("bars", beat, beat)]);
  expect(list[0]?.rates).toHaveLength(60);
  expect(list[0]?.rates.at(-1)).toBe(100);
  expect(addRates(list, [])).toEqual([]);
});
