import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import {
  AttributedResultSchema,
  AttributionKind,
  RepeatDecisionResponseSchema,
  ReportedDecisionSchema,
} from "../gen/venuemesh/advisor/v1/decision_reports_pb";
import { Side } from "../gen/venuemesh/common/v1/types_pb";
import {
  DecisionOutcome,
  DecisionStage,
  OutcomeBarrier,
  OutcomeObservedSchema,
} from "../gen/venuemesh/events/v1/decisions_pb";
import { PositionAction } from "../gen/venuemesh/events/v1/signals_pb";
import {
  blockedStageText,
  convictionText,
  dueText,
  observedText,
  repeatedText,
  resultText,
  strategiesOf,
  wantText,
  wonText,
} from "./decisionText";

function reported(fields: MessageInitShape<typeof ReportedDecisionSchema>) {
  return create(ReportedDecisionSchema, fields);
}

test("a decision says what was wanted and what blocks it", () => {
  const wanted = reported({ action: PositionAction.OPEN, side: Side.BUY, symbol: "BTCUSDT" });
  expect(wantText(wanted)).toBe("open Buy BTCUSDT");
  const blocked = reported({
    outcome: DecisionOutcome.BLOCKED,
    blockedStage: DecisionStage.VALIDATION,
    blockedBy: "spread",
  });
  expect(resultText(blocked)).toBe("blocked by spread");
  expect(blockedStageText(blocked)).toBe("stage 7, validation");
  const expired = reported({ outcome: DecisionOutcome.EXPIRED, blockedBy: "signal_expiry" });
  expect(resultText(expired)).toBe("expired");
  expect(blockedStageText(expired)).toBe("");
  expect(resultText(reported({}))).toBe("no result");
});

test("a conviction is shown before and after calibration", () => {
  expect(convictionText(reported({ conviction: 0.65868, probability: 0.515044 }))).toBe(
    "0.6587 → 0.515",
  );
  expect(convictionText(reported({ conviction: 0.5, probability: 0.5 }))).toBe("0.5");
  expect(convictionText(reported({ conviction: 0.5 }))).toBe("0.5");
  expect(convictionText(reported({}))).toBe("");
});

test("an outcome that is not known is not lost", () => {
  const observed = (fields: MessageInitShape<typeof OutcomeObservedSchema>) =>
    create(OutcomeObservedSchema, fields);
  const stopped = { barrier: OutcomeBarrier.STOP, price: "59710", isWon: false };
  expect(observedText(observed(stopped))).toBe("lost, stop at 59710");
  expect(observedText(observed({ reason: "no trade" }))).toBe("not known, no trade");
  const rows = [
    reported({ observed: { isWon: true } }),
    reported({ observed: { isWon: false } }),
    reported({ observed: {} }),
    reported({}),
  ];
  expect(wonText(rows)).toBe("1 of 2");
  expect(wonText(rows.slice(2))).toBe("none known");
});

test.each([
  [AttributionKind.STRATEGY, "", "trend"],
  [AttributionKind.REGIME, "", "no named regime"],
  [AttributionKind.REGIME, "calm", "regime calm"],
  [AttributionKind.STRATEGY_RULE, "cross", "rule cross"],
  [AttributionKind.ADVISOR_RULE, "spread", "advisor's rule spread"],
  [AttributionKind.CALIBRATION, "not applied", "calibration not applied"],
  [AttributionKind.MODEL, "small: supports", "model small: supports"],
])("results of kind %j and name %j are due to %j", (kind, name, text) => {
  expect(dueText(create(AttributedResultSchema, { kind, name, strategy: "trend" }))).toBe(text);
});

test("each strategy is named once", () => {
  expect(strategiesOf([{ strategy: "b" }, { strategy: "" }], [{ strategy: "a" }], [])).toEqual([
    "a",
    "b",
  ]);
});

test("a repeated decision names what differs", () => {
  const same = create(RepeatDecisionResponseSchema, { isEqual: true });
  expect(repeatedText(same)).toBe("Made again from its record: every byte is equal.");
  const differences = [{ field: "decision_made.outcome", stored: "1", made: "2" }];
  expect(repeatedText(create(RepeatDecisionResponseSchema, { differences }))).toBe(
    "Made again from its record, it differs: decision_made.outcome: 1 → 2",
  );
});
