import type { ReportedDecision } from "../gen/venuemesh/advisor/v1/decision_reports_pb";
import { DecisionOutcome, type OutcomeObserved } from "../gen/venuemesh/events/v1/decisions_pb";
import { type DecisionsRoute, formatRoute } from "../route";
import { ToneMark } from "../risk/ToneMark";
import type { Polled } from "../state/poll";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatDateTime, formatTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { RecordTable } from "../ui/RecordTable";
import { hexText } from "../why/bytes";
import { EventLink } from "../why/WhyLink";
import { DECISIONS_MAX } from "./decisionPolls";
import {
  blockedStageText,
  convictionText,
  observedText,
  resultText,
  wantText,
  wonWord,
} from "./decisionText";

const COLUMNS = ["Time, UTC", "Strategy", "Wants", "Result", "Conviction", "Outcome", ""];

interface DecisionsPanelProps {
  readonly route: DecisionsRoute;
  readonly decisions: Polled<readonly ReportedDecision[]>;
  /** Event id of the explained decision, hexadecimal. */
  readonly chosen: string;
}

/** The newest decisions, with the check that has blocked and the observed outcome. */
export function DecisionsPanel({ route, decisions, chosen }: DecisionsPanelProps) {
  const rows = decisions.value ?? [];
  const note = rows.length === DECISIONS_MAX ? `newest ${rows.length}` : rows.length;
  return (
    <Panel title="Decisions" aside={<span className="panel-note">{note}</span>}>
      {rows.length === 0 ? (
        <EmptyPanel polled={decisions} empty="Nothing was decided yet. Decisions appear here." />
      ) : (
        <RecordTable columns={COLUMNS}>
          {rows.map((decision) => (
            <DecisionRow key={hexText(decision.eventId)} {...{ route, decision, chosen }} />
          ))}
        </RecordTable>
      )}
    </Panel>
  );
}

interface DecisionRowProps {
  readonly route: DecisionsRoute;
  readonly decision: ReportedDecision;
  readonly chosen: string;
}

function DecisionRow({ route, decision, chosen }: DecisionRowProps) {
  const { timeNs, strategy, venue, account, outcome, observed } = decision;
  const eventId = hexText(decision.eventId);
  const tone = outcome === DecisionOutcome.INTENT_ISSUED ? "good" : "warn";
  return (
    <tr data-testid="decision-row" data-chosen={eventId === chosen}>
      <td title={formatDateTime(timeNs)}>
        <a className="why-link" href={formatRoute({ ...route, eventId })}>
          {formatTime(timeNs)}
        </a>
      </td>
      <th scope="row">{strategy}</th>
      <td title={`${venue}/${account}`}>{wantText(decision)}</td>
      <td title={blockedStageText(decision)}>
        <ToneMark tone={tone}>{resultText(decision)}</ToneMark>
      </td>
      <td>{convictionText(decision)}</td>
      <td>
        {observed && (
          <span className={outcomeTone(observed)} title={observedText(observed)}>
            {wonWord(observed)}
          </span>
        )}
      </td>
      <td>
        <EventLink eventId={decision.eventId} />
      </td>
    </tr>
  );
}

function outcomeTone({ isWon }: OutcomeObserved): string {
  if (isWon === undefined) return "faint";
  return isWon ? "up" : "down";
}
