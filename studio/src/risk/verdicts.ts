import { type Check, CheckResult } from "../gen/venuemesh/events/v1/checks_pb";
import { Verdict } from "../gen/venuemesh/events/v1/risk_pb";
import { Side } from "../gen/venuemesh/common/v1/types_pb";
import type { ReportedVerdict } from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import { enumText } from "../why/enumText";
import { shownValue } from "../why/values";
import type { Tone } from "./modes";

/** The checks that have refused it. */
export function refusingChecks({ verdict }: ReportedVerdict): readonly Check[] {
  return verdict?.checks.filter(({ result }) => result === CheckResult.BLOCKED) ?? [];
}

/** "exposure_max: 650 of 600 USDT, of mesh": the value after the order if it changes it. */
export function checkText({ name, observed, projected, limit, unit, detail }: Check): string {
  const value = projected === "" ? observed : projected;
  const compared = value === "" ? "not known" : shownValue(value, unit).text;
  const shown = limit === "" ? undefined : shownValue(limit, unit);
  const of = shown ? ` of ${shown.text}${shown.unit === "" ? "" : ` ${shown.unit}`}` : "";
  const values = value === "" && limit === "" ? "" : `: ${compared}${of}`;
  return `${name}${values}${detail === "" ? "" : `, ${detail}`}`;
}

/** "block", or "closes" for what reduces a position, which no limit blocks. */
export function verdictText({ verdict }: ReportedVerdict): string {
  return enumText(Verdict, verdict?.verdict ?? Verdict.UNSPECIFIED) || "no verdict";
}

export function verdictTone({ verdict }: ReportedVerdict): Tone {
  if (verdict?.verdict === Verdict.ALLOW) return "good";
  return verdict?.verdict === Verdict.THROTTLE ? "warn" : "bad";
}

/** "ema_cross", or the caller. */
export function whoText({ strategy, caller }: ReportedVerdict): string {
  return strategy === "" ? caller : strategy;
}

/** "Buy 0.01 BTCUSDT, binance/main"; without a side it reduces, amends or cancels. */
export function orderText(reported: ReportedVerdict): string {
  const { side, size, symbol, venue, account, verdict } = reported;
  if (venue === "") return "";
  const sideText = side === Side.UNSPECIFIED ? "" : side === Side.BUY ? "Buy" : "Sell";
  const what = verdict?.isReduction ? "Reduce" : sideText;
  const words = [what, size, symbol].filter((one) => one !== "").join(" ");
  return `${words === "" ? "All" : words}, ${venue}/${account}`;
}
