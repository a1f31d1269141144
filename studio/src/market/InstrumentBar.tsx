import { useEffect } from "react";

import { Side } from "../gen/venuemesh/common/v1/types_pb";
import type { Place } from "../instrument/InstrumentPage";
import type { Precision } from "../instrument/instruments";
import { SymbolPicker } from "../instrument/SymbolPicker";
import { withUnit } from "../instrument/sizes";
import { VenueSelect } from "../instrument/VenueSelect";
import { go, type MarketRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import {
  alignDecimals,
  compare,
  formatScaled,
  parseDecimal,
  ratioText,
  subtract,
} from "../ui/decimal";
import { Stat } from "../ui/Stat";
import type { BarFeed } from "./barFeed";
import { BestPrices } from "./BestPrices";
import { volumeUnit } from "./intervals";
import type { MarketFeed } from "./marketFeed";
import type { Tape } from "./tape";

interface InstrumentBarProps {
  readonly route: MarketRoute;
  readonly place: Place;
  readonly feed: MarketFeed;
  readonly bars: BarFeed;
  readonly precision: Precision;
  /** Of sizes. */
  readonly unit: string;
}

/** The instrument, its last price and its day. */
export function InstrumentBar(props: InstrumentBarProps) {
  const { route, place, feed, bars, precision, unit } = props;
  return (
    <div className="instrument-bar">
      <VenueSelect
        venue={route.venue}
        venues={place.venues}
        onChoose={(venue) => {
          go({ ...route, venue, symbol: "" });
        }}
      />
      <SymbolPicker
        place={place}
        onPick={(symbol) => {
          go({ ...route, symbol });
        }}
      />
      <LastPrice feed={feed} precision={precision} />
      <BestPrices {...{ feed, precision, unit }} />
      <DayStats {...{ bars, precision, unit }} />
    </div>
  );
}

function LastPrice({ feed, precision }: { feed: MarketFeed; precision: Precision }) {
  const tape = useFrameStore(feed.tape);
  const { phase } = useFrameStore(feed.state);
  const last = tape.rows[0];
  const text = last ? alignDecimals(formatScaled(last.price), precision.price) : "";
  useEffect(() => {
    document.title = text === "" ? `${feed.symbol} · Venuemesh` : `${text} ${feed.symbol}`;
    return () => {
      document.title = "Venuemesh";
    };
  }, [text, feed.symbol]);
  return (
    <output
      className={`last-price ${direction(tape)}`}
      data-testid="last-price"
      aria-label="Last price"
      data-state={phase}
      data-side={last ? Side[last.side].toLowerCase() : undefined}
    >
      {text || "—"}
    </output>
  );
}

/** Whether the last price is above or below the different one before it. */
function direction(tape: Tape): "up" | "down" | "" {
  const last = tape.rows[0];
  if (!last) return "";
  for (const row of tape.rows) {
    const change = compare(last.price, row.price);
    if (change !== 0) return change > 0 ? "up" : "down";
  }
  return "";
}

type DayStatsProps = Pick<InstrumentBarProps, "bars" | "precision" | "unit">;

function DayStats({ bars, precision, unit }: DayStatsProps) {
  const day = useFrameStore(bars.day);
  if (!day) return null;
  const open = parseDecimal(day.open);
  const change = subtract(parseDecimal(day.close), open);
  const sign = change.value > 0n ? "+" : "";
  const price = (text: string) => alignDecimals(text, precision.price);
  return (
    <div className="day-stats">
      <Stat
        label="Day, UTC"
        title={`${sign}${price(formatScaled(change))} since the first trade of the day (UTC)`}
        tone={change.value < 0n ? "down" : "up"}
        value={`${sign}${ratioText(change, open, 100n)}%`}
      />
      <Stat label="High" value={price(day.high)} />
      <Stat label="Low" value={price(day.low)} />
      <Stat
        label={withUnit("Volume", volumeUnit(day, unit))}
        value={alignDecimals(day.volume, 0)}
        title={`Of the day, in ${unit || "the venue's unit"}`}
      />
    </div>
  );
}
