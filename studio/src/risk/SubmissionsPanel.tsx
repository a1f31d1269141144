import type { PendingSubmission } from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import { Operation } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import type { Polled } from "../state/poll";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatCount, formatDateTime, formatTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { RecordTable } from "../ui/RecordTable";
import { hexText } from "../why/bytes";
import { enumText } from "../why/enumText";
import { EventLink } from "../why/WhyLink";

const COLUMNS = ["Approved, UTC", "What", "Orders", "Where", "Approval ends", ""];

interface SubmissionsPanelProps {
  readonly polled: Polled<readonly PendingSubmission[]>;
}

/** Approved orders whose outcome is not known yet. Nothing is sent twice. */
export function SubmissionsPanel({ polled }: SubmissionsPanelProps) {
  const rows = polled.value ?? [];
  return (
    <Panel
      title="Orders in doubt"
      aside={<span className="panel-note">{polled.value && formatCount(rows.length)}</span>}
    >
      {rows.length === 0 ? (
        <EmptyPanel polled={polled} empty="The outcome of every approved order is known." />
      ) : (
        <RecordTable columns={COLUMNS}>
          {rows.map((row) => (
            <SubmissionRow key={hexText(row.verdictId)} row={row} />
          ))}
        </RecordTable>
      )}
    </Panel>
  );
}

function SubmissionRow({ row }: { readonly row: PendingSubmission }) {
  const { approvedTimeNs, expiresTimeNs, operation, isEntry, orders, strategy } = row;
  const { venue, account, symbol, verdictId } = row;
  return (
    <tr data-testid="submission-row">
      <td title={formatDateTime(approvedTimeNs)}>{formatTime(approvedTimeNs)}</td>
      <td title={strategy}>
        {enumText(Operation, operation)} {isEntry && <span className="faint">entry</span>}
      </td>
      <td>{formatCount(orders)}</td>
      <td>
        {symbol}{" "}
        <span className="faint">
          {venue}/{account}
        </span>
      </td>
      <td title="Afterwards nothing is sent any more: the venue is asked for the orders">
        {formatTime(expiresTimeNs)}
      </td>
      <td>
        <EventLink eventId={verdictId} />
      </td>
    </tr>
  );
}
