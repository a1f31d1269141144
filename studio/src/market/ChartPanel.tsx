import { useEffect, useMemo, useRef, useState } from "react";

import { failureText } from "../api/failure";
import type { Fill } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { HoleSpan } from "../record/holes";
import type { Precision } from "../instrument/instruments";
import type { MarketRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import { Icon } from "../ui/Icon";
import { Panel } from "../ui/Panel";
import { useShortcuts } from "../ui/shortcuts";
import type { BarFeed } from "./barFeed";
import { BarLegend } from "./BarLegend";
import { CandleChart, type Hovered } from "./candleChart";
import type { Signal } from "./chartMarks";
import { HoleLegend } from "./HoleLegend";
import { HoleTip } from "./HoleTip";
import { IntervalChoice } from "./IntervalChoice";
import type { Interval } from "./intervals";

interface ChartPanelProps {
  readonly feed: BarFeed;
  readonly route: MarketRoute;
  /** As in IntervalChoice. */
  readonly intervals: readonly Interval[] | undefined;
  readonly holes: readonly HoleSpan[];
  /** Of all accounts of the venue. */
  readonly fills: readonly Fill[];
  readonly signals: readonly Signal[];
  readonly precision: Precision;
  /** Of sizes. */
  readonly unit: string;
}

/** Candles and volume of one interval with its holes. Scrolling loads the past. */
export function ChartPanel(props: ChartPanelProps) {
  const { feed, route, intervals, holes, fills, signals, precision, unit } = props;
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<CandleChart>(null);
  const [hovered, setHovered] = useState<Hovered>();
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
  useEffect(() => {
    chart.current?.showHoles(holes);
  }, [feed, holes]);
  useEffect(() => {
    chart.current?.showMarks(fills, signals);
  }, [feed, fills, signals]);
  const shortcuts = useMemo(() => ({ End: () => chart.current?.scrollToNewest() }), []);
  useShortcuts(shortcuts);
  return (
    <Panel
      title="Chart"
      className="chart-panel"
      aside={
        <>
          <IntervalChoice route={route} intervals={intervals} />
          <PastState feed={feed} />
          <HoleLegend route={route} holes={holes} />
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
      <BarLegend hovered={hovered?.slot} {...{ feed, precision, unit }} />
      {hovered?.hole && <HoleTip hole={hovered.hole} x={hovered.x} y={hovered.y} />}
    </Panel>
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
