import type { DayCoverage } from "../gen/venuemesh/history/v1/history_pb";
import { formatCount } from "../ui/format";

export const DAY_NS = 86_400_000_000_000n;
/** Weeks in a year, rounded up. */
export const WEEKS = 53;
const WEEKDAYS = 7;

/** Coverage levels of a day, worst last. */
export type Level = "nothing" | "whole" | "almost" | "most" | "part" | "little";

export const LEVEL_WORDS: readonly [Level, string][] = [
  ["whole", "100 %"],
  ["almost", "from 99 %"],
  ["most", "from 90 %"],
  ["part", "from 50 %"],
  ["little", "less"],
  ["nothing", "nothing recorded"],
];

/** Lower bounds of the levels, in ten-thousandths, best first. */
const LEVEL_STARTS: readonly [bigint, Level][] = [
  [10_000n, "whole"],
  [9_900n, "almost"],
  [9_000n, "most"],
  [5_000n, "part"],
  [0n, "little"],
];

/** One cell of the calendar. */
export interface CalendarDay {
  /** 00:00 UTC, ns since the Unix epoch. */
  readonly startNs: bigint;
  /** Undefined when nothing is recorded of the day. */
  readonly coverage: DayCoverage | undefined;
}

/** Totals of all days. */
export interface CoverageSum {
  readonly coveredNs: bigint;
  readonly expectedNs: bigint;
  readonly dayCount: number;
  readonly tradeCount: bigint;
  readonly openGapCount: number;
  readonly filledGapCount: number;
}

/** 00:00 UTC of the day of a time, both ns since the Unix epoch. */
export function dayStart(timeNs: bigint): bigint {
  return timeNs - (timeNs % DAY_NS);
}

/** The Monday on which the calendar begins whose last week is that of the day. */
export function calendarStart(lastDayNs: bigint): bigint {
  // The Unix epoch was a Thursday.
  const sinceMonday = (lastDayNs / DAY_NS + 3n) % 7n;
  return lastDayNs - (sinceMonday + BigInt((WEEKS - 1) * WEEKDAYS)) * DAY_NS;
}

/** The days up to the last one, Monday first, as weeks. */
export function calendarDays(lastDayNs: bigint, known: readonly DayCoverage[]): CalendarDay[] {
  const byStart = new Map(known.map((coverage) => [coverage.dayStartNs, coverage]));
  const days: CalendarDay[] = [];
  for (let startNs = calendarStart(lastDayNs); startNs <= lastDayNs; startNs += DAY_NS) {
    days.push({ startNs, coverage: byStart.get(startNs) });
  }
  return days;
}

/** The months that begin in a calendar: index of the week, and name; the first week has one too. */
export function calendarMonths(days: readonly CalendarDay[]): readonly [number, string][] {
  const months: [number, string][] = [];
  for (let index = 0; index < days.length; index += WEEKDAYS) {
    const name = monthName(days[index]?.startNs ?? 0n);
    if (name !== months.at(-1)?.[1]) months.push([index / WEEKDAYS, name]);
  }
  // Two labels would overlap when the first month has less than two weeks.
  const [first, second] = months;
  return first && second && second[0] - first[0] < 3 ? months.slice(1) : months;
}

export function levelOf(coverage: DayCoverage | undefined): Level {
  if (!coverage) return "nothing";
  const share = shareTenThousandths(coverage);
  return LEVEL_STARTS.find(([start]) => share >= start)?.[1] ?? "little";
}

export function sumCoverage(days: readonly DayCoverage[]): CoverageSum {
  const sum = { coveredNs: 0n, expectedNs: 0n, tradeCount: 0n, openGapCount: 0, filledGapCount: 0 };
  for (const day of days) {
    sum.coveredNs += day.coveredNs;
    sum.expectedNs += day.expectedNs;
    sum.tradeCount += day.tradeCount;
    sum.openGapCount += day.openGapCount;
    sum.filledGapCount += day.filledGapCount;
  }
  return { ...sum, dayCount: days.length };
}

/** "99.97 %", cut: 100 means all of it. */
export function shareText(watched: Watched): string {
  const share = shareTenThousandths(watched);
  if (share === 10_000n) return "100 %";
  return `${share / 100n}.${(share % 100n).toString().padStart(2, "0")} %`;
}

/** The coverage of a day in one line. */
export function dayText({ startNs, coverage }: CalendarDay): string {
  const day = dateText(startNs);
  if (!coverage) return `${day}: nothing recorded`;
  const { tradeCount, openGapCount, filledGapCount } = coverage;
  return [
    `${day}: ${shareText(coverage)} coverage`,
    countText(tradeCount, "trade"),
    countText(openGapCount, "open gap"),
    countText(filledGapCount, "filled gap"),
  ].join(", ");
}

/** "2026-11-21", of ns since the Unix epoch. */
export function dateText(timeNs: bigint): string {
  return utcDate(timeNs).toISOString().slice(0, 10);
}

interface Watched {
  readonly coveredNs: bigint;
  readonly expectedNs: bigint;
}

function shareTenThousandths({ coveredNs, expectedNs }: Watched): bigint {
  if (expectedNs <= 0n) return 0n;
  const share = (coveredNs * 10_000n) / expectedNs;
  return share > 10_000n ? 10_000n : share;
}

function countText(count: number | bigint, word: string): string {
  return `${formatCount(count)} ${word}${BigInt(count) === 1n ? "" : "s"}`;
}

function monthName(timeNs: bigint): string {
  return utcDate(timeNs).toLocaleString("en-GB", { month: "short", timeZone: "UTC" });
}

function utcDate(timeNs: bigint): Date {
  return new Date(Number(timeNs / 1_000_000n));
}
