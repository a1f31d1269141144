import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { ReconciledItem, ReconciliationCause } from "../gen/venuemesh/events/v1/reconciliations_pb";
import {
  AccountReconciliationSchema,
  ReconciliationState,
} from "../gen/venuemesh/inspector/v1/reconciliations_pb";
import { countByCause, differencesOf, stateText, stateTone, subjectText } from "./reconciliations";

function account(name: string, ...causes: ReconciliationCause[]) {
  const differences = causes.map((cause) => ({
    item: ReconciledItem.BALANCE,
    subject: "USDT",
    cause,
  }));
  return create(AccountReconciliationSchema, { venue: "binance", account: name, differences });
}

test("differences that last come before those that end by themselves", () => {
  const { LATE, ROUNDING, MISSED_FILL, UNKNOWN } = ReconciliationCause;
  const found = differencesOf([account("a", LATE, UNKNOWN), account("b", ROUNDING, MISSED_FILL)]);
  expect(found.map(({ place, difference }) => [place, difference.cause])).toEqual([
    ["binance/b", MISSED_FILL],
    ["binance/a", UNKNOWN],
    ["binance/a", LATE],
    ["binance/b", ROUNDING],
  ]);
  expect(countByCause(found)[0]).toEqual(["missed fill", 1]);
});

test("a difference names what differs", () => {
  const [found] = account("a", ReconciliationCause.LATE).differences;
  expect(found && subjectText(found)).toBe("balance USDT");
});

test("only accounts that agree are good", () => {
  expect(stateTone(ReconciliationState.AGREES)).toBe("good");
  expect(stateTone(ReconciliationState.UNKNOWN)).toBe("warn");
  expect(stateText(ReconciliationState.UNSPECIFIED)).toBe("not known");
});
