import {
  CandlestickSeries,
  ColorType,
  createChart,
  createSeriesMarkers,
  CrosshairMode,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  LineSeries,
  type LogicalRange,
  type MouseEventParams,
  type SeriesMarker,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";

import type { HoleSpan } from "../record/holes";
import type { Bar } from "../gen/venuemesh/bars/v1/bars_pb";
import type { Fill } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { barTime, barTimes } from "./barTimes";
import { chartColors, lineColor } from "./chartColors";
import { type ChartMark, chartMarks, markText, type Signal } from "./chartMarks";
import { HolePaint } from "./holePaint";
import { barSlot, type Interval, intervalSeconds, isIncomplete } from "./intervals";

/** What is under the pointer. */
export interface Hovered {
  /** Slot of the bar; undefined when there is none. */
  readonly slot: bigint | undefined;
  readonly hole: HoleSpan | undefined;
  /** Pixels from the left and the top of the chart. */
  readonly x: number;
  readonly y: number;
}

/** Older bars are requested when fewer bars than this are left of the screen. */
const OLDER_MARGIN_BARS = 60;

export interface ChartEvents {
  readonly onNeedOlder: () => void;
  /** Undefined after the pointer has left. */
  readonly onHover: (hovered: Hovered | undefined) => void;
}

/** A line over the candles. */
export interface ChartLine {
  readonly name: string;
  /** By the open time of the bar, ns since the Unix epoch. */
  readonly values: ReadonlyMap<bigint, number>;
}

/** Candles above volume, drawn by lightweight-charts. Floats here are pixels, never text. */
export class CandleChart {
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<"Candlestick">;
  readonly #volume: ISeriesApi<"Histogram">;
  readonly #holes = new HolePaint();
  readonly #marks: ISeriesMarkersPluginApi<Time>;
  readonly #events: ChartEvents;
  #fills: readonly Fill[] = [];
  #signals: readonly Signal[] = [];
  #lines: readonly ChartLine[] = [];
  readonly #drawnLines = new Map<string, ISeriesApi<"Line">>();
  #bars: readonly Bar[] = [];
  /** Of each bar, seconds since the Unix epoch. */
  #times: number[] = [];

  constructor(container: HTMLElement, interval: Interval, events: ChartEvents) {
    this.#events = events;
    this.#chart = createChart(container, chartOptions(interval));
    this.#candles = this.#chart.addSeries(CandlestickSeries, {
      upColor: chartColors.up,
      downColor: chartColors.down,
      borderUpColor: chartColors.up,
      borderDownColor: chartColors.down,
      wickUpColor: chartColors.up,
      wickDownColor: chartColors.down,
      priceLineColor: chartColors.accent,
    });
    this.#volume = this.#chart.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.#candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.24 } });
    this.#volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.#candles.attachPrimitive(this.#holes);
    this.#marks = createSeriesMarkers(this.#candles, []);
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange(this.#onRange);
    this.#chart.subscribeCrosshairMove(this.#onCrosshair);
  }

  setPriceDecimals(decimals: number): void {
    this.#candles.applyOptions({
      priceFormat: { type: "price", precision: decimals, minMove: 1 / 10 ** decimals },
    });
  }

  showAll(bars: readonly Bar[]): void {
    this.#bars = bars;
    this.#times = barTimes(bars);
    this.#holes.setBars(bars);
    this.#candles.setData(bars.map((bar, index) => candle(bar, this.#time(index))));
    this.#volume.setData(bars.map((bar, index) => volumeColumn(bar, this.#time(index))));
    this.showMarks(this.#fills, this.#signals);
    this.showLines(this.#lines);
  }

  showOne(bar: Bar, index: number): void {
    this.#times[index] ??= barTime(bar, this.#times[index - 1]);
    const isEarlier = index < this.#times.length - 1;
    this.#candles.update(candle(bar, this.#time(index)), isEarlier);
    this.#volume.update(volumeColumn(bar, this.#time(index)), isEarlier);
  }

  /** Marks the bars in which there are fills or signals. */
  showMarks(fills: readonly Fill[], signals: readonly Signal[]): void {
    this.#fills = fills;
    this.#signals = signals;
    const marks = chartMarks(this.#bars, fills, signals);
    this.#marks.setMarkers(marks.map((mark) => marker(mark, this.#time(mark.index))));
  }

  /** Draws lines, and no others, through the bars at which they have a value. */
  showLines(lines: readonly ChartLine[]): void {
    this.#lines = lines;
    const names = new Set(lines.map(({ name }) => name));
    for (const [name, series] of this.#drawnLines) {
      if (names.has(name)) continue;
      this.#chart.removeSeries(series);
      this.#drawnLines.delete(name);
    }
    for (const [place, { name, values }] of lines.entries()) {
      const series = this.#drawnLines.get(name) ?? this.#addLine(name, place);
      series.setData(
        this.#bars.flatMap(({ openTimeNs }, index) => {
          const value = values.get(openTimeNs);
          return value === undefined ? [] : [{ time: this.#time(index), value }];
        }),
      );
    }
  }

  showHoles(spans: readonly HoleSpan[]): void {
    this.#holes.setSpans(spans);
  }

  scrollToNewest(): void {
    this.#chart.timeScale().scrollToRealTime();
  }

  dispose(): void {
    this.#chart.remove();
  }

  #addLine(name: string, place: number): ISeriesApi<"Line"> {
    const series = this.#chart.addSeries(LineSeries, {
      color: lineColor(place),
      lineWidth: 1,
      lastValueVisible: false,
      priceLineVisible: false,
      crosshairMarkerVisible: false,
    });
    this.#drawnLines.set(name, series);
    return series;
  }

  #time(index: number): UTCTimestamp {
    return this.#times[index] as UTCTimestamp;
  }

  readonly #onRange = (range: LogicalRange | null): void => {
    if (range && range.from < OLDER_MARGIN_BARS) this.#events.onNeedOlder();
  };

  readonly #onCrosshair = ({ point, logical }: MouseEventParams): void => {
    if (!point) {
      this.#events.onHover(undefined);
      return;
    }
    const { x, y } = point;
    const bar = logical === undefined ? undefined : this.#bars[logical];
    const slot = bar && barSlot(bar);
    this.#events.onHover({ slot, hole: this.#holes.spanAt(x), x, y });
  };
}

/** Buys below their bar, sells above it: fills as arrows, signals as circles. */
function marker(mark: ChartMark, time: UTCTimestamp): SeriesMarker<Time> {
  const side = mark.isBuy
    ? ({ position: "belowBar", shape: "arrowUp", color: chartColors.up } as const)
    : ({ position: "aboveBar", shape: "arrowDown", color: chartColors.down } as const);
  const text = markText(mark);
  return mark.kind === "fill" ? { ...side, time, text } : { ...side, shape: "circle", time, text };
}

/** A bar without full coverage is hollow. */
function candle(bar: Bar, time: UTCTimestamp) {
  const [open, close] = [Number(bar.open), Number(bar.close)];
  const whole = { time, open, high: Number(bar.high), low: Number(bar.low), close };
  if (!isIncomplete(bar)) return whole;
  return {
    ...whole,
    color: close < open ? chartColors.downIncomplete : chartColors.upIncomplete,
  };
}

function volumeColumn(bar: Bar, time: UTCTimestamp) {
  const fell = Number(bar.close) < Number(bar.open);
  const whole = fell ? chartColors.downVolume : chartColors.upVolume;
  const part = fell ? chartColors.downIncomplete : chartColors.upIncomplete;
  return { time, value: Number(bar.volume), color: isIncomplete(bar) ? part : whole };
}

function chartOptions(interval: Interval) {
  return {
    autoSize: true,
    // Not the browser's: the rest of the page has one language too, and some systems name a
    // locale that Intl refuses.
    localization: { locale: "en-GB", dateFormat: "yyyy-MM-dd" },
    layout: {
      background: { type: ColorType.Solid, color: chartColors.background },
      textColor: chartColors.text,
      fontFamily: '"Inter Variable", system-ui, sans-serif',
      fontSize: 11,
    },
    grid: {
      vertLines: { color: chartColors.grid },
      horzLines: { color: chartColors.grid },
    },
    crosshair: {
      mode: CrosshairMode.Normal,
      vertLine: { color: chartColors.crosshair, labelBackgroundColor: chartColors.label },
      horzLine: { color: chartColors.crosshair, labelBackgroundColor: chartColors.label },
    },
    rightPriceScale: { borderColor: chartColors.border, minimumWidth: 72 },
    timeScale: {
      borderColor: chartColors.border,
      timeVisible: intervalSeconds(interval) < 86_400,
      secondsVisible: intervalSeconds(interval) < 60,
      rightOffset: 6,
      barSpacing: 7,
      minBarSpacing: 1,
    },
  };
}
