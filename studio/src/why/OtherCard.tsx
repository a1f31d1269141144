import type { StoredEvent } from "../gen/venuemesh/events/v1/event_pb";
import { EventCard } from "./EventCard";
import { payloadJson, payloadName } from "./payloads";

interface OtherCardProps {
  readonly id: string;
  readonly isChosen: boolean;
  readonly stored: StoredEvent;
}

/** An event of a kind without a card of its own: its name and its content. */
export function OtherCard({ id, isChosen, stored }: OtherCardProps) {
  const { event } = stored;
  if (!event) return null;
  return (
    <EventCard {...{ id, isChosen, stored }} title={payloadName(event)}>
      <pre className="why-json" data-testid="payload-json">
        {payloadJson(event)}
      </pre>
    </EventCard>
  );
}
