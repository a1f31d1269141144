import type {
  IPrimitivePaneRenderer,
  IPrimitivePaneView,
  ISeriesPrimitive,
  Logical,
  SeriesAttachedParameter,
} from "lightweight-charts";

import type { HoleLook, HoleSpan } from "../record/holes";
import type { Bar } from "../gen/venuemesh/bars/v1/bars_pb";
import { chartColors } from "./chartColors";
import { timePosition } from "./chartHoles";

/** Minimum width, so that a short hole is visible. */
const WIDTH_MIN_PX = 4;
const HATCH_STEP_PX = 7;
const MARK_HEIGHT_PX = 3;

interface Paint {
  readonly color: string;
  /** Of the shade, from 0 to 1. */
  readonly opacity: number;
  readonly hatched: boolean;
  readonly dash: readonly number[];
}

/** Each state has a pattern too, so that colour is not needed. */
const PAINTS: Record<HoleLook, Paint> = {
  open: { color: chartColors.warn, opacity: 0.12, hatched: true, dash: [] },
  in_repair: { color: chartColors.accent, opacity: 0.12, hatched: true, dash: [4, 3] },
  unavailable: { color: chartColors.text, opacity: 0.1, hatched: true, dash: [1, 3] },
  filled: { color: chartColors.filled, opacity: 0.09, hatched: false, dash: [4, 3] },
};

interface DrawnSpan {
  readonly span: HoleSpan;
  /** Pixels from the left of the pane. */
  readonly left: number;
  readonly right: number;
}

/** Shades the times in which trades are missing, behind the candles. */
export class HolePaint implements ISeriesPrimitive {
  #attached: SeriesAttachedParameter | undefined;
  #bars: readonly Bar[] = [];
  #spans: readonly HoleSpan[] = [];
  readonly #views: readonly IPrimitivePaneView[] = [
    { zOrder: () => "bottom", renderer: () => ({ draw: this.#draw }) },
  ];

  attached(parameters: SeriesAttachedParameter): void {
    this.#attached = parameters;
  }

  detached(): void {
    this.#attached = undefined;
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return this.#views;
  }

  /** The bars of the chart; the array may grow in place. */
  setBars(bars: readonly Bar[]): void {
    this.#bars = bars;
  }

  setSpans(spans: readonly HoleSpan[]): void {
    this.#spans = spans;
    this.#attached?.requestUpdate();
  }

  /** The hole under the pointer; of overlapping holes the narrowest. */
  spanAt(x: number): HoleSpan | undefined {
    const hit = this.#drawnSpans().filter(({ left, right }) => left - 2 <= x && x <= right + 2);
    hit.sort((one, other) => one.right - one.left - (other.right - other.left));
    return hit[0]?.span;
  }

  #drawnSpans(): readonly DrawnSpan[] {
    const first = this.#bars[0];
    const timeScale = this.#attached?.chart.timeScale();
    const origin = timeScale?.logicalToCoordinate(0 as Logical);
    if (!first || !timeScale || origin === null || origin === undefined) return [];
    const { barSpacing } = timeScale.options();
    const width = timeScale.width();
    return this.#spans.flatMap((span) => {
      if (span.endNs < first.openTimeNs) return [];
      const start = origin + timePosition(this.#bars, span.startNs) * barSpacing;
      const end = origin + timePosition(this.#bars, span.endNs) * barSpacing;
      const spare = Math.max(0, WIDTH_MIN_PX - (end - start)) / 2;
      const [left, right] = [start - spare, end + spare];
      return right < 0 || left > width ? [] : [{ span, left, right }];
    });
  }

  readonly #draw = (target: Parameters<IPrimitivePaneRenderer["draw"]>[0]): void => {
    const drawn = this.#drawnSpans();
    target.useMediaCoordinateSpace(({ context, mediaSize: { width, height } }) => {
      for (const { span, left, right } of drawn) {
        const from = Math.max(left, -HATCH_STEP_PX);
        const to = Math.min(right, width + HATCH_STEP_PX);
        paintSpan(context, PAINTS[span.look], from, to, height);
      }
    });
  };
}

function paintSpan(
  context: CanvasRenderingContext2D,
  paint: Paint,
  left: number,
  right: number,
  height: number,
): void {
  context.save();
  context.beginPath();
  context.rect(left, 0, right - left, height);
  context.clip();
  context.fillStyle = paint.color;
  context.strokeStyle = paint.color;
  context.globalAlpha = paint.opacity;
  context.fillRect(left, 0, right - left, height);
  context.lineWidth = 1;
  context.globalAlpha = 0.3;
  if (paint.hatched) hatch(context, left, right, height);
  context.globalAlpha = 0.75;
  context.setLineDash([...paint.dash]);
  context.beginPath();
  for (const x of [left + 0.5, right - 0.5]) {
    context.moveTo(x, 0);
    context.lineTo(x, height);
  }
  context.stroke();
  context.globalAlpha = 1;
  context.fillRect(left, 0, right - left, MARK_HEIGHT_PX);
  context.restore();
}

/** Lines at 45 degrees that do not move with the span's own edges. */
function hatch(
  context: CanvasRenderingContext2D,
  left: number,
  right: number,
  height: number,
): void {
  const first = Math.floor((left - height) / HATCH_STEP_PX) * HATCH_STEP_PX;
  context.beginPath();
  for (let x = first; x < right; x += HATCH_STEP_PX) {
    context.moveTo(x, height);
    context.lineTo(x + height, 0);
  }
  context.stroke();
}
