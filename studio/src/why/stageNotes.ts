import {
  type CalibrationApplied,
  CalibrationMapKind,
} from "../gen/venuemesh/events/v1/calibrations_pb";
import {
  DecisionStage,
  type Synthesis,
  SynthesisOutcome,
} from "../gen/venuemesh/events/v1/decisions_pb";
import { enumText, scoreText } from "./enumText";

/** What a stage has done besides its checks. Empty: nothing. */
export function stageNote(
  stage: DecisionStage,
  skippedReason: string,
  calibration: CalibrationApplied | undefined,
  synthesis: Synthesis | undefined,
): string {
  const skipped = skippedReason === "" ? "" : `passed over: ${skippedReason}`;
  if (stage === DecisionStage.CALIBRATION && calibration) {
    return [calibrationText(calibration), skipped].filter((part) => part !== "").join("; ");
  }
  if (stage === DecisionStage.SYNTHESIS && synthesis) return synthesisText(synthesis);
  return skipped;
}

/** "platt of 400 outcomes: 0.6587 to 0.515". Empty: the conviction has stayed. */
function calibrationText({ map, conviction, probability }: CalibrationApplied): string {
  if (!map || conviction === probability) return "";
  const name = map.isApplied ? enumText(CalibrationMapKind, map.kind) : "no map";
  const change = `${scoreText(conviction)} to ${scoreText(probability)}`;
  return `${name} of ${map.outcomes} outcomes: ${change}`;
}

/** "small-model: hallucination: quote.ask_price is 60010". */
function synthesisText({ model, outcome, detail }: Synthesis): string {
  const parts = [model, enumText(SynthesisOutcome, outcome), detail];
  return parts.filter((part) => part !== "").join(": ");
}
