import { type PointerEvent, useState } from "react";

import type { GetEquityHistoryResponse } from "../gen/venuemesh/ledger/v1/equity_pb";
import type { Profit } from "../gen/venuemesh/ledger/v1/ledger_pb";
import { nearestPoint } from "../record/quality";
import type { Polled } from "../state/poll";
import { Amount } from "../ui/Amount";
import { Choice } from "../ui/Choice";
import { sumText } from "../ui/decimal";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatDateTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { axisTimes, type EquityLine, equityLine, type Measure, stepPath } from "./equityLine";
import { addProfits, unpricedText } from "./profits";
import { RANGES, type Range } from "./ranges";

const MEASURES = [
  ["profit", "net profit"],
  ["equity", "equity"],
] as const;
const RANGE_OPTIONS = (Object.keys(RANGES) as Range[]).map((range) => [range, range] as const);
const TIMES = 5;

interface EquityPanelProps {
  readonly profits: Polled<readonly Profit[]>;
  readonly history: Polled<GetEquityHistoryResponse>;
  readonly asset: string;
  readonly range: Range;
  readonly onRange: (range: Range) => void;
}

/** Net profit or equity over time: open positions at their cost, and now at market prices. */
export function EquityPanel({ profits, history, asset, range, onRange }: EquityPanelProps) {
  const [measure, setMeasure] = useState<Measure>("profit");
  const found = history.value?.histories.find((one) => one.asset === asset);
  const sums = addProfits(profits.value?.filter((profit) => profit.asset === asset) ?? []);
  const last = found?.points.at(-1);
  const open = profits.value ? sums.unrealized : undefined;
  const base = last && (measure === "profit" ? last.netProfit : last.equityAtCost);
  const market = open === undefined || base === undefined ? undefined : sumText([base, open]);
  const line = found && equityLine(found, measure, market);
  const unpriced = unpricedText(sums);
  return (
    <Panel
      title={asset === "" ? "Equity" : `Equity, ${asset}`}
      className="equity"
      aside={
        <>
          <span className={unpriced === "" ? "panel-note" : "panel-note failed"}>
            {unpriced === "" ? "open positions at cost, ● now at market" : unpriced}
          </span>
          <Choice label="Measure" options={MEASURES} chosen={measure} onChoose={setMeasure} />
          <Choice label="Time" options={RANGE_OPTIONS} chosen={range} onChoose={onRange} />
        </>
      }
    >
      {line ? (
        <EquityChart line={line} asset={asset} />
      ) : (
        <EmptyPanel polled={history} empty="Nothing is booked yet." />
      )}
    </Panel>
  );
}

function EquityChart({ line, asset }: { readonly line: EquityLine; readonly asset: string }) {
  const [pointed, setPointed] = useState<number>();
  const { points, market, top, bottom, zero } = line;
  const mark = pointed === undefined ? undefined : points[pointed];
  const shown = mark ?? market ?? points.at(-1);
  const path = stepPath(points);
  const base = (zero ?? 1) * 100;
  const onMove = (event: PointerEvent<SVGSVGElement>) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    setPointed(nearestPoint(points, (event.clientX - left) / width));
  };
  return (
    <>
      <p className="equity-now">
        <strong>{shown && <Amount text={shown.text} unit={asset} isChange />}</strong>
        <time>
          {shown ? `${formatDateTime(shown.timeNs)} UTC` : ""}
          {mark === undefined && market ? ", at market" : ", at cost"}
        </time>
      </p>
      <div className="equity-line">
        <span className="axis-top">{top}</span>
        {bottom !== top && <span className="axis-bottom">{bottom}</span>}
        <svg
          viewBox="0 0 100 100"
          preserveAspectRatio="none"
          role="img"
          aria-label={`From ${bottom} to ${top} ${asset}`}
          onPointerMove={onMove}
          onPointerLeave={() => {
            setPointed(undefined);
          }}
        >
          <path className="axis" d="M0 0H100M0 100H100" />
          {zero !== undefined && <path className="zero" d={`M0 ${base}H100`} />}
          <path className="under" d={`${path}V${base}H${(points[0]?.x ?? 0) * 100}Z`} />
          <path className="line" d={path} data-testid="equity-path" />
          {mark && <path className="pointed" d={`M${mark.x * 100} 0V100`} />}
        </svg>
        {[mark, market].map(
          (point, index) =>
            point && (
              <i
                key={index}
                className={index === 1 ? "point market" : "point"}
                style={{ left: `${point.x * 100}%`, top: `${point.y * 100}%` }}
              />
            ),
        )}
      </div>
      <div className="equity-times">
        {axisTimes(points, TIMES).map((timeNs) => (
          <time key={String(timeNs)}>{formatDateTime(timeNs)}</time>
        ))}
      </div>
    </>
  );
}
