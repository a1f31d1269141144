import { useEffect, useMemo, useRef, useState } from "react";

import { failureText } from "../api/failure";
import { go, type MarketRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import { Icon } from "../ui/Icon";
import { Panel } from "../ui/Panel";
import { useShortcuts } from "../ui/shortcuts";
import type { BarFeed } from "./barFeed";
import { BarLegend } from "./BarLegend";
import { CandleChart } from "./candleChart";
import type { Precision } from "./instruments";
import { INTERVALS } from "./intervals";

interface ChartPanelProps {
  readonly feed: BarFeed;
  readonly route: MarketRoute;
  readonly precision: Precision;
}

/** Candles and volume of one interval, with its past as far as one scrolls. */
export function ChartPanel({ feed, route, precision }: ChartPanelProps) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<CandleChart>(null);
  const [hovered, setHovered] = useState<bigint>();
  useEffect(() => {
    if (!place.current) return undefined;
    const controller = new AbortController();
    const drawn = new CandleChart(place.current, feed.interval, {
      onHover: setHovered,
      onNeedOlder: () => void feed.loadOlder(controller.signal),
    });
    chart.current = drawn;
    const detach = feed.attach(drawn);
    return () => {
      controller.abort();
      detach();
      drawn.dispose();
      chart.current = null;
    };
  }, [feed]);
  useEffect(() => {
    chart.current?.setPriceDecimals(precision.price);
  }, [feed, precision]);
  const shortcuts = useMemo(() => ({ End: () => chart.current?.scrollToNewest() }), []);
  useShortcuts(shortcuts);
  return (
    <Panel
      title="Chart"
      className="chart-panel"
      aside={
        <>
          <IntervalButtons route={route} />
          <PastState feed={feed} />
          <button
            className="quiet-button"
            title="Newest bar (End)"
            aria-label="Newest bar"
            onClick={() => chart.current?.scrollToNewest()}
          >
            <Icon name="newest" />
          </button>
        </>
      }
    >
      <div className="chart" data-testid="chart" ref={place} />
      <BarLegend feed={feed} hovered={hovered} precision={precision} />
    </Panel>
  );
}

function IntervalButtons({ route }: { readonly route: MarketRoute }) {
  return (
    <div className="intervals" role="group" aria-label="Bar interval">
      {INTERVALS.map((interval) => (
        <button
          key={interval}
          data-testid={`interval-${interval}`}
          aria-pressed={interval === route.interval}
          onClick={() => {
            go({ ...route, interval }, true);
          }}
        >
          {interval}
        </button>
      ))}
    </div>
  );
}

function PastState({ feed }: { readonly feed: BarFeed }) {
  const { loading, failure } = useFrameStore(feed.past);
  const text = failure ? `No history. ${failureText(failure)}` : loading ? "Loading history …" : "";
  return (
    <span className={failure ? "panel-note failed" : "panel-note"} role="status" title={text}>
      {text}
    </span>
  );
}
