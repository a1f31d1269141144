import { failureText } from "../api/failure";
import { Repair, type RepairJob, RepairState } from "../gen/venuemesh/repair/v1/repair_pb";
import { useRefusal } from "../session/refusal";
import { useFrameStore } from "../state/frameStore";
import { formatCount } from "../ui/format";
import { Panel } from "../ui/Panel";
import { DAY_NS, dateText } from "./days";
import { ALL_HOLES, hasEnded, progressOf, type RepairFeed, stateLabel } from "./repairs";

interface RepairPanelProps {
  readonly feed: RepairFeed;
  /** Only holes of this day. */
  readonly chosenDayNs: bigint | undefined;
}

/** Starts a repair and shows its progress. */
export function RepairPanel({ feed, chosenDayNs }: RepairPanelProps) {
  const job = useFrameStore(feed.current);
  const { isWaiting, failure } = useFrameStore(feed.asked);
  const refusal = useRefusal(Repair.method.startRepair);
  const isBusy = isWaiting || (job !== undefined && !hasEnded(job));
  const range =
    chosenDayNs === undefined
      ? ALL_HOLES
      : { startTimeNs: chosenDayNs, endTimeNs: chosenDayNs + DAY_NS };
  return (
    <Panel
      title="Repair"
      className="repair"
      aside={
        <button
          className="text-button"
          data-testid="repair-start"
          title={refusal}
          disabled={refusal !== undefined || isBusy}
          onClick={() => {
            void feed.begin(range);
          }}
        >
          {chosenDayNs === undefined ? "Repair all holes" : `Repair ${dateText(chosenDayNs)}`}
        </button>
      }
    >
      {failure && (
        <p className="repair-failure failed" role="alert">
          {failureText(failure)}
        </p>
      )}
      {job ? (
        <JobProgress job={job} feed={feed} />
      ) : (
        <p className="empty">
          Trades that are missing are fetched from the venue’s own history; both ends of a hole have
          to join.
        </p>
      )}
    </Panel>
  );
}

function JobProgress({ job, feed }: { readonly job: RepairJob; readonly feed: RepairFeed }) {
  const stream = useFrameStore(feed.stream);
  const { isWaiting } = useFrameStore(feed.asked);
  const refusal = useRefusal(Repair.method.cancelRepair);
  const part = progressOf(job);
  const isLost = stream?.phase === "reconnecting" || stream?.phase === "error";
  return (
    <div className="job" data-testid="repair-job" data-state={RepairState[job.state].toLowerCase()}>
      <p className="job-head">
        <JobState job={job} />
        <span>{holesText(job)}</span>
        {!hasEnded(job) && (
          <button
            className="outline-button"
            data-testid="repair-cancel"
            title={refusal}
            disabled={refusal !== undefined || isWaiting}
            onClick={() => {
              void feed.cancel(job);
            }}
          >
            Cancel
          </button>
        )}
      </p>
      <div
        className="progress"
        role="progressbar"
        data-testid="repair-progress"
        aria-label="Progress of the repair"
        aria-valuenow={Math.floor(part * 100)}
      >
        <i style={{ width: `${part * 100}%` }} />
      </div>
      <p className="job-facts">
        {formatCount(job.tradeCount)} trades recorded · {formatCount(job.callCount)} calls to the
        venue
        {job.unavailableCount > 0 && ` · ${formatCount(job.unavailableCount)} cannot be filled`}
      </p>
      {job.detail !== "" && <p className="job-detail">{job.detail}</p>}
      {isLost && <p className="failed">{failureText(stream.failure)}</p>}
    </div>
  );
}

/** The state as a coloured label. */
export function JobState({ job }: { readonly job: RepairJob }) {
  return (
    <strong className="job-state" data-state={RepairState[job.state].toLowerCase()}>
      <span className="lamp" aria-hidden="true" />
      {stateLabel(job.state)}
    </strong>
  );
}

function holesText({ holeCount, filledCount }: RepairJob): string {
  if (holeCount === 0) return "no holes";
  return `${formatCount(filledCount)} of ${formatCount(holeCount)} holes filled`;
}
