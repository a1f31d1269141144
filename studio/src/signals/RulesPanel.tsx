import { type PointerEvent, useMemo, useState } from "react";

import type { ExplainResponse } from "../gen/venuemesh/detector/v1/detector_pb";
import type { RuleScore } from "../gen/venuemesh/events/v1/signals_pb";
import type { Polled } from "../state/poll";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatCount, formatDateTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { scoreText } from "../why/enumText";
import { ScoreBar } from "../why/ScoreBar";
import {
  barAt,
  type EvaluationHistory,
  firedCount,
  NO_EVALUATIONS,
  shownBars,
  type Strip,
  STRIP_BARS,
  stripPaths,
  stripsOf,
} from "./evaluations";
import { ruleColor } from "./ruleColors";
import { signalCount, type SignalRow } from "./signalTimeline";

interface RulesPanelProps {
  readonly explained: Polled<ExplainResponse>;
  readonly evaluated: Polled<EvaluationHistory>;
  readonly signals: readonly SignalRow[] | undefined;
}

/** What each rule says now, and said on the newest bars. */
export function RulesPanel({ explained, evaluated, signals }: RulesPanelProps) {
  const [pointed, setPointed] = useState<number>();
  const history = evaluated.value ?? NO_EVALUATIONS;
  const strips = useMemo(() => stripsOf(history), [history]);
  const bars = shownBars(history);
  const bar = pointed === undefined ? undefined : bars[pointed];
  const said = explained.value;
  return (
    <Panel
      title="Rules"
      className="rules"
      aside={
        <span className="panel-note" data-testid="rules-time">
          {bar ? `on the bar until ${formatDateTime(bar.closeTimeNs)} UTC` : "now"}
          {bars.length > 0 && `, ${formatCount(bars.length)} bars`}
        </span>
      }
    >
      {bars.length === 0 ? (
        <EmptyPanel
          polled={evaluated}
          empty="It has seen no bar since its code was loaded. What each rule says appears here."
        />
      ) : (
        <div className="table-scroll">
          <table className="record-table rule-table">
            <RuleTableHead />
            <tbody>
              {strips.map((strip, index) => (
                <RuleRow
                  key={strip.key}
                  strip={strip}
                  place={index - 1}
                  pointed={bar && pointed}
                  signals={signals}
                  explained={said && explanationOf(said, strip)}
                  onPoint={setPointed}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function RuleTableHead() {
  return (
    <thead>
      <tr>
        <th scope="col">Rule</th>
        <th scope="col" className="number">
          Weight
        </th>
        <th scope="col">Score</th>
        <th scope="col">Newest bars</th>
        <th scope="col" className="number" title="Bars on which it was not 0">
          Bars
        </th>
        <th scope="col" className="number" title="Listed signals in which it had a part">
          Signals
        </th>
        <th scope="col">Rests on, now</th>
      </tr>
    </thead>
  );
}

interface RuleRowProps {
  readonly strip: Strip;
  /** Of the rule among the rules. */
  readonly place: number;
  /** The bar under the pointer, otherwise the newest one is shown. */
  readonly pointed: number | undefined;
  readonly signals: readonly SignalRow[] | undefined;
  readonly explained: RuleScore | undefined;
  readonly onPoint: (place: number | undefined) => void;
}

function RuleRow({ strip, place, pointed, signals, explained, onPoint }: RuleRowProps) {
  const { name, kind, weight, values } = strip;
  const value = pointed === undefined ? values.at(-1) : values[pointed];
  return (
    <tr data-testid="rule-strip" data-kind={kind}>
      <th scope="row">
        {kind === "rule" && (
          <i className="rule-mark" style={{ background: ruleColor(place) }} aria-hidden="true" />
        )}
        {name}
        {(kind === "veto" || kind === "exit") && <small className="faint"> {kind}</small>}
      </th>
      <td className="number">{weight === undefined ? "" : scoreText(weight)}</td>
      <td>
        {kind === "score" || kind === "rule" ? (
          <ScoreBar score={value} />
        ) : (
          <WordOf kind={kind} value={value} />
        )}
      </td>
      <td className="strip-cell">
        <StripPicture {...{ strip, pointed, onPoint }} />
      </td>
      <td className="number">{formatCount(firedCount(values))}</td>
      <td className="number">
        {kind === "score" ? formatCount(signals?.length ?? 0) : countText(signals, name)}
      </td>
      <td className="rests-on">
        {explained?.values.map(({ expression, value }) => (
          <span key={expression} title={expression}>
            <span>{expression}</span> = {value === undefined ? "not known yet" : scoreText(value)}
          </span>
        ))}
      </td>
    </tr>
  );
}

interface WordOfProps {
  readonly kind: "veto" | "exit";
  readonly value: number | undefined;
}

/** A veto forbids or does not, an exit closes or does not. */
function WordOf({ kind, value }: WordOfProps) {
  if (value === undefined) return <em className="unknown">not known</em>;
  const words = kind === "veto" ? ["allows", "forbids"] : ["holds", "closes"];
  return <span className={value === 0 ? "faint" : "failed"}>{words[value === 0 ? 0 : 1]}</span>;
}

interface StripPictureProps {
  readonly strip: Strip;
  readonly pointed: number | undefined;
  readonly onPoint: (place: number | undefined) => void;
}

function StripPicture({ strip, pointed, onPoint }: StripPictureProps) {
  const { name, kind, values } = strip;
  const paths = useMemo(() => stripPaths(values), [values]);
  const onMove = (event: PointerEvent<SVGSVGElement>) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    onPoint(barAt((event.clientX - left) / width, values.length));
  };
  const cursor = pointed === undefined ? undefined : STRIP_BARS - values.length + pointed + 0.5;
  return (
    <svg
      className="strip"
      data-kind={kind}
      viewBox={`0 0 ${STRIP_BARS} 100`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${name} on the newest ${values.length} bars`}
      onPointerMove={onMove}
      onPointerLeave={() => {
        onPoint(undefined);
      }}
    >
      <path className="axis" d={`M0 50H${STRIP_BARS}`} />
      <path className="unknown" d={paths.unknown} />
      <path className="up" d={paths.up} />
      <path className="down" d={paths.down} />
      {cursor !== undefined && <path className="pointed" d={`M${cursor} 0V100`} />}
    </svg>
  );
}

function explanationOf({ rules, exits }: ExplainResponse, strip: Strip): RuleScore | undefined {
  if (strip.kind === "score") return undefined;
  return (strip.kind === "exit" ? exits : rules).find(({ rule }) => rule === strip.name);
}

function countText(signals: readonly SignalRow[] | undefined, name: string): string {
  return signals ? formatCount(signalCount(signals, name)) : "";
}
