import type { RepairJob } from "../gen/venuemesh/repair/v1/repair_pb";
import type { Polled } from "../state/poll";
import { formatCount, formatDateTime, formatMillis } from "../ui/format";
import { Panel } from "../ui/Panel";
import { RecordTable } from "../ui/RecordTable";
import { JobState } from "./RepairPanel";
import { EmptyPanel } from "../ui/EmptyPanel";

const COLUMNS = ["Started, UTC", "State", "Holes", "Trades", "Took"];
const ROWS_MAX = 100;

/** The repairs of the instrument, newest first. */
export function RepairsPanel({ polled }: { readonly polled: Polled<readonly RepairJob[]> }) {
  const jobs = polled.value ?? [];
  const count = jobs.length > ROWS_MAX ? `newest ${ROWS_MAX}` : String(jobs.length);
  return (
    <Panel
      title="Repairs"
      className="repairs"
      aside={<span className="panel-note">{polled.value ? count : ""}</span>}
    >
      {jobs.length > 0 ? (
        <RecordTable columns={COLUMNS}>
          {jobs.slice(0, ROWS_MAX).map((job) => (
            <RepairRow key={job.repairId} job={job} />
          ))}
        </RecordTable>
      ) : (
        <EmptyPanel polled={polled} empty="No repairs yet." />
      )}
    </Panel>
  );
}

function RepairRow({ job }: { readonly job: RepairJob }) {
  const { startedTimeNs, endedTimeNs, filledCount, holeCount, tradeCount } = job;
  const tookMs = Number((endedTimeNs - startedTimeNs) / 1_000_000n);
  return (
    <tr data-testid="repair-row" title={`${job.repairId}\n${job.detail}`}>
      <td>{startedTimeNs === 0n ? "not yet" : formatDateTime(startedTimeNs)}</td>
      <td className="state">
        <JobState job={job} />
      </td>
      <td className="number">
        {formatCount(filledCount)} / {formatCount(holeCount)}
      </td>
      <td className="number">{formatCount(tradeCount)}</td>
      <td className="number">
        {startedTimeNs === 0n || endedTimeNs === 0n ? "—" : formatMillis(tookMs)}
      </td>
    </tr>
  );
}
