import {
  type DecisionMade,
  DecisionOutcome,
  DecisionStage,
  type ExecutionIntent,
  type Fact,
} from "../gen/venuemesh/events/v1/decisions_pb";
import type { StoredEvent } from "../gen/venuemesh/events/v1/event_pb";
import { formatDateTime, formatTime } from "../ui/format";
import { ChecksTable } from "./ChecksTable";
import { enumText, scoreText } from "./enumText";
import { EventCard } from "./EventCard";
import { Facts } from "./Facts";
import { intentText } from "./payloads";
import { stageNote } from "./stageNotes";
import { UnitValue } from "./UnitValue";

interface DecisionCardProps {
  readonly id: string;
  readonly isChosen: boolean;
  readonly stored: StoredEvent;
  readonly decision: DecisionMade;
}

/** What the advisor decided: its stages with their checks, what it knew, and the order it wants. */
export function DecisionCard({ id, isChosen, stored, decision }: DecisionCardProps) {
  const { outcome } = decision;
  const good = outcome === DecisionOutcome.INTENT_ISSUED;
  return (
    <EventCard
      {...{ id, isChosen, stored }}
      title="Decision"
      aside={
        <strong className={good ? "up" : "down"}>
          {enumText(DecisionOutcome, outcome) || "no outcome"}
        </strong>
      }
    >
      <DecisionContent decision={decision} />
    </EventCard>
  );
}

/** The wanted order, each stage with its checks, and the facts. */
export function DecisionContent({ decision }: { readonly decision: DecisionMade }) {
  const { intent, stages, facts, calibration, synthesis } = decision;
  return (
    <>
      {intent ? <Intent intent={intent} /> : <p className="faint">No order is wanted.</p>}
      {stages.length > 0 && (
        <ChecksTable
          groups={stages.map(({ stage, checks, skippedReason }, place) => [
            `${place + 1}. ${enumText(DecisionStage, stage)}`,
            checks,
            stageNote(stage, skippedReason, calibration, synthesis),
          ])}
        />
      )}
      {facts.length > 0 && <KnownFacts facts={facts} />}
    </>
  );
}

function Intent({ intent }: { readonly intent: ExecutionIntent }) {
  return (
    <>
      <p className="why-sentence">{intentText(intent)}</p>
      <Facts
        facts={[
          ["Where", `${intent.venue}/${intent.account}`],
          ["Reference price", intent.referencePrice],
          ["Stop", intent.stopPrice],
          ["Target", intent.targetPrice],
          ["Part to close", intent.reduceFraction],
          ["Conviction", scoreText(intent.conviction)],
          ["Expires", intent.expiresTimeNs === 0n ? "" : formatDateTime(intent.expiresTimeNs)],
          ["Because", intent.reasons.join("; ")],
        ]}
      />
    </>
  );
}

function KnownFacts({ facts }: { readonly facts: readonly Fact[] }) {
  return (
    <details className="why-known">
      <summary>{facts.length} facts were known</summary>
      <table className="why-table">
        <tbody>
          {facts.map(({ factId, value, unit, timeNs }) => (
            <tr key={factId} data-testid="fact-row">
              <td>{factId}</td>
              <td className="number">
                <UnitValue value={value} unit={unit} withUnit />
              </td>
              <td className="number faint">{timeNs === 0n ? "" : formatTime(timeNs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
