import { useMemo } from "react";

import type { DayCoverage } from "../gen/venuemesh/history/v1/history_pb";
import type { Polled } from "../state/poll";
import { Icon } from "../ui/Icon";
import { Panel } from "../ui/Panel";
import { failureText } from "../api/failure";
import { Calendar } from "./Calendar";
import { calendarDays, calendarStart, dateText, LEVEL_WORDS } from "./days";

interface CoveragePanelProps {
  readonly days: Polled<readonly DayCoverage[]>;
  /** 00:00 UTC of the calendar's last day, ns since the Unix epoch. */
  readonly lastDayNs: bigint;
  readonly chosenDayNs: bigint | undefined;
  readonly onChoose: (dayNs: bigint | undefined) => void;
  readonly onEarlier: () => void;
  /** Undefined when nothing is later. */
  readonly onLater: (() => void) | undefined;
}

/** A year of days with the coverage of each. */
export function CoveragePanel(props: CoveragePanelProps) {
  const { days, lastDayNs, chosenDayNs, onChoose, onEarlier, onLater } = props;
  const cells = useMemo(() => calendarDays(lastDayNs, days.value ?? []), [lastDayNs, days.value]);
  return (
    <Panel
      title="Coverage of trades"
      className="coverage"
      aside={
        <>
          <span className="panel-note">
            {dateText(calendarStart(lastDayNs))} – {dateText(lastDayNs)}
          </span>
          <button
            className="quiet-button"
            title="A year earlier"
            aria-label="A year earlier"
            onClick={onEarlier}
          >
            <Icon name="earlier" />
          </button>
          <button
            className="quiet-button"
            title="A year later"
            aria-label="A year later"
            disabled={!onLater}
            onClick={onLater}
          >
            <Icon name="later" />
          </button>
        </>
      }
    >
      <Calendar {...{ chosenDayNs, onChoose }} days={cells} />
      <div className="coverage-foot">
        <CoverageNote days={days} />
        <Legend />
      </div>
    </Panel>
  );
}

function CoverageNote({ days: { value, failure } }: Pick<CoveragePanelProps, "days">) {
  if (failure) return <span className="panel-note failed">{failureText(failure)}</span>;
  let text = "Click a day to see its holes.";
  if (value === undefined) text = "Loading …";
  else if (value.length === 0) text = "Nothing recorded in this period.";
  return <span className="panel-note">{text}</span>;
}

function Legend() {
  return (
    <ul className="coverage-legend" aria-label="Legend">
      {LEVEL_WORDS.map(([level, text]) => (
        <li key={level}>
          <i className="day" data-level={level} />
          {text}
        </li>
      ))}
      <li>
        <i className="day" data-level="whole" data-gaps="open" />
        open gaps
      </li>
      <li>
        <i className="day" data-level="whole" data-gaps="filled" />
        filled gaps
      </li>
    </ul>
  );
}
