import { memo, useEffect, useState } from "react";

import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { useFrameStore } from "../state/frameStore";
import { formatRate, formatTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { alignDecimals, formatScaled } from "../ui/decimal";
import type { Precision } from "../instrument/instruments";
import { withUnit } from "../instrument/sizes";
import type { MarketFeed } from "./marketFeed";
import type { TapeRow } from "./tape";

const RATE_PERIOD_MS = 2_000;

interface TapePanelProps {
  readonly feed: MarketFeed;
  readonly precision: Precision;
  /** Of sizes. */
  readonly unit: string;
}

/** The newest trades, newest first. */
export function TapePanel({ feed, precision, unit }: TapePanelProps) {
  const { rows } = useFrameStore(feed.tape);
  return (
    <Panel title="Trades" className="tape" aside={<TradeRate feed={feed} />}>
      <div className="tape-head">
        <span>Price</span>
        <span title={unit}>{withUnit("Size", unit)}</span>
        <span>Time, UTC</span>
      </div>
      <ol className="tape-body">
        {rows.map((row) => (
          <TapeLine key={row.key} row={row} precision={precision} />
        ))}
      </ol>
    </Panel>
  );
}

const TapeLine = memo(function TapeLine({
  row,
  precision,
}: {
  row: TapeRow;
  precision: Precision;
}) {
  return (
    <li className="tape-row" data-testid="trade-row" data-side={Side[row.side].toLowerCase()}>
      <span className="price">{alignDecimals(formatScaled(row.price), precision.price)}</span>
      <span>{alignDecimals(formatScaled(row.size), precision.size)}</span>
      <time>{formatTime(row.venueTimeNs)}</time>
    </li>
  );
});

function TradeRate({ feed }: { readonly feed: MarketFeed }) {
  const [perSecond, setPerSecond] = useState<number>();
  useEffect(() => {
    let before = feed.tape.latest.liveCount;
    const timer = window.setInterval(() => {
      const now = feed.tape.latest.liveCount;
      setPerSecond(((now - before) * 1_000) / RATE_PERIOD_MS);
      before = now;
    }, RATE_PERIOD_MS);
    return () => {
      window.clearInterval(timer);
    };
  }, [feed]);
  if (perSecond === undefined) return null;
  return <span className="panel-note">{formatRate(perSecond)}/s</span>;
}
