import { type ReactNode, useEffect, useMemo, useState } from "react";

import { failureText } from "../api/failure";
import type { Instrument } from "../gen/venuemesh/common/v1/types_pb";
import { formatRoute, go, type InstrumentRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import type { Polled } from "../state/poll";
import { useRunning } from "../state/running";
import { type Instruments, InstrumentList } from "./instruments";
import { pollStreamed, pollVenues, type Venue } from "./venues";

/** Which instrument a room is about, and what else there is. */
export interface Place {
  readonly venues: readonly Venue[];
  readonly venue: Venue;
  readonly symbol: string;
  readonly instruments: Instruments;
  /** Undefined while it is not loaded, or when the venue does not list it. */
  readonly instrument: Instrument | undefined;
  /** Native symbols. Undefined while they are not known. */
  readonly streamed: ReadonlySet<string> | undefined;
}

interface InstrumentPageProps {
  readonly route: InstrumentRoute;
  /** The room of the instrument, with the symbol as its key. */
  readonly room: (place: Place) => ReactNode;
}

/** Finds out what the address means: which venue, which instrument. Then shows its room. */
export function InstrumentPage({ route, room }: InstrumentPageProps) {
  const [poll] = useState(pollVenues);
  useRunning(poll);
  const { value: venues, failure } = useFrameStore(poll.state);
  const first = venues?.[0]?.id;
  useEffect(() => {
    if (route.venue === "" && first !== undefined) go({ ...route, venue: first }, true);
  }, [route, first]);

  const venue = useKept(
    venues?.find(({ id }) => id === route.venue),
    route.venue,
  );
  if (venue) {
    return <VenuePage key={venue.id} {...{ route, room, venue }} venues={venues ?? [venue]} />;
  }
  let text = "Looking for venues …";
  if (failure) text = `The registry does not answer. ${failureText(failure)}`;
  else if (venues?.length === 0) text = "No venue is registered yet. Waiting for one to start …";
  else if (venues && route.venue !== "") {
    text = `Venue “${route.venue}” is not registered. Waiting for it …`;
  }
  return (
    <Notice text={text}>
      {venues?.map(({ id }) => (
        <a key={id} href={formatRoute({ ...route, venue: id, symbol: "" })}>
          {id}
        </a>
      ))}
    </Notice>
  );
}

/** The venue as last seen: a registry that restarts forgets it for a moment, its feed goes on. */
function useKept(found: Venue | undefined, id: string): Venue | undefined {
  const [kept, setKept] = useState(found);
  if (found && found !== kept) setKept(found);
  return found ?? (kept?.id === id ? kept : undefined);
}

interface VenuePageProps extends InstrumentPageProps {
  readonly venues: readonly Venue[];
  readonly venue: Venue;
}

function VenuePage({ route, room, venues, venue }: VenuePageProps) {
  const list = useMemo(() => new InstrumentList(venue.id), [venue.id]);
  const poll = useMemo(() => pollStreamed(venue.serviceId), [venue.serviceId]);
  useRunning(list);
  useRunning(poll);
  const instruments = useFrameStore(list.state);
  const streamed = useFrameStore(poll.state);
  const symbol = route.symbol || firstSymbol(instruments, streamed);
  useEffect(() => {
    if (route.symbol === "" && symbol !== "") go({ ...route, symbol }, true);
  }, [route, symbol]);
  const instrument = useMemo(
    () => instruments.list.find((candidate) => candidate.symbol === symbol),
    [instruments, symbol],
  );
  if (symbol === "") {
    const { failure } = instruments;
    const text = failure ? failureText(failure) : `Loading the instruments of ${venue.id} …`;
    return <Notice text={text} />;
  }
  return room({ venues, venue, symbol, instruments, instrument, streamed: streamed.value });
}

/** What is streamed comes first, because there is something to see; otherwise what is listed. */
function firstSymbol(instruments: Instruments, streamed: Polled<ReadonlySet<string>>): string {
  const [first] = streamed.value ?? [];
  if (first !== undefined) return first;
  return streamed.value || streamed.failure ? (instruments.list[0]?.symbol ?? "") : "";
}

function Notice({ text, children }: { readonly text: string; readonly children?: ReactNode }) {
  return (
    <main className="notice-page">
      <p role="status">{text}</p>
      {children}
    </main>
  );
}
