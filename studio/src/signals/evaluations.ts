import type {
  EvaluatedRule,
  Evaluation,
  GetEvaluationsResponse,
} from "../gen/venuemesh/detector/v1/detector_pb";
import type { ChartLine } from "../market/candleChart";

/** Bars of one strip, newest at the right: as many as the detector keeps. */
export const STRIP_BARS = 240;
const EVALUATIONS_MAX = 1_000;

/** What a version of a strategy has computed on its newest bars. */
export interface EvaluationHistory {
  /** Empty: nothing is known. */
  readonly version: string;
  readonly rules: readonly EvaluatedRule[];
  readonly exits: readonly string[];
  readonly priceLines: readonly string[];
  /** Oldest first. */
  readonly evaluations: readonly Evaluation[];
}

export const NO_EVALUATIONS: EvaluationHistory = {
  version: "",
  rules: [],
  exits: [],
  priceLines: [],
  evaluations: [],
};

/** What is known with a further answer. An answer of another version replaces it. */
export function extended(
  known: EvaluationHistory,
  answer: GetEvaluationsResponse,
): EvaluationHistory {
  // The code is not loaded: what it had computed stays true.
  if (answer.rules.length === 0) return known;
  const { rules, exits, priceLines } = answer;
  const version = answer.status?.version ?? "";
  const before = version === known.version ? known.evaluations : [];
  const newestNs = before.at(-1)?.openTimeNs ?? -1n;
  const newer = answer.evaluations.filter(({ openTimeNs }) => openTimeNs > newestNs);
  if (newer.length === 0 && version === known.version) return known;
  const evaluations = [...before, ...newer].slice(-EVALUATIONS_MAX);
  return { version, rules, exits, priceLines, evaluations };
}

/** What is drawn over the candles. */
export function chartLines({ priceLines, evaluations }: EvaluationHistory): readonly ChartLine[] {
  return priceLines.map((name, place) => {
    const values = new Map<bigint, number>();
    for (const { openTimeNs, priceLines: computed } of evaluations) {
      const value = computed[place]?.value;
      if (value !== undefined) values.set(openTimeNs, value);
    }
    return { name: lineName(name), values };
  });
}

/** An operation has brackets around it, which say nothing here. */
function lineName(expression: string): string {
  return /^\(.*\)$/.test(expression) ? expression.slice(1, -1) : expression;
}

/** What a strip shows: a number of each bar, undefined where it is not known. */
export interface Strip {
  readonly key: string;
  readonly name: string;
  readonly kind: "score" | "rule" | "veto" | "exit";
  readonly weight: number | undefined;
  readonly values: readonly (number | undefined)[];
}

/** The strategy's score, its rules, and its exits, over the newest bars. */
export function stripsOf(history: EvaluationHistory): readonly Strip[] {
  const bars = shownBars(history);
  const score: Strip = {
    key: "score",
    name: "score",
    kind: "score",
    weight: undefined,
    values: bars.map((bar) => bar.score),
  };
  const rules = history.rules.map(({ rule, weight, isVeto }, place): Strip => {
    const kind = isVeto ? "veto" : "rule";
    const values = bars.map((bar) => bar.rules[place]?.value);
    return { key: `rule/${rule}`, name: rule, kind, weight: isVeto ? undefined : weight, values };
  });
  const exits = history.exits.map((name, place): Strip => {
    const values = bars.map((bar) => bar.exits[place]?.value);
    return { key: `exit/${name}`, name, kind: "exit", weight: undefined, values };
  });
  return [score, ...rules, ...exits];
}

/** The bars of the strips. */
export function shownBars({ evaluations }: EvaluationHistory): readonly Evaluation[] {
  return evaluations.slice(-STRIP_BARS);
}

/** Columns of a strip as paths, in a square of STRIP_BARS by 100, newest at the right. */
export interface StripPaths {
  readonly up: string;
  readonly down: string;
  readonly unknown: string;
}

export function stripPaths(values: readonly (number | undefined)[]): StripPaths {
  const paths = { up: "", down: "", unknown: "" };
  const first = STRIP_BARS - values.length;
  for (const [index, value] of values.entries()) {
    const left = `M${first + index} `;
    if (value === undefined) paths.unknown += `${left}47h1v6h-1z`;
    else if (value !== 0) {
      const height = Math.round(Math.min(1, Math.abs(value)) * 50);
      if (value > 0) paths.up += `${left}50h1v${-height}h-1z`;
      else paths.down += `${left}50h1v${height}h-1z`;
    }
  }
  return paths;
}

/** The place among the shown bars at a part of the width, 0 to 1. Undefined: there is no bar. */
export function barAt(part: number, count: number): number | undefined {
  const index = Math.floor(part * STRIP_BARS) - (STRIP_BARS - count);
  return index >= 0 && index < count ? index : undefined;
}

/** On how many bars it had a value other than 0. */
export function firedCount(values: readonly (number | undefined)[]): number {
  return values.filter((value) => value !== undefined && value !== 0).length;
}
