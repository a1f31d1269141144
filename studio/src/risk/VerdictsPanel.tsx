import type { ReportedVerdict } from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import type { Polled } from "../state/poll";
import { Choice } from "../ui/Choice";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatDateTime, formatTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { RecordTable } from "../ui/RecordTable";
import { hexText } from "../why/bytes";
import { EventLink } from "../why/WhyLink";
import { VERDICTS_MAX } from "./riskPolls";
import {
  checkText,
  orderText,
  refusingChecks,
  verdictText,
  verdictTone,
  whoText,
} from "./verdicts";
import { ToneMark } from "./ToneMark";

const OPTIONS = [
  ["all", "all"],
  ["refused", "refused"],
] as const;
const COLUMNS = ["Time, UTC", "Verdict", "Of", "Order", "Refused by", ""];

interface VerdictsPanelProps {
  readonly polled: Polled<readonly ReportedVerdict[]>;
  readonly refusedOnly: boolean;
  readonly onRefusedOnly: (refusedOnly: boolean) => void;
}

/** The newest verdicts, with the checks that have refused an order. */
export function VerdictsPanel({ polled, refusedOnly, onRefusedOnly }: VerdictsPanelProps) {
  const rows = polled.value ?? [];
  return (
    <Panel
      title="Verdicts"
      className="verdicts"
      aside={
        <>
          <span className="panel-note">
            {rows.length === VERDICTS_MAX ? `newest ${rows.length}` : rows.length}
          </span>
          <Choice
            label="Verdicts"
            options={OPTIONS}
            chosen={refusedOnly ? "refused" : "all"}
            onChoose={(chosen) => {
              onRefusedOnly(chosen === "refused");
            }}
          />
        </>
      }
    >
      {rows.length === 0 ? (
        <EmptyPanel
          polled={polled}
          empty={refusedOnly ? "No order was refused." : "No verdict was given yet."}
        />
      ) : (
        <RecordTable columns={COLUMNS}>
          {rows.map((reported) => (
            <VerdictRow key={hexText(reported.eventId)} reported={reported} />
          ))}
        </RecordTable>
      )}
    </Panel>
  );
}

function VerdictRow({ reported }: { readonly reported: ReportedVerdict }) {
  const { eventId, storedTimeNs } = reported;
  const refused = refusingChecks(reported).map(checkText).join("; ");
  return (
    <tr data-testid="verdict-row" data-verdict={verdictText(reported)}>
      <td title={formatDateTime(storedTimeNs)}>{formatTime(storedTimeNs)}</td>
      <td>
        <ToneMark tone={verdictTone(reported)}>{verdictText(reported)}</ToneMark>
      </td>
      <td>{whoText(reported)}</td>
      <td>{orderText(reported)}</td>
      <td className="detail">
        <span title={refused}>{refused}</span>
      </td>
      <td>
        <EventLink eventId={eventId} />
      </td>
    </tr>
  );
}
