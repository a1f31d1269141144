import { useEffect, useMemo } from "react";

import { type HoleSpan, pollHoles } from "../record/holes";
import type { Fill } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { Place } from "../instrument/InstrumentPage";
import { precisionOf } from "../instrument/instruments";
import { sizeUnit } from "../instrument/sizes";
import type { Venue } from "../instrument/venues";
import { go, type MarketRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import { useRunning } from "../state/running";
import { type Shortcuts, useShortcuts } from "../ui/shortcuts";
import { TopStatus } from "../ui/TopStatus";
import { BarFeed } from "./barFeed";
import { chartHoles } from "./chartHoles";
import { pollFills, type Signal, signalFeed } from "./chartMarks";
import { ChartPanel } from "./ChartPanel";
import { FeedState } from "./FeedState";
import { GapList } from "./GapList";
import { InstrumentBar } from "./InstrumentBar";
import { IntervalList } from "./intervalList";
import { TIME_INTERVALS } from "./intervals";
import { Ladder } from "./Ladder";
import { MarketFeed } from "./marketFeed";
import { NotStreamed } from "./NotStreamed";
import { TapePanel } from "./TapePanel";

interface MarketContentProps {
  /** With venue and symbol. */
  readonly route: MarketRoute;
  readonly place: Place;
}

/** One instrument: chart, depth ladder, trades, gaps. */
export function MarketContent({ route, place }: MarketContentProps) {
  const { venue, instruments, instrument, streamed } = place;
  const { symbol, interval } = route;
  const feed = useMemo(() => new MarketFeed(venue.id, symbol), [venue.id, symbol]);
  const bars = useMemo(() => new BarFeed(venue.id, symbol, interval), [venue.id, symbol, interval]);
  const intervals = useMemo(() => new IntervalList(venue.id, symbol), [venue.id, symbol]);
  useRunning(feed);
  useRunning(bars);
  useRunning(intervals);
  useEffect(() => {
    if (!venue.isServing) feed.markStale();
  }, [feed, venue.isServing]);
  const precision = useMemo(() => precisionOf(instrument), [instrument]);
  const unit = sizeUnit(instrument);
  const holes = useChartHoles(feed);
  const fills = useFills(venue, symbol);
  const signals = useSignals(venue.id, symbol);
  useShortcuts(useMemo(() => intervalShortcuts(route), [route]));
  return (
    <main className="market">
      <TopStatus>
        <FeedState feed={feed} bars={bars} />
      </TopStatus>
      <InstrumentBar {...{ route, place, feed, bars, precision, unit }} />
      <div className="market-main">
        {streamed && !streamed.has(symbol) && (
          <NotStreamed {...{ venue, symbol }} listed={!instruments.complete || !!instrument} />
        )}
        <ChartPanel
          key={interval}
          feed={bars}
          intervals={useFrameStore(intervals.state)}
          {...{ route, holes, fills, signals, precision, unit }}
        />
        <GapList feed={feed} />
      </div>
      <Ladder {...{ feed, precision, unit }} />
      <TapePanel {...{ feed, precision, unit }} />
    </main>
  );
}

const NO_FILLS: readonly Fill[] = [];

/** What the chart marks. */
function useFills({ id, serviceId, isServing, takesOrders }: Venue, symbol: string) {
  const poll = useMemo(
    () => pollFills({ id, serviceId, isServing, takesOrders }, symbol),
    [id, serviceId, isServing, takesOrders, symbol],
  );
  useRunning(poll);
  return useFrameStore(poll.state).value ?? NO_FILLS;
}

const NO_SIGNALS: readonly Signal[] = [];

/** What the chart marks beside the fills. */
function useSignals(venue: string, symbol: string) {
  const feed = useMemo(() => signalFeed(venue, symbol), [venue, symbol]);
  useRunning(feed);
  return useFrameStore(feed.value) ?? NO_SIGNALS;
}

/** What the chart shades. */
function useChartHoles(feed: MarketFeed): readonly HoleSpan[] {
  const poll = useMemo(() => pollHoles(feed.venue, feed.symbol), [feed]);
  useRunning(poll);
  const known = useFrameStore(poll.state);
  const gaps = useFrameStore(feed.gaps);
  return useMemo(() => chartHoles(known, gaps), [known, gaps]);
}

function intervalShortcuts(route: MarketRoute): Shortcuts {
  const keys = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "-"];
  const entries = TIME_INTERVALS.map((interval, index) => [
    keys[index],
    () => {
      go({ ...route, interval }, true);
    },
  ]);
  return Object.fromEntries(entries) as Shortcuts;
}
