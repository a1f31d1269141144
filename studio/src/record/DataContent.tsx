import { useMemo, useState } from "react";

import type { StreamState } from "../api/stream";
import type { Place } from "../instrument/InstrumentPage";
import type { DataRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import { polledState } from "../state/poll";
import { useRunning } from "../state/running";
import { ConnectionState } from "../ui/ConnectionState";
import { TopStatus } from "../ui/TopStatus";
import { DAY_NS, dayStart } from "./days";
import { CoveragePanel } from "./CoveragePanel";
import { DataBar } from "./DataBar";
import { HolesPanel } from "./HolesPanel";
import { pollHoles } from "./holes";
import { QualityPanel } from "./QualityPanel";
import { pollCoverage, pollQuality } from "./recorded";
import { RepairPanel } from "./RepairPanel";
import { RepairFeed } from "./repairs";
import { RepairsPanel } from "./RepairsPanel";

/** The step of the calendar's buttons: one year. */
const YEAR_NS = 364n * DAY_NS;

interface DataContentProps {
  /** With venue and symbol. */
  readonly route: DataRoute;
  readonly place: Place;
}

/** The record of one instrument: coverage, quality, holes and repairs. */
export function DataContent({ route, place }: DataContentProps) {
  const { venue, symbol } = place;
  const [today] = useState(() => dayStart(BigInt(Date.now()) * 1_000_000n));
  const [lastDayNs, setLastDayNs] = useState(today);
  const [chosenDayNs, chooseDay] = useState<bigint>();
  const { coverage, quality, holes, repairs } = useRecord(venue.id, symbol, lastDayNs);
  const days = useFrameStore(coverage.state);
  const known = useFrameStore(holes.state);
  const scores = useFrameStore(quality.state);
  const jobs = useFrameStore(repairs.jobs.state);
  const stream = useFrameStore(repairs.stream);
  const states: StreamState[] = [days, known, scores, jobs].map(polledState);
  if (stream) states.push(stream);
  return (
    <main className="data">
      <TopStatus>
        <ConnectionState streams={states} />
      </TopStatus>
      <DataBar {...{ route, place, days, known, scores }} />
      <CoveragePanel
        {...{ days, lastDayNs, chosenDayNs }}
        key={String(lastDayNs)}
        onChoose={chooseDay}
        onEarlier={() => {
          setLastDayNs(lastDayNs - YEAR_NS);
        }}
        onLater={
          lastDayNs === today
            ? undefined
            : () => {
                setLastDayNs(lastDayNs + YEAR_NS);
              }
        }
      />
      <QualityPanel polled={scores} />
      <HolesPanel
        {...{ chosenDayNs, repairs }}
        polled={known}
        onClear={() => {
          chooseDay(undefined);
        }}
      />
      <div className="data-side">
        <RepairPanel feed={repairs} chosenDayNs={chosenDayNs} />
        <RepairsPanel polled={jobs} />
      </div>
    </main>
  );
}

/** All polls of the page, active while it is open. */
function useRecord(venue: string, symbol: string, lastDayNs: bigint) {
  const coverage = useMemo(
    () => pollCoverage(venue, symbol, lastDayNs),
    [venue, symbol, lastDayNs],
  );
  const quality = useMemo(() => pollQuality(venue, symbol), [venue, symbol]);
  const holes = useMemo(() => pollHoles(venue, symbol), [venue, symbol]);
  const repairs = useMemo(
    () =>
      new RepairFeed(venue, symbol, () => {
        holes.refresh();
        coverage.refresh();
      }),
    [venue, symbol, holes, coverage],
  );
  useRunning(coverage);
  useRunning(quality);
  useRunning(holes);
  useRunning(repairs);
  return { coverage, quality, holes, repairs };
}
