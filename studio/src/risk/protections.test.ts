import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import {
  PositionProtectionSchema,
  ProtectionState,
} from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import { OrderState } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { countUnprotected, exitsText, protectionText, protectionTone } from "./protections";

function position(state: ProtectionState) {
  const exits = [
    { isStop: true, state: OrderState.OPEN },
    { isStop: false, state: OrderState.UNSPECIFIED },
    { isStop: false, isTrailing: true, state: OrderState.OPEN },
  ];
  return create(PositionProtectionSchema, { state, exits });
}

test("only a position that has no stop counts as one without", () => {
  const found = [ProtectionState.UNPROTECTED, ProtectionState.UNCONFIRMED].map(position);
  expect(countUnprotected(found)).toBe(1);
  expect(protectionText(ProtectionState.UNPROTECTED)).toBe("no stop");
  expect(protectionTone(ProtectionState.UNPROTECTED)).toBe("bad");
});

test("only a stop that the venue has is good", () => {
  const good = Object.values(ProtectionState).filter(
    (state) => typeof state === "number" && protectionTone(state) === "good",
  );
  expect(good).toEqual([ProtectionState.PROTECTED]);
  expect(exitsText(position(ProtectionState.PROTECTED))).toBe(
    "stop open, take-profit not confirmed, trailing stop open",
  );
});

test("a state that this page does not know is not called good", () => {
  expect(protectionText(ProtectionState.UNSPECIFIED)).toBe("not known");
  expect(protectionTone(ProtectionState.UNSPECIFIED)).toBeUndefined();
});
