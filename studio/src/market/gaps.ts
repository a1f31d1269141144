import { type HoleSpan, reasonText, spanOfGap } from "../record/holes";
import { Channel, type Gap } from "../gen/venuemesh/common/v1/types_pb";

export const GAP_NOTICES_MAX = 100;

/** One line of the gap list. */
export interface GapNotice {
  readonly key: string;
  readonly channel: string;
  readonly symbol: string;
  readonly reason: string;
  readonly detectedTimeNs: bigint;
  readonly detail: string;
  /** The time in which events may be missing. */
  readonly span: HoleSpan;
}

export function gapNotice(channel: Channel, gap: Gap): GapNotice {
  const key = `${channel}/${gap.symbol}/${gap.reason}/${gap.detectedTimeNs}/${gap.firstIdAfter}`;
  return {
    key,
    channel: Channel[channel].toLowerCase(),
    symbol: gap.symbol,
    reason: reasonText(gap.reason),
    detectedTimeNs: gap.detectedTimeNs,
    detail: gap.detail || idsText(gap),
    span: spanOfGap(key, gap),
  };
}

/** Notices with new ones added: newest first, each once, at most GAP_NOTICES_MAX. */
export function addNotices(
  notices: readonly GapNotice[],
  added: readonly GapNotice[],
): readonly GapNotice[] {
  const known = new Set(notices.map((notice) => notice.key));
  const fresh = added.filter((notice) => !known.has(notice.key));
  if (fresh.length === 0) return notices;
  return [...fresh, ...notices]
    .sort((left, right) => Number(right.detectedTimeNs - left.detectedTimeNs))
    .slice(0, GAP_NOTICES_MAX);
}

function idsText(gap: Gap): string {
  if (gap.lastIdBefore === 0n && gap.firstIdAfter === 0n) return "";
  const id = (value: bigint) => (value === 0n ? "unknown" : value.toString());
  return `last before ${id(gap.lastIdBefore)}, first after ${id(gap.firstIdAfter)}`;
}
