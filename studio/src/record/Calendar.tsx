import { type KeyboardEvent, type SyntheticEvent, useRef, useState } from "react";

import { formatCount } from "../ui/format";
import {
  type CalendarDay,
  calendarMonths,
  dateText,
  dayText,
  levelOf,
  shareText,
  WEEKS,
} from "./days";

const TIP_WIDTH_PX = 190;
const WEEKDAYS = ["Mon", "", "Wed", "", "Fri", "", "Sun"];
/** Days that a key adds to the focused day. */
const STEPS: Readonly<Record<string, number>> = {
  ArrowUp: -1,
  ArrowDown: 1,
  ArrowLeft: -7,
  ArrowRight: 7,
  PageUp: -28,
  PageDown: 28,
  Home: -Infinity,
  End: Infinity,
};

interface CalendarProps {
  /** Monday first, without holes. */
  readonly days: readonly CalendarDay[];
  readonly chosenDayNs: bigint | undefined;
  readonly onChoose: (dayNs: bigint | undefined) => void;
}

interface Pointed {
  readonly day: CalendarDay;
  /** Pixels from the left and the top of the calendar. */
  readonly left: number;
  readonly top: number;
}

/** A column per week, a cell per day. The arrow keys move between days, Enter selects one. */
export function Calendar({ days, chosenDayNs, onChoose }: CalendarProps) {
  const grid = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(days.length - 1);
  const [pointed, setPointed] = useState<Pointed>();
  const onKey = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(days.length - 1, active + step));
    setActive(next);
    grid.current?.querySelectorAll<HTMLElement>("[role=gridcell]")[next]?.focus();
  };
  const leave = () => {
    setPointed(undefined);
  };
  return (
    <div className="calendar" onPointerLeave={leave} onBlur={leave}>
      <ol className="calendar-months" aria-hidden="true">
        {calendarMonths(days).map(([week, name]) => (
          <li key={week} style={{ gridColumn: week + 1 }}>
            {name}
          </li>
        ))}
      </ol>
      <ol className="calendar-weekdays" aria-hidden="true">
        {WEEKDAYS.map((name, index) => (
          <li key={index}>{name}</li>
        ))}
      </ol>
      <div className="calendar-days" role="grid" aria-label="Days" ref={grid} onKeyDown={onKey}>
        {Array.from({ length: WEEKS }, (_, week) => (
          <div key={week} role="row" className="calendar-week">
            {days.slice(week * 7, week * 7 + 7).map((day, weekday) => (
              <DayCell
                key={weekday}
                day={day}
                isActive={active === week * 7 + weekday}
                isChosen={day.startNs === chosenDayNs}
                onPoint={setPointed}
                onChoose={() => {
                  setActive(week * 7 + weekday);
                  onChoose(day.startNs === chosenDayNs ? undefined : day.startNs);
                }}
              />
            ))}
          </div>
        ))}
      </div>
      {pointed && <DayTip {...pointed} />}
    </div>
  );
}

interface DayCellProps {
  readonly day: CalendarDay;
  readonly isActive: boolean;
  readonly isChosen: boolean;
  readonly onPoint: (pointed: Pointed) => void;
  readonly onChoose: () => void;
}

function DayCell({ day, isActive, isChosen, onPoint, onChoose }: DayCellProps) {
  const { coverage } = day;
  let gaps: string | undefined;
  if (coverage && coverage.openGapCount > 0) gaps = "open";
  else if (coverage && coverage.filledGapCount > 0) gaps = "filled";
  const point = ({ currentTarget }: SyntheticEvent<HTMLElement>) => {
    const { offsetLeft, offsetTop, offsetWidth, offsetParent } = currentTarget;
    const isRight = offsetLeft > (offsetParent?.clientWidth ?? 0) / 2;
    const left = isRight ? offsetLeft - TIP_WIDTH_PX - 8 : offsetLeft + offsetWidth + 8;
    onPoint({ day, left, top: offsetTop });
  };
  return (
    <div
      role="gridcell"
      className="day"
      data-testid="coverage-day"
      data-day={dateText(day.startNs)}
      data-level={levelOf(coverage)}
      data-gaps={gaps}
      aria-label={dayText(day)}
      aria-selected={isChosen}
      tabIndex={isActive ? 0 : -1}
      onFocus={point}
      onPointerEnter={point}
      onClick={onChoose}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        onChoose();
      }}
    />
  );
}

function DayTip({ day: { startNs, coverage }, left, top }: Pointed) {
  const facts: [string, string][] = coverage
    ? [
        ["Watched", shareText(coverage)],
        ["Trades", formatCount(coverage.tradeCount)],
        ["Open gaps", formatCount(coverage.openGapCount)],
        ["Filled gaps", formatCount(coverage.filledGapCount)],
      ]
    : [];
  return (
    <div
      className="tip day-tip"
      role="tooltip"
      data-testid="day-tip"
      style={{ left, top: Math.min(top, 84), width: TIP_WIDTH_PX }}
    >
      <strong>{dateText(startNs)}</strong>
      {facts.length === 0 && <p>Nothing recorded.</p>}
      <dl>
        {facts.map(([name, text]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
