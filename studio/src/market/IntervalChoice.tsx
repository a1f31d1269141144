import { go, type MarketRoute } from "../route";
import { type Interval, intervalText, isTimeInterval, TIME_INTERVALS } from "./intervals";

interface IntervalChoiceProps {
  readonly route: MarketRoute;
  /** The available intervals, of time and of other kinds. Undefined while they load. */
  readonly intervals: readonly Interval[] | undefined;
}

/** Intervals of time as buttons, bars of other kinds as a list. */
export function IntervalChoice({ route, intervals = TIME_INTERVALS }: IntervalChoiceProps) {
  const choose = (interval: Interval) => {
    go({ ...route, interval }, true);
  };
  const others = intervals.filter((interval) => !isTimeInterval(interval));
  const chosen = isTimeInterval(route.interval) ? "" : route.interval;
  if (chosen !== "" && !others.includes(chosen)) others.push(chosen);
  return (
    <div className="choice intervals" role="group" aria-label="Bar interval">
      {intervals.filter(isTimeInterval).map((interval) => (
        <button
          key={interval}
          data-testid={`interval-${interval}`}
          aria-pressed={interval === route.interval}
          onClick={() => {
            choose(interval);
          }}
        >
          {interval}
        </button>
      ))}
      {others.length > 0 && (
        <select
          data-testid="other-intervals"
          aria-label="Bars of other kinds"
          data-chosen={chosen !== ""}
          value={chosen}
          onChange={(event) => {
            choose(event.target.value);
          }}
        >
          <option value="" hidden>
            other bars
          </option>
          {others.map((interval) => (
            <option key={interval} value={interval}>
              {intervalText(interval)}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}
