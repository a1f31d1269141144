import { repair } from "../api/transport";
import { type Gap, GapReason } from "../gen/venuemesh/common/v1/types_pb";
import { type Hole, HoleSource, HoleState } from "../gen/venuemesh/repair/v1/repair_pb";
import { Poll } from "../state/poll";
import { formatCount, formatDateTime, formatDuration, formatTime } from "../ui/format";

/** Maximum page size. */
const PAGE_SIZE = 1_000;
/** Holes have no stream. A watched repair refreshes them at each progress. */
const PAUSE_MS = 5_000;

/** State of a hole on the pages. */
export type HoleLook = "open" | "in_repair" | "filled" | "unavailable";

export const LOOK_WORDS: Record<HoleLook, string> = {
  open: "open",
  in_repair: "in repair",
  filled: "filled",
  unavailable: "cannot be filled",
};

const LOOKS: Record<HoleState, HoleLook> = {
  [HoleState.UNSPECIFIED]: "open",
  [HoleState.OPEN]: "open",
  [HoleState.IN_REPAIR]: "in_repair",
  [HoleState.FILLED]: "filled",
  [HoleState.UNAVAILABLE]: "unavailable",
};

const SOURCE_WORDS: Record<HoleSource, string> = {
  [HoleSource.UNSPECIFIED]: "unspecified",
  [HoleSource.TRADE_IDS]: "trade ids jump",
  [HoleSource.GAP]: "gap",
  [HoleSource.CANDLES]: "differs from the venue’s candle",
};

/** A time with trades that are, were or may be missing. */
export interface HoleSpan {
  readonly key: string;
  readonly look: HoleLook;
  /** Venue times, ns since the Unix epoch. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** The reason as text. */
  readonly reason: string;
  /** Further details as text. May be empty. */
  readonly detail: string;
  /** How many trades are or were missing by their ids. Undefined if the ids do not show it. */
  readonly tradeCount: bigint | undefined;
}

export interface HoleList {
  /** Newest first. */
  readonly spans: readonly HoleSpan[];
  /** Time of the request by this computer's clock, ns since the Unix epoch. */
  readonly askedNs: bigint;
  /** Whether there are older ones that are not in the list. */
  readonly isCut: boolean;
}

/** The holes of one instrument, from Repair. */
export function pollHoles(venue: string, symbol: string): Poll<HoleList> {
  return new Poll(async (signal) => {
    const request = { venue, symbol, pageSize: PAGE_SIZE };
    const askedNs = BigInt(Date.now()) * 1_000_000n;
    const { holes, nextPageToken } = await repair.listHoles(request, { signal });
    return { spans: holes.map(spanOfHole), askedNs, isCut: nextPageToken !== "" };
  }, PAUSE_MS);
}

export function spanOfHole(hole: Hole): HoleSpan {
  const { source, reason } = hole;
  return {
    key: hole.holeId,
    look: LOOKS[hole.state],
    startNs: hole.startTimeNs,
    endNs: hole.endTimeNs,
    reason: reason === GapReason.UNSPECIFIED ? SOURCE_WORDS[source] : reasonText(reason),
    detail: hole.detail,
    tradeCount: missingCount(hole),
  };
}

/** A gap in the trades that Repair has not assessed yet. Missing times are estimated. */
export function spanOfGap(key: string, gap: Gap): HoleSpan {
  const endNs = gap.firstTimeNs || gap.detectedTimeNs;
  return {
    key,
    look: "open",
    startNs: gap.lastTimeNs || endNs,
    endNs,
    reason: reasonText(gap.reason),
    detail: gap.detail,
    tradeCount: missingCount(gap),
  };
}

/** "SEQUENCE" is "sequence", "OUT_OF_ORDER" is "out of order". */
export function reasonText(reason: GapReason): string {
  return GapReason[reason].toLowerCase().replaceAll("_", " ");
}

/** "2026-11-21 14:05:09.123 – 14:05:12.001"; the day again only where it is another one. */
export function spanText({ startNs, endNs }: HoleSpan): string {
  const startDay = formatDateTime(startNs).slice(0, 10);
  const endDay = formatDateTime(endNs).slice(0, 10);
  const end = formatTime(endNs);
  return `${startDay} ${formatTime(startNs)} – ${endDay === startDay ? end : `${endDay} ${end}`}`;
}

/** "3.1 s", "12m 4s"; nothing shorter than a millisecond. */
export function spanLengthText({ startNs, endNs }: HoleSpan): string {
  const ms = Number((endNs - startNs) / 1_000_000n);
  if (ms < 1) return "< 1 ms";
  if (ms < 1_000) return `${ms} ms`;
  return ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : formatDuration(ms);
}

/** "12 trades", or an empty text if the ids do not show it. */
export function tradeCountText({ tradeCount }: HoleSpan): string {
  if (tradeCount === undefined) return "";
  return tradeCount === 1n ? "1 trade" : `${formatCount(tradeCount)} trades`;
}

interface Ids {
  readonly lastIdBefore: bigint;
  readonly firstIdAfter: bigint;
}

function missingCount({ lastIdBefore, firstIdAfter }: Ids): bigint | undefined {
  if (lastIdBefore === 0n || firstIdAfter <= lastIdBefore) return undefined;
  return firstIdAfter - lastIdBefore - 1n;
}
