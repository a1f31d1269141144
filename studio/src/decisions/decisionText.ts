import {
  type AttributedResult,
  AttributionKind,
  type RepeatDecisionResponse,
  type ReportedDecision,
} from "../gen/venuemesh/advisor/v1/decision_reports_pb";
import {
  DecisionOutcome,
  DecisionStage,
  OutcomeBarrier,
  type OutcomeObserved,
} from "../gen/venuemesh/events/v1/decisions_pb";
import { PositionAction } from "../gen/venuemesh/events/v1/signals_pb";
import { sideText } from "../why/payloads";
import { enumText, scoreText } from "../why/enumText";

/** "open Buy BTCUSDT". */
export function wantText({ action, side, symbol }: ReportedDecision): string {
  return `${enumText(PositionAction, action)} ${sideText(side)} ${symbol}`;
}

/** "intent issued", or "blocked by spread". */
export function resultText({ outcome, blockedBy }: ReportedDecision): string {
  const by = outcome === DecisionOutcome.BLOCKED && blockedBy !== "" ? ` by ${blockedBy}` : "";
  return `${enumText(DecisionOutcome, outcome) || "no result"}${by}`;
}

/** "stage 7, validation". Empty: no stage has blocked it. */
export function blockedStageText({ blockedStage }: ReportedDecision): string {
  const name = enumText(DecisionStage, blockedStage);
  return name === "" ? "" : `stage ${blockedStage}, ${name}`;
}

/** "0.65 → 0.51": by the rules and after calibration. Empty: an earlier stage has blocked. */
export function convictionText({ conviction, probability }: ReportedDecision): string {
  if (conviction === undefined) return "";
  const before = scoreText(conviction);
  return probability === undefined || probability === conviction
    ? before
    : `${before} → ${scoreText(probability)}`;
}

/** "won, target at 60610". */
export function observedText(observed: OutcomeObserved): string {
  const { barrier, price, reason } = observed;
  const place = price === "" ? "" : `${enumText(OutcomeBarrier, barrier)} at ${price}`;
  return [wonWord(observed), place, reason].filter((part) => part !== "").join(", ");
}

export function wonWord({ isWon }: OutcomeObserved): string {
  if (isWon === undefined) return "not known";
  return isWon ? "won" : "lost";
}

/** How many were won of those with a known outcome: "3 of 5". */
export function wonText(decisions: readonly ReportedDecision[]): string {
  const known = decisions.filter(({ observed }) => observed?.isWon !== undefined);
  const won = known.filter(({ observed }) => observed?.isWon);
  return known.length === 0 ? "none known" : `${won.length} of ${known.length}`;
}

/** "rule cross of the strategy": what results are due to. */
export function dueText({ kind, name, strategy }: AttributedResult): string {
  switch (kind) {
    case AttributionKind.STRATEGY:
      return strategy;
    case AttributionKind.REGIME:
      return name === "" ? "no named regime" : `regime ${name}`;
    case AttributionKind.STRATEGY_RULE:
      return `rule ${name}`;
    case AttributionKind.ADVISOR_RULE:
      return `advisor's rule ${name}`;
    case AttributionKind.CALIBRATION:
      return `calibration ${name}`;
    default:
      return `${enumText(AttributionKind, kind)} ${name}`.trim();
  }
}

/** The names of all strategies that decisions and maps are of. */
export function strategiesOf(
  ...lists: readonly (readonly { readonly strategy: string }[])[]
): readonly string[] {
  const names = new Set(lists.flat().map(({ strategy }) => strategy));
  names.delete("");
  return [...names].sort();
}

/** What repeating a decision has shown, in a sentence. */
export function repeatedText({ isEqual, differences }: RepeatDecisionResponse): string {
  if (isEqual) return "Made again from its record: every byte is equal.";
  const fields = differences.map(({ field, stored, made }) => `${field}: ${stored} → ${made}`);
  return `Made again from its record, it differs: ${fields.join("; ")}`;
}
