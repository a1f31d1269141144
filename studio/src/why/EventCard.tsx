import type { ReactNode } from "react";

import type { StoredEvent } from "../gen/venuemesh/events/v1/event_pb";
import { formatDateTime, formatTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { hexText, shortText } from "./bytes";

interface EventCardProps {
  readonly title: string;
  /** Undefined: the card is about several events. */
  readonly stored?: StoredEvent | undefined;
  /** The box of the picture that leads here. */
  readonly id: string;
  readonly isChosen: boolean;
  readonly aside?: ReactNode;
  readonly children: ReactNode;
}

/** The facts of an event. */
export function EventCard({ title, stored, id, isChosen, aside, children }: EventCardProps) {
  return (
    <div className="why-card" id={cardId(id)} data-chosen={isChosen}>
      <Panel title={title} aside={aside}>
        <div className="why-card-body">
          {children}
          {stored && <EventFoot stored={stored} />}
        </div>
      </Panel>
    </div>
  );
}

/** Which event it is, when it happened, and when it was stored. */
function EventFoot({ stored }: { readonly stored: StoredEvent }) {
  const { event, storedTimeNs } = stored;
  if (!event) return null;
  const id = hexText(event.eventId);
  const by = event.instance === "" ? event.source : `${event.source}, ${event.instance}`;
  return (
    <p className="why-foot">
      <time title={`${event.timeNs} ns`}>
        {formatDateTime(event.timeNs).slice(0, 10)} {formatTime(event.timeNs)} UTC
      </time>
      <span title={`Stored ${formatDateTime(storedTimeNs)}, ${storedTimeNs} ns`}>
        stored {formatTime(storedTimeNs)}
      </span>
      <span>{by}</span>
      <code title={id}>{shortText(id)}</code>
    </p>
  );
}

/** The id of a card in the page. */
export function cardId(key: string): string {
  return `card-${key}`;
}
