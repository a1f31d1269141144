import { useEffect, useMemo } from "react";

import type { Instrument } from "../gen/venuemesh/common/v1/types_pb";
import { go, type MarketRoute } from "../route";
import { useRunning } from "../state/running";
import { type Shortcuts, useShortcuts } from "../ui/shortcuts";
import { TopStatus } from "../ui/TopStatus";
import { BarFeed } from "./barFeed";
import { ChartPanel } from "./ChartPanel";
import { FeedState } from "./FeedState";
import { GapList } from "./GapList";
import { InstrumentBar } from "./InstrumentBar";
import { type Instruments, precisionOf } from "./instruments";
import { INTERVALS } from "./intervals";
import { Ladder } from "./Ladder";
import { MarketFeed } from "./marketFeed";
import { NotStreamed } from "./NotStreamed";
import { TapePanel } from "./TapePanel";
import type { Venue } from "./venues";

interface MarketRoomProps {
  /** With venue and symbol. */
  readonly route: MarketRoute;
  readonly venues: readonly Venue[];
  readonly venue: Venue;
  readonly instruments: Instruments;
  /** Undefined while it is not loaded, or when the venue does not list it. */
  readonly instrument: Instrument | undefined;
  /** Undefined while it is not known. */
  readonly streamed: ReadonlySet<string> | undefined;
}

/** One instrument: chart, depth ladder, trades, gaps. */
export function MarketRoom(props: MarketRoomProps) {
  const { route, venues, venue, instruments, instrument, streamed } = props;
  const { symbol, interval } = route;
  const feed = useMemo(() => new MarketFeed(venue.id, symbol), [venue.id, symbol]);
  const bars = useMemo(() => new BarFeed(venue.id, symbol, interval), [venue.id, symbol, interval]);
  useRunning(feed);
  useRunning(bars);
  useEffect(() => {
    if (!venue.isServing) feed.markStale();
  }, [feed, venue.isServing]);
  const precision = useMemo(() => precisionOf(instrument), [instrument]);
  useShortcuts(useMemo(() => intervalShortcuts(route), [route]));
  return (
    <main className="market">
      <TopStatus>
        <FeedState feed={feed} bars={bars} />
      </TopStatus>
      <InstrumentBar {...{ route, venues, instruments, streamed, feed, bars, precision }} />
      <div className="market-main">
        {streamed && !streamed.has(symbol) && (
          <NotStreamed {...{ venue, symbol }} listed={!instruments.complete || !!instrument} />
        )}
        <ChartPanel key={interval} feed={bars} route={route} precision={precision} />
        <GapList feed={feed} />
      </div>
      <Ladder feed={feed} precision={precision} />
      <TapePanel feed={feed} precision={precision} />
    </main>
  );
}

function intervalShortcuts(route: MarketRoute): Shortcuts {
  const keys = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "-"];
  const entries = INTERVALS.map((interval, index) => [
    keys[index],
    () => {
      go({ ...route, interval }, true);
    },
  ]);
  return Object.fromEntries(entries) as Shortcuts;
}
