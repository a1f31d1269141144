import { useEffect, useMemo, useRef, useState } from "react";

import { failureText } from "../api/failure";
import type { StrategyStatus } from "../gen/venuemesh/detector/v1/detector_pb";
import type { Fill } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { InstrumentList, precisionOf } from "../instrument/instruments";
import { sizeUnit } from "../instrument/sizes";
import { BarFeed } from "../market/barFeed";
import { BarLegend } from "../market/BarLegend";
import { CandleChart, type ChartLine, type Hovered } from "../market/candleChart";
import { lineColor } from "../market/chartColors";
import type { Signal } from "../market/chartMarks";
import { formatRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import type { Polled } from "../state/poll";
import { useRunning } from "../state/running";
import { alignDecimals } from "../ui/decimal";
import { Panel } from "../ui/Panel";
import { chartLines, type EvaluationHistory, NO_EVALUATIONS } from "./evaluations";
import type { SignalRow } from "./signalTimeline";

const NO_FILLS: readonly Fill[] = [];

interface SignalChartProps {
  readonly chosen: StrategyStatus;
  readonly evaluated: Polled<EvaluationHistory>;
  readonly signals: readonly SignalRow[] | undefined;
}

/** The bars of the strategy, what it compares with the price, and its signals. */
export function SignalChart({ chosen, evaluated, signals }: SignalChartProps) {
  const { venue, symbol, interval } = chosen;
  const feed = useMemo(() => new BarFeed(venue, symbol, interval), [venue, symbol, interval]);
  const list = useMemo(() => new InstrumentList(venue), [venue]);
  useRunning(feed);
  useRunning(list);
  const instruments = useFrameStore(list.state);
  const instrument = useMemo(
    () => instruments.list.find((one) => one.symbol === symbol),
    [instruments, symbol],
  );
  const precision = useMemo(() => precisionOf(instrument), [instrument]);
  const lines = useMemo(() => chartLines(evaluated.value ?? NO_EVALUATIONS), [evaluated.value]);
  const marks = useMemo(() => (signals ?? []).map(markOf), [signals]);
  const [hovered, setHovered] = useState<Hovered>();
  const place = useChart({ feed, lines, marks, decimals: precision.price, onHover: setHovered });
  const { failure } = useFrameStore(feed.past);
  return (
    <Panel
      title="Chart"
      className="chart-panel"
      aside={
        <>
          <LineLegend {...{ lines, decimals: precision.price }} />
          {failure && (
            <span className="panel-note failed" title={failureText(failure)}>
              No history. {failureText(failure)}
            </span>
          )}
          <a className="why-link" href={formatRoute({ page: "market", venue, symbol, interval })}>
            market
          </a>
        </>
      }
    >
      <div className="chart" data-testid="signal-chart" ref={place} />
      <BarLegend hovered={hovered?.slot} {...{ feed, precision }} unit={sizeUnit(instrument)} />
    </Panel>
  );
}

interface DrawnChart {
  readonly feed: BarFeed;
  readonly lines: readonly ChartLine[];
  readonly marks: readonly Signal[];
  readonly decimals: number;
  readonly onHover: (hovered: Hovered | undefined) => void;
}

/** Draws a chart into the element with the returned reference. */
function useChart({ feed, lines, marks, decimals, onHover }: DrawnChart) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<CandleChart>(null);
  useEffect(() => {
    if (!place.current) return undefined;
    const controller = new AbortController();
    const drawn = new CandleChart(place.current, feed.interval, {
      onHover,
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
  }, [feed, onHover]);
  useEffect(() => {
    chart.current?.setPriceDecimals(decimals);
  }, [feed, decimals]);
  useEffect(() => {
    chart.current?.showMarks(NO_FILLS, marks);
  }, [feed, marks]);
  useEffect(() => {
    chart.current?.showLines(lines);
  }, [feed, lines]);
  return place;
}

interface LineLegendProps {
  readonly lines: readonly ChartLine[];
  readonly decimals: number;
}

/** The lines with their newest values. */
function LineLegend({ lines, decimals }: LineLegendProps) {
  return (
    <ul className="line-legend">
      {lines.map(({ name, values }, place) => {
        const newest = [...values.values()].at(-1);
        return (
          <li key={name} data-testid="chart-line" title={name}>
            <i style={{ background: lineColor(place) }} aria-hidden="true" />
            <span>{name}</span>{" "}
            {newest === undefined ? (
              <em className="unknown">not known yet</em>
            ) : (
              alignDecimals(newest.toFixed(decimals), decimals)
            )}
          </li>
        );
      })}
    </ul>
  );
}

function markOf({ sequence, timeNs, signal }: SignalRow): Signal {
  return { sequence, timeNs, side: signal.side, action: signal.action };
}
