import {
  CandlestickSeries,
  ColorType,
  createChart,
  CrosshairMode,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  type LogicalRange,
  type MouseEventParams,
  type UTCTimestamp,
} from "lightweight-charts";

import type { Bar } from "../gen/venuemesh/bars/v1/bars_pb";
import { barSeconds, type Interval, intervalSeconds, isIncomplete } from "./intervals";
import { chartColors } from "./chartColors";

/** Bars left of the screen when older ones are asked for. */
const OLDER_MARGIN_BARS = 60;

export interface ChartEvents {
  readonly onNeedOlder: () => void;
  /** Open time of the bar under the pointer; undefined when there is none. */
  readonly onHover: (openTimeNs: bigint | undefined) => void;
}

/** Candles above volume, drawn by lightweight-charts. Floats here are pixels, never text. */
export class CandleChart {
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<"Candlestick">;
  readonly #volume: ISeriesApi<"Histogram">;
  readonly #intervalNs: bigint;
  readonly #events: ChartEvents;

  constructor(container: HTMLElement, interval: Interval, events: ChartEvents) {
    this.#intervalNs = BigInt(intervalSeconds(interval)) * 1_000_000_000n;
    this.#events = events;
    this.#chart = createChart(container, chartOptions(interval));
    this.#candles = this.#chart.addSeries(CandlestickSeries, {
      upColor: chartColors.up,
      downColor: chartColors.down,
      borderVisible: false,
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
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange(this.#onRange);
    this.#chart.subscribeCrosshairMove(this.#onCrosshair);
  }

  setPriceDecimals(decimals: number): void {
    this.#candles.applyOptions({
      priceFormat: { type: "price", precision: decimals, minMove: 1 / 10 ** decimals },
    });
  }

  showAll(bars: readonly Bar[]): void {
    this.#candles.setData(bars.map((bar) => this.#candle(bar)));
    this.#volume.setData(bars.map(volumeColumn));
  }

  showOne(bar: Bar, last: boolean): void {
    this.#candles.update(this.#candle(bar), !last);
    this.#volume.update(volumeColumn(bar), !last);
  }

  scrollToNewest(): void {
    this.#chart.timeScale().scrollToRealTime();
  }

  dispose(): void {
    this.#chart.remove();
  }

  #candle(bar: Bar) {
    const candle = {
      time: barSeconds(bar) as UTCTimestamp,
      open: Number(bar.open),
      high: Number(bar.high),
      low: Number(bar.low),
      close: Number(bar.close),
    };
    if (!isIncomplete(bar, this.#intervalNs)) return candle;
    const color =
      candle.close < candle.open ? chartColors.downIncomplete : chartColors.upIncomplete;
    return { ...candle, color, wickColor: color };
  }

  readonly #onRange = (range: LogicalRange | null): void => {
    if (range && range.from < OLDER_MARGIN_BARS) this.#events.onNeedOlder();
  };

  readonly #onCrosshair = (event: MouseEventParams): void => {
    const { time } = event;
    this.#events.onHover(typeof time === "number" ? BigInt(time) * 1_000_000_000n : undefined);
  };
}

function volumeColumn(bar: Bar) {
  const fell = Number(bar.close) < Number(bar.open);
  return {
    time: barSeconds(bar) as UTCTimestamp,
    value: Number(bar.volume),
    color: fell ? chartColors.downVolume : chartColors.upVolume,
  };
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
