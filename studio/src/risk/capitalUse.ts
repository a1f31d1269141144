import { riskReports } from "../api/transport";
import type {
  GetCapitalUseResponse,
  StrategyCapital,
  SuppressedSignals,
} from "../gen/venuemesh/inspector/v1/capital_reports_pb";
import { Poll } from "../state/poll";

/** Thousands of events are read for it. */
const PAUSE_MS = 30_000;

/** What strategies use now, and the signals of the last 24 hours that led to no order. */
export function pollCapitalUse(): Poll<GetCapitalUseResponse> {
  return new Poll((signal) => riskReports.getCapitalUse({}, { signal }), PAUSE_MS);
}

/** A part as a percentage: "0.305" is "30.5 %". Undefined: not known. */
export function partText(part: string): string | undefined {
  return part === "" ? undefined : `${String(Math.round(Number(part) * 1_000) / 10)} %`;
}

export function strategyName({ strategy }: StrategyCapital | SuppressedSignals): string {
  return strategy === "" ? "persons" : strategy;
}

/** How many of the signals would have won: "3 of 5". Undefined: no outcome is known. */
export function wonText({ won, lost }: SuppressedSignals): string | undefined {
  return won + lost === 0 ? undefined : `${String(won)} of ${String(won + lost)}`;
}
