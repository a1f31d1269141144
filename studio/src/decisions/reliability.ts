import type {
  CalibrationMap,
  CalibrationReport,
  ReliabilityBin,
} from "../gen/venuemesh/events/v1/calibrations_pb";
import { CalibrationMapKind } from "../gen/venuemesh/events/v1/calibrations_pb";
import { enumText } from "../why/enumText";

/** A bin of the reliability diagram. */
export interface BinPoint {
  readonly outcomes: number;
  readonly probability: number;
  readonly winRate: number;
  /** Between these a true probability leaves the win rate, 19 times in 20. */
  readonly low: number;
  readonly high: number;
  /** Whether the win rate is there. */
  readonly isNoise: boolean;
}

/** Of a normal distribution, 19 in 20 are so many standard deviations around the mean. */
const DEVIATIONS = 1.96;

/** The bins with the noise of a win rate if the probability is true. */
export function binPoints({ bins }: CalibrationReport): readonly BinPoint[] {
  return bins.map(binPoint);
}

function binPoint({ outcomes, meanProbability: probability, winRate }: ReliabilityBin): BinPoint {
  const deviation = Math.sqrt((probability * (1 - probability)) / outcomes);
  const low = Math.max(0, probability - DEVIATIONS * deviation);
  const high = Math.min(1, probability + DEVIATIONS * deviation);
  return { outcomes, probability, winRate, low, high, isNoise: winRate >= low && winRate <= high };
}

/** "134 outcomes: 0.42 promised, 0.40 won; 0.33 to 0.51 is noise". */
export function binText({ outcomes, probability, winRate, low, high }: BinPoint): string {
  const rates = `${probability.toFixed(2)} promised, ${winRate.toFixed(2)} won`;
  return `${outcomes} outcomes: ${rates}; ${low.toFixed(2)} to ${high.toFixed(2)} is noise`;
}

/** "all regimes", the name of a regime, or "no regime". */
export function regimeText({ isPool, regime }: CalibrationMap): string {
  if (isPool) return "all regimes";
  return regime === "" ? "no regime" : regime;
}

/** "platt, pooled", or why decisions use no map. */
export function mapText({ kind, isPooled, isApplied, hasDrifted }: CalibrationMap): string {
  if (hasDrifted) return "drifted";
  if (!isApplied) return "not applied";
  return `${enumText(CalibrationMapKind, kind)}${isPooled ? ", pooled" : ""}`;
}

/** "ECE 0.031; 0.028 ± 0.009 is noise": the second is the ECE of a perfect map. */
export function calibrationErrorText(report: CalibrationReport): string {
  const { calibrationError, calibrationErrorFloor, calibrationErrorDeviation } = report;
  const noise = `${errorText(calibrationErrorFloor)} ± ${errorText(calibrationErrorDeviation)}`;
  return `ECE ${errorText(calibrationError)}; ${noise} is noise`;
}

/** "0.031 / 0.028": the ECE, and that of a perfect map. Empty: no map was chosen yet. */
export function errorsText(report: CalibrationReport | undefined): string {
  if (!report) return "";
  return `${errorText(report.calibrationError)} / ${errorText(report.calibrationErrorFloor)}`;
}

function errorText(error: number): string {
  return error.toFixed(3);
}
