import type { DayCoverage, Quality } from "../gen/venuemesh/history/v1/history_pb";
import type { Place } from "../instrument/InstrumentPage";
import { SymbolPicker } from "../instrument/SymbolPicker";
import { VenueSelect } from "../instrument/VenueSelect";
import { type DataRoute, go } from "../route";
import type { Polled } from "../state/poll";
import { formatCount } from "../ui/format";
import { Stat } from "../ui/Stat";
import { shareText, sumCoverage } from "./days";
import type { HoleList } from "./holes";
import { byWindow, scoreText } from "./quality";

interface DataBarProps {
  readonly route: DataRoute;
  readonly place: Place;
  readonly days: Polled<readonly DayCoverage[]>;
  readonly known: Polled<HoleList>;
  readonly scores: Polled<readonly Quality[]>;
}

/** The instrument and the quality of its record. */
export function DataBar({ route, place, days, known, scores }: DataBarProps) {
  const sum = sumCoverage(days.value ?? []);
  const isEmpty = sum.dayCount === 0;
  const spans = known.value?.spans;
  const open = spans?.filter(({ look }) => look !== "filled").length;
  const score = byWindow(scores.value ?? [])[0]?.scores.at(-1)?.score;
  return (
    <div className="instrument-bar">
      <VenueSelect
        venue={route.venue}
        venues={place.venues}
        onChoose={(venue) => {
          go({ ...route, venue, symbol: "" });
        }}
      />
      <SymbolPicker
        place={place}
        onPick={(symbol) => {
          go({ ...route, symbol });
        }}
      />
      <div className="data-stats">
        <Stat
          label="Quality"
          value={score === undefined ? "—" : scoreText(score)}
          title="From 0 to 1: coverage times freshness times agreement"
        />
        <Stat
          label="Coverage"
          value={isEmpty ? "—" : shareText(sum)}
          title="Share of the recorded days without gaps"
        />
        <Stat label="Days" value={isEmpty ? "—" : formatCount(sum.dayCount)} />
        <Stat
          label="Trades"
          value={isEmpty ? "—" : formatCount(sum.tradeCount)}
          title="Recorded on the days of the calendar"
        />
        <Stat
          label="Holes not filled"
          value={open === undefined ? "—" : formatCount(open)}
          {...(open !== undefined && open > 0 ? { tone: "high" as const } : {})}
        />
        <Stat
          label="Holes filled"
          value={spans && open !== undefined ? formatCount(spans.length - open) : "—"}
        />
      </div>
    </div>
  );
}
