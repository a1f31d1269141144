import type { LimitUse, ListLimitsResponse } from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import { alignDecimals, compare, formatScaled, parseDecimal, toNumber } from "../ui/decimal";
import { formatDuration } from "../ui/format";
import { modeText } from "./modes";

/** How near a value is to its limit. */
export type Nearness = "beyond" | "unknown" | "near" | "within" | "of_orders";

const NEAR = parseDecimal("0.8");
const UNTIL_WITHIN = "until the value was within it for";
const FIRST: readonly Nearness[] = ["beyond", "unknown", "near", "within", "of_orders"];

export function nearnessOf({ isBeyond, isOfOrders, observed, used }: LimitUse): Nearness {
  if (isOfOrders) return "of_orders";
  if (isBeyond) return "beyond";
  if (observed === "") return "unknown";
  return used !== "" && compare(parseDecimal(used), NEAR) >= 0 ? "near" : "within";
}

/** What needs a person first, then the most used. */
export function sortedLimits({ limits }: ListLimitsResponse): readonly LimitUse[] {
  return [...limits].sort((left, right) => {
    const first = FIRST.indexOf(nearnessOf(left)) - FIRST.indexOf(nearnessOf(right));
    return first === 0 ? compare(usedOf(right), usedOf(left)) : first;
  });
}

/** "37.5 %"; empty if it is not known. */
export function usedText({ used }: LimitUse): string {
  return used === "" ? "" : percentText(used);
}

/** The part of the bar that is filled, from 0 to 1. */
export function filledPart({ used, isBeyond }: LimitUse): number {
  if (isBeyond) return 1;
  return used === "" ? 0 : Math.min(toNumber(parseDecimal(used)), 1);
}

/** The modes that it sets: "throttled from 80 % on, closing all"; empty: it blocks entries only. */
export function modesText({ escalations }: LimitUse): string {
  return escalations
    .map(({ mode, share }) => {
      const from = share === "1" ? "" : ` from ${percentText(share)} on`;
      return `${modeText(mode)}${from}`;
    })
    .join(", ");
}

/** What is done when it is reached, and for how long, as a sentence. */
export function consequenceText(limit: LimitUse): string {
  if (limit.isOfOrders) return "An order beyond it is blocked.";
  const ends = limit.escalations.map(({ mode, releaseSeconds }) => {
    const waits = formatDuration(releaseSeconds * 1_000);
    const lasting = "until a person ends it";
    return `${modeText(mode)}: ${releaseSeconds === 0 ? lasting : `${UNTIL_WITHIN} ${waits}`}`;
  });
  return ["Entries beyond it are blocked.", ...ends].join(" ");
}

function percentText(part: string): string {
  const { value, scale } = parseDecimal(part);
  return `${alignDecimals(formatScaled({ value: value * 100n, scale }), 0)} %`;
}

function usedOf({ used }: LimitUse) {
  return parseDecimal(used === "" ? "0" : used);
}
