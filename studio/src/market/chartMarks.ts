import { toVenue, tradeFlow } from "../api/transport";
import type { Bar } from "../gen/venuemesh/bars/v1/bars_pb";
import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { EventStream } from "../gen/venuemesh/events/v1/event_pb";
import { PositionAction } from "../gen/venuemesh/events/v1/signals_pb";
import type { Fill } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { Venue } from "../instrument/venues";
import { EventFeed } from "../state/eventFeed";
import { Poll } from "../state/poll";
import { enumText } from "../why/enumText";
import { lastOpenIndex } from "./chartHoles";

const PAUSE_MS = 5_000;
/** Of each account, the newest ones. */
const FILLS_MAX = 200;
const SIGNALS_MAX = 1_000;

/** A signal of a strategy for one instrument. */
export interface Signal {
  readonly sequence: bigint;
  /** End of the bar that it was raised on. */
  readonly timeNs: bigint;
  readonly side: Side;
  readonly action: PositionAction;
}

/** The fills, or the signals for one action, of one side within one bar. */
export interface ChartMark {
  readonly kind: "fill" | "signal";
  /** Of the bar in the chart. */
  readonly index: number;
  readonly isBuy: boolean;
  /** What signals ask for, such as "flip"; empty for fills and for those that open a position. */
  readonly action: string;
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

/** The newest signals for an instrument, and those that come. */
export function signalFeed(venue: string, symbol: string): EventFeed<readonly Signal[]> {
  return new EventFeed([EventStream.SIGNALS], [] as readonly Signal[], (before, events) => {
    const known = new Map(before.map((signal) => [signal.sequence, signal]));
    for (const { event, position } of events) {
      if (event?.payload.case !== "signalRaised" || !position) continue;
      const raised = event.payload.value;
      if (raised.venue !== venue || raised.symbol !== symbol) continue;
      const { sequence } = position;
      const { side, action } = raised;
      known.set(sequence, { sequence, timeNs: event.timeNs, side, action });
    }
    return [...known.values()].slice(-SIGNALS_MAX);
  });
}

/** One mark for each bar, kind, side and action, oldest first; none before the first bar. */
export function chartMarks(
  bars: readonly Bar[],
  fills: readonly Fill[],
  signals: readonly Signal[],
): readonly ChartMark[] {
  const marks = new Map<string, ChartMark>();
  const add = (kind: ChartMark["kind"], timeNs: bigint, side: Side, action = "") => {
    const index = lastOpenIndex(bars, timeNs);
    if (index < 0 || side === Side.UNSPECIFIED) return;
    const isBuy = side === Side.BUY;
    const key = `${kind}/${index}/${side}/${action}`;
    marks.set(key, { kind, index, isBuy, action, count: (marks.get(key)?.count ?? 0) + 1 });
  };
  for (const { venueTimeNs, side } of fills) add("fill", venueTimeNs, side);
  // A bar ends where the next one begins; its signal belongs to the bar.
  for (const { timeNs, side, action } of signals) add("signal", timeNs - 1n, side, wanted(action));
  return [...marks.values()].sort((left, right) => left.index - right.index);
}

/** What signals ask for, and how many fills or signals a mark stands for if it is not one. */
export function markText({ action, count }: ChartMark): string {
  return [action, count > 1 ? String(count) : ""].filter((part) => part !== "").join(" ");
}

function wanted(action: PositionAction): string {
  return action === PositionAction.OPEN ? "" : enumText(PositionAction, action);
}
