import {
  type HoleSpan,
  LOOK_WORDS,
  spanLengthText,
  spanText,
  tradeCountText,
} from "../record/holes";

/** Space for the tip beside the pointer, pixels. */
const WIDTH_PX = 300;
const OFFSET_PX = 14;

interface HoleTipProps {
  readonly hole: HoleSpan;
  /** The pointer, pixels from the left and the top of the chart. */
  readonly x: number;
  readonly y: number;
}

/** Details of the hole under the pointer. */
export function HoleTip({ hole, x, y }: HoleTipProps) {
  const left = x > WIDTH_PX + OFFSET_PX ? x - WIDTH_PX - OFFSET_PX : x + OFFSET_PX;
  const count = tradeCountText(hole);
  const wasMissing = hole.look === "filled" ? "were missing" : "missing";
  return (
    <div className="tip hole-tip" role="tooltip" data-testid="hole-tip" style={{ left, top: y }}>
      <p>
        <i className={`hole-mark ${hole.look}`} aria-hidden="true" />
        <strong>{LOOK_WORDS[hole.look]}</strong>
        <span>{hole.reason}</span>
      </p>
      <p>{spanText(hole)}</p>
      <p>
        {spanLengthText(hole)}
        {count !== "" && ` · ${count} ${wasMissing}`}
      </p>
      {hole.detail !== "" && <p className="tip-detail">{hole.detail}</p>}
    </div>
  );
}
