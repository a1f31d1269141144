import { type ReactNode, useEffect, useState } from "react";

import { failureText } from "../api/failure";
import { formatRoute, go, type Route } from "../route";
import { useFrameStore } from "../state/frameStore";
import { useRunning } from "../state/running";
import { pollVenues, type Venue } from "./venues";

interface VenueGateProps {
  /** From the address. Empty: the first suitable venue. */
  readonly venue: string;
  readonly routeTo: (venue: string) => Route;
  /** Which venues the page is for. */
  readonly suits?: (venue: Venue) => boolean;
  /** Text for an unsuitable venue, for example "has no trading account". */
  readonly unsuited?: string;
  readonly children: (venue: Venue, venues: readonly Venue[]) => ReactNode;
}

/** Finds the venue of the address, and shows a message while it is unavailable. */
export function VenueGate(props: VenueGateProps) {
  const { routeTo, suits = anyVenue, unsuited = "", children } = props;
  const [poll] = useState(pollVenues);
  useRunning(poll);
  const { value, failure } = useFrameStore(poll.state);
  const venues = value?.filter(suits);
  const first = venues?.[0]?.id;
  useEffect(() => {
    if (props.venue === "" && first !== undefined) go(routeTo(first), true);
  }, [props.venue, first, routeTo]);

  const venue = useKept(
    venues?.find(({ id }) => id === props.venue),
    props.venue,
  );
  if (venue) return children(venue, venues ?? [venue]);
  let text = "Looking for venues …";
  if (failure) text = `The registry does not answer. ${failureText(failure)}`;
  else if (value?.length === 0) text = "No venue is registered yet. Waiting for one to start …";
  else if (value?.some(({ id }) => id === props.venue)) text = `“${props.venue}” ${unsuited}.`;
  else if (value && props.venue !== "") {
    text = `Venue “${props.venue}” is not registered. Waiting for it …`;
  } else if (value && first === undefined) text = `Every registered venue ${unsuited}.`;
  return (
    <Notice text={text}>
      {venues?.map(({ id }) => (
        <a key={id} href={formatRoute(routeTo(id))}>
          {id}
        </a>
      ))}
    </Notice>
  );
}

function anyVenue(): boolean {
  return true;
}

/** Keeps the last known venue: after a restart, a registry misses it for a moment. */
function useKept(found: Venue | undefined, id: string): Venue | undefined {
  const [kept, setKept] = useState(found);
  if (found && found !== kept) setKept(found);
  return found ?? (kept?.id === id ? kept : undefined);
}

/** A page with a message only. */
export function Notice(props: { readonly text: string; readonly children?: ReactNode }) {
  return (
    <main className="notice-page">
      <p role="status">{props.text}</p>
      {props.children}
    </main>
  );
}
