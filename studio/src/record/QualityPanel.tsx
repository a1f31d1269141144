import { type PointerEvent, useState } from "react";

import type { Quality } from "../gen/venuemesh/history/v1/history_pb";
import type { Polled } from "../state/poll";
import { formatCount, formatDateTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { Stat } from "../ui/Stat";
import { EmptyPanel } from "../ui/EmptyPanel";
import { byWindow, nearestPoint, qualityFloor, qualityPoints, scoreText } from "./quality";

interface QualityPanelProps {
  readonly polled: Polled<readonly Quality[]>;
}

/** The data-quality score over time and its parts. */
export function QualityPanel({ polled }: QualityPanelProps) {
  const [pointed, setPointed] = useState<number>();
  const [chosen, setChosen] = useState("");
  const windows = byWindow(polled.value ?? []);
  const window = windows.find(({ text }) => text === chosen) ?? windows[0];
  const scores = window?.scores ?? [];
  const shown = (pointed === undefined ? undefined : scores[pointed]) ?? scores.at(-1);
  const time = shown ? `${formatDateTime(shown.computedTimeNs)} UTC` : "";
  return (
    <Panel
      title="Quality"
      className="quality"
      aside={
        <>
          <time className="panel-note">{time}</time>
          <div className="choice" role="group" aria-label="Window of a score">
            {windows.map(({ text }) => (
              <button
                key={text}
                aria-pressed={text === window?.text}
                title={`Scores of the last ${text}`}
                onClick={() => {
                  setChosen(text);
                }}
              >
                {text}
              </button>
            ))}
          </div>
        </>
      }
    >
      {shown ? (
        <>
          <QualityParts quality={shown} />
          <QualityLine scores={scores} pointed={pointed} onPoint={setPointed} />
        </>
      ) : (
        <EmptyPanel polled={polled} empty="No score has been computed yet." />
      )}
    </Panel>
  );
}

function QualityParts({ quality }: { readonly quality: Quality }) {
  const parts: [string, number, string][] = [
    ["Coverage", quality.coverage, "Share of the window without gaps"],
    ["Freshness", quality.freshness, "Share of the window with fresh data"],
    ["Agreement", quality.agreement, "1 less the share of bars that differ from the venue’s own"],
  ];
  return (
    <div className="quality-parts">
      <Stat
        label="Score"
        value={scoreText(quality.score)}
        valueId="quality-score"
        title="Product of the parts"
      />
      {parts.map(([label, part, title]) => (
        <Stat key={label} label={label} value={scoreText(part)} title={title} />
      ))}
      <Stat label="Open holes" value={formatCount(quality.openHoleCount)} />
    </div>
  );
}

interface QualityLineProps {
  readonly scores: readonly Quality[];
  readonly pointed: number | undefined;
  readonly onPoint: (index: number | undefined) => void;
}

function QualityLine({ scores, pointed, onPoint }: QualityLineProps) {
  const floor = qualityFloor(scores);
  const points = qualityPoints(scores, floor);
  const mark = points[pointed ?? points.length - 1];
  const line = points.map(({ x, y }) => `${(x * 100).toFixed(2)},${(y * 100).toFixed(2)}`);
  const onMove = (event: PointerEvent<SVGSVGElement>) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    onPoint(nearestPoint(points, (event.clientX - left) / width));
  };
  return (
    <div className="quality-line">
      <span className="axis-top">1</span>
      <span className="axis-bottom">{floor}</span>
      <svg
        viewBox="0 0 100 100"
        preserveAspectRatio="none"
        role="img"
        aria-label={`Score over time, the axis from ${floor} to 1`}
        onPointerMove={onMove}
        onPointerLeave={() => {
          onPoint(undefined);
        }}
      >
        <path className="axis" d="M0 0H100M0 100H100" />
        <path className="under" d={`M${line.join("L")}V100H${(points[0]?.x ?? 0) * 100}Z`} />
        <polyline points={line.join(" ")} />
        {pointed !== undefined && mark && <path className="pointed" d={`M${mark.x * 100} 0V100`} />}
      </svg>
      {mark && (
        <i className="point" style={{ left: `${mark.x * 100}%`, top: `${mark.y * 100}%` }} />
      )}
    </div>
  );
}
