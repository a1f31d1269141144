import { toVenue, tradeFlow } from "../api/transport";
import type { Bar } from "../gen/venuemesh/bars/v1/bars_pb";
import { Side } from "../gen/venuemesh/common/v1/types_pb";
import type { Fill } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { Venue } from "../instrument/venues";
import { Poll } from "../state/poll";
import { lastOpenIndex } from "./chartHoles";

const PAUSE_MS = 5_000;
/** Of each account, the newest ones. */
const FILLS_MAX = 200;

/** The fills of one side within one bar. */
export interface FillMark {
  /** Of the bar in the chart. */
  readonly index: number;
  readonly isBuy: boolean;
  readonly count: number;
}

/** The newest fills of all accounts of a venue in an instrument. */
export function pollFills({ id, takesOrders }: Venue, symbol: string): Poll<readonly Fill[]> {
  return new Poll(async (signal) => {
    if (!takesOrders) return [];
    const options = toVenue(id, signal);
    const { accounts } = await tradeFlow.listAccounts({ venue: id }, options);
    const pages = await Promise.all(
      accounts.map(({ account }) =>
        tradeFlow.listFills({ venue: id, account, symbol, pageSize: FILLS_MAX }, options),
      ),
    );
    return pages.flatMap(({ fills }) => fills);
  }, PAUSE_MS);
}

/** One mark for each bar and side with fills, oldest first; none before the first bar. */
export function fillMarks(bars: readonly Bar[], fills: readonly Fill[]): readonly FillMark[] {
  const marks = new Map<string, FillMark>();
  for (const { venueTimeNs, side } of fills) {
    const index = lastOpenIndex(bars, venueTimeNs);
    if (index < 0 || side === Side.UNSPECIFIED) continue;
    const isBuy = side === Side.BUY;
    const key = `${index}/${side}`;
    marks.set(key, { index, isBuy, count: (marks.get(key)?.count ?? 0) + 1 });
  }
  return [...marks.values()].sort((left, right) => left.index - right.index);
}

/** How many fills a mark stands for; nothing for a single one. */
export function markText({ count }: FillMark): string {
  return count > 1 ? String(count) : "";
}
