import type { RuleScore, SignalRaised } from "../gen/venuemesh/events/v1/signals_pb";

/** What a rule has added to the score of a signal. */
export interface RulePart {
  readonly rule: string;
  /** From -1 to 1; the parts of all rules add up to the score of the signal. */
  readonly part: number;
  readonly score: number;
  readonly weight: number;
}

/**
 * The parts of the rules that did not abstain, in the order of the strategy. Weights are 0 of exits
 * and of vetoes, which have no part in the score.
 */
export function ruleParts(rules: readonly RuleScore[]): readonly RulePart[] {
  const said = rules.filter(({ score, weight }) => score !== undefined && weight > 0);
  const total = said.reduce((sum, { weight }) => sum + weight, 0);
  return said.map(({ rule, score = 0, weight }) => ({
    rule,
    part: (score * weight) / total,
    score,
    weight,
  }));
}

/** A piece of a bar from -1 at the left to 1 at the right. */
export interface BarPiece extends RulePart {
  /** Both in per cent of the width. */
  readonly left: number;
  readonly width: number;
}

/** The parts side by side: those that say buy to the right of the middle, others to the left. */
export function barPieces(parts: readonly RulePart[]): readonly BarPiece[] {
  let [right, left] = [50, 50];
  return parts
    .filter(({ part }) => part !== 0)
    .map((one) => {
      const width = Math.abs(one.part) * 50;
      if (one.part > 0) {
        right += width;
        return { ...one, left: right - width, width };
      }
      left -= width;
      return { ...one, left, width };
    });
}

/** The exits that have closed the position of a signal. */
export function exitsOf({ rules }: Pick<SignalRaised, "rules">): readonly string[] {
  return rules
    .filter(({ weight, score, isVeto }) => weight === 0 && !isVeto && score !== undefined && score)
    .map(({ rule }) => rule);
}

/** "trend 0.5 × 2, flow 0.2 × 1": scores and weights, for a title. */
export function partsText(parts: readonly RulePart[]): string {
  return parts
    .map(({ rule, score, weight }) => `${rule} ${round(score)} × ${round(weight)}`)
    .join(", ");
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
