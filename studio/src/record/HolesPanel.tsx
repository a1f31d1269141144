import { useState } from "react";

import type { Polled } from "../state/poll";
import { Repair } from "../gen/venuemesh/repair/v1/repair_pb";
import { useRefusal } from "../session/refusal";
import { useFrameStore } from "../state/frameStore";
import { formatCount } from "../ui/format";
import { Icon } from "../ui/Icon";
import { Panel } from "../ui/Panel";
import { RecordTable } from "../ui/RecordTable";
import { DAY_NS, dateText } from "./days";
import {
  type HoleList,
  type HoleSpan,
  LOOK_WORDS,
  spanLengthText,
  spanText,
  tradeCountText,
} from "./holes";
import { hasEnded, type RepairFeed } from "./repairs";
import { EmptyPanel } from "../ui/EmptyPanel";

const COLUMNS = ["State", "From – to, UTC", "Length", "Missing", "Why", "Details", ""];
/** Rows on the page. Select a day to see others. */
const ROWS_MAX = 200;

interface HolesPanelProps {
  readonly polled: Polled<HoleList>;
  /** Only holes of this day. */
  readonly chosenDayNs: bigint | undefined;
  readonly repairs: RepairFeed;
  /** Show the holes of all days. */
  readonly onClear: () => void;
}

/** Holes in the recorded trades, filled or not. */
export function HolesPanel({ polled, chosenDayNs, repairs, onClear }: HolesPanelProps) {
  const [unfilledOnly, setUnfilledOnly] = useState(false);
  const all = polled.value?.spans ?? [];
  const spans = all.filter(
    (span) =>
      (!unfilledOnly || span.look !== "filled") &&
      (chosenDayNs === undefined || isOfDay(span, chosenDayNs)),
  );
  const isNarrowed = unfilledOnly || chosenDayNs !== undefined;
  const empty = isNarrowed && all.length > 0 ? "No matching holes." : "No holes.";
  return (
    <Panel
      title="Holes"
      className="holes"
      aside={
        <>
          {chosenDayNs !== undefined && (
            <button className="filter-chip" data-testid="clear-day" onClick={onClear}>
              {dateText(chosenDayNs)} <Icon name="close" />
            </button>
          )}
          <label className="filter-box">
            <input
              type="checkbox"
              checked={unfilledOnly}
              onChange={(event) => {
                setUnfilledOnly(event.target.checked);
              }}
            />
            not filled only
          </label>
          <span className="panel-note">{countText(polled.value, spans.length)}</span>
        </>
      }
    >
      {spans.length > 0 ? (
        <HoleTable spans={spans.slice(0, ROWS_MAX)} repairs={repairs} />
      ) : (
        <EmptyPanel polled={polled} empty={empty} />
      )}
    </Panel>
  );
}

interface HoleTableProps {
  readonly spans: readonly HoleSpan[];
  readonly repairs: RepairFeed;
}

function HoleTable({ spans, repairs }: HoleTableProps) {
  const job = useFrameStore(repairs.current);
  const isBusy = (job && !hasEnded(job)) ?? false;
  return (
    <RecordTable columns={COLUMNS}>
      {spans.map((span) => (
        <HoleRow
          key={span.key}
          span={span}
          isBusy={isBusy}
          onRepair={() => {
            // One nanosecond more on each side: a hole may begin and end at the same time.
            const [startTimeNs, endTimeNs] = [span.startNs - 1n, span.endNs + 1n];
            void repairs.begin({ startTimeNs, endTimeNs });
          }}
        />
      ))}
    </RecordTable>
  );
}

interface HoleRowProps {
  readonly span: HoleSpan;
  readonly isBusy: boolean;
  readonly onRepair: () => void;
}

function HoleRow({ span, isBusy, onRepair }: HoleRowProps) {
  const refusal = useRefusal(Repair.method.startRepair);
  const canBeRepaired = span.look === "open" || span.look === "unavailable";
  return (
    <tr data-testid="hole-row" data-state={span.look}>
      <td className="state">
        <i className={`hole-mark ${span.look}`} aria-hidden="true" />
        {LOOK_WORDS[span.look]}
      </td>
      <td>{spanText(span)}</td>
      <td className="number">{spanLengthText(span)}</td>
      <td className="number">{tradeCountText(span)}</td>
      <td>{span.reason}</td>
      <td className="detail" title={span.detail}>
        <span>{span.detail}</span>
      </td>
      <td className="act">
        {canBeRepaired && (
          <button
            className="outline-button"
            title={refusal}
            disabled={refusal !== undefined || isBusy}
            onClick={onRepair}
          >
            Repair
          </button>
        )}
      </td>
    </tr>
  );
}

function isOfDay({ startNs, endNs }: HoleSpan, dayNs: bigint): boolean {
  return startNs < dayNs + DAY_NS && endNs >= dayNs;
}

function countText(list: HoleList | undefined, count: number): string {
  if (!list) return "";
  const shown = count > ROWS_MAX ? `newest ${ROWS_MAX} of ${formatCount(count)}` : `${count}`;
  return list.isCut ? `${shown}, of the newest ${formatCount(list.spans.length)} known` : shown;
}
