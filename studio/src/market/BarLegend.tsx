import { useFrameStore } from "../state/frameStore";
import { formatCount } from "../ui/format";
import type { BarFeed } from "./barFeed";
import { alignDecimals } from "../ui/decimal";
import type { Precision } from "../instrument/instruments";
import {
  coveragePercent,
  intervalText,
  isIncomplete,
  isVenueCandle,
  volumeUnit,
} from "./intervals";

interface BarLegendProps {
  readonly feed: BarFeed;
  /** Slot of the bar under the pointer. */
  readonly hovered: bigint | undefined;
  readonly precision: Precision;
  /** Of sizes. */
  readonly unit: string;
}

/** The exact values of the bar under the pointer, otherwise of the newest bar. */
export function BarLegend({ feed, hovered, precision, unit }: BarLegendProps) {
  const newest = useFrameStore(feed.newest);
  const bar = (hovered === undefined ? undefined : feed.bar(hovered)) ?? newest;
  if (!bar) return <p className="bar-legend">No bars yet.</p>;
  const tone = Number(bar.close) < Number(bar.open) ? "down" : "up";
  const prices = { O: bar.open, H: bar.high, L: bar.low, C: bar.close };
  return (
    <p className="bar-legend">
      <b>
        {feed.symbol} · {intervalText(feed.interval)}
      </b>
      {Object.entries(prices).map(([name, text]) => (
        <span key={name}>
          {name} <em className={tone}>{alignDecimals(text, precision.price)}</em>
        </span>
      ))}
      <span>
        Vol <em>{alignDecimals(bar.volume, 0)}</em> {volumeUnit(bar, unit)}
      </span>
      {isVenueCandle(bar) ? (
        <span data-testid="bar-source">candle of the venue, not recorded here</span>
      ) : (
        <span>
          Trades <em>{formatCount(bar.tradeCount)}</em>
        </span>
      )}
      {bar.revision > 0 && (
        <span className="revision" data-testid="bar-revision">
          Revision <em>{bar.revision}</em>
        </span>
      )}
      {isIncomplete(bar) && (
        <span className="incomplete" data-testid="bar-coverage">
          {coveragePercent(bar)}% watched
        </span>
      )}
    </p>
  );
}
