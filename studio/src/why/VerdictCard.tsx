import type { StoredEvent } from "../gen/venuemesh/events/v1/event_pb";
import { TradingMode, Verdict, type VerdictGiven } from "../gen/venuemesh/events/v1/risk_pb";
import { shortText } from "./bytes";
import { ChecksTable } from "./ChecksTable";
import { enumText } from "./enumText";
import { EventCard } from "./EventCard";
import { Facts } from "./Facts";

interface VerdictCardProps {
  readonly id: string;
  readonly isChosen: boolean;
  readonly stored: StoredEvent;
  readonly given: VerdictGiven;
}

/** What the inspector said, with every limit that it looked at. */
export function VerdictCard({ id, isChosen, stored, given }: VerdictCardProps) {
  const { verdict, checks, policyVersion, mode, isReduction, orders } = given;
  const keys = [
    ...new Set(orders.map(({ keyId, fencingEpoch }) => `${keyId}, epoch ${fencingEpoch}`)),
  ];
  return (
    <EventCard
      {...{ id, isChosen, stored }}
      title="Verdict"
      aside={
        <strong className={verdict === Verdict.ALLOW ? "up" : "down"}>
          {enumText(Verdict, verdict) || "no verdict"}
        </strong>
      }
    >
      <Facts
        facts={[
          ["Mode", enumText(TradingMode, mode)],
          ["Reduces a position", isReduction ? "yes, so no limit blocks it" : "no"],
          ["Approved orders", String(orders.length)],
          ["Signed with key", keys.join("; ")],
          [
            "Policies",
            <code key="policies" title={policyVersion}>
              {shortText(policyVersion)}
            </code>,
          ],
        ]}
      />
      {checks.length > 0 ? (
        <ChecksTable groups={[["", checks, ""]]} />
      ) : (
        <p className="faint">No limit was looked at.</p>
      )}
    </EventCard>
  );
}
