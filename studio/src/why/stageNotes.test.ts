import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import {
  CalibrationAppliedSchema,
  CalibrationMapKind,
} from "../gen/venuemesh/events/v1/calibrations_pb";
import {
  DecisionStage,
  SynthesisOutcome,
  SynthesisSchema,
} from "../gen/venuemesh/events/v1/decisions_pb";
import { stageNote } from "./stageNotes";

const applied = create(CalibrationAppliedSchema, {
  map: { kind: CalibrationMapKind.ONLINE_PLATT, outcomes: 400, isApplied: true },
  conviction: 0.65868,
  probability: 0.515044,
});

test("the map says what it has made of the conviction", () => {
  expect(stageNote(DecisionStage.CALIBRATION, "", applied, undefined)).toBe(
    "online platt of 400 outcomes: 0.6587 to 0.515",
  );
});

test("a map that is not applied may still cap the conviction", () => {
  const capped = create(CalibrationAppliedSchema, {
    map: { outcomes: 3 },
    conviction: 0.7,
    probability: 0.5,
  });
  expect(stageNote(DecisionStage.CALIBRATION, "it has drifted", capped, undefined)).toBe(
    "no map of 3 outcomes: 0.7 to 0.5; passed over: it has drifted",
  );
  const kept = create(CalibrationAppliedSchema, { map: {}, conviction: 0.7, probability: 0.7 });
  expect(stageNote(DecisionStage.CALIBRATION, "too few", kept, undefined)).toBe(
    "passed over: too few",
  );
});

test("a model is named with how its request has ended", () => {
  const made = create(SynthesisSchema, {
    model: "small",
    outcome: SynthesisOutcome.HALLUCINATION,
    detail: "the symbol differs",
  });
  expect(stageNote(DecisionStage.SYNTHESIS, "", undefined, made)).toBe(
    "small: hallucination: the symbol differs",
  );
  expect(stageNote(DecisionStage.SYNTHESIS, "no model is configured", applied, undefined)).toBe(
    "passed over: no model is configured",
  );
});
