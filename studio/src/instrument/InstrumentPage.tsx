import { type ReactNode, useEffect, useMemo } from "react";

import { failureText } from "../api/failure";
import type { Instrument } from "../gen/venuemesh/common/v1/types_pb";
import { go, type InstrumentRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import { useRunning } from "../state/running";
import { firstSymbol, InstrumentList, type Instruments } from "./instruments";
import { Notice, VenueGate } from "./VenueGate";
import { pollStreamed, type Venue } from "./venues";

/** The instrument of a page, and the venue's other instruments. */
export interface Place {
  readonly venues: readonly Venue[];
  readonly venue: Venue;
  readonly symbol: string;
  readonly instruments: Instruments;
  /** Undefined while it loads, or if the venue does not list it. */
  readonly instrument: Instrument | undefined;
  /** Native symbols. Undefined while they load. */
  readonly streamed: ReadonlySet<string> | undefined;
}

interface InstrumentPageProps {
  readonly route: InstrumentRoute;
  /** Renders the page of the instrument; use the symbol as its key. */
  readonly room: (place: Place) => ReactNode;
}

/** Resolves the venue and the instrument of the address, then shows the page. */
export function InstrumentPage({ route, room }: InstrumentPageProps) {
  return (
    <VenueGate venue={route.venue} routeTo={(venue) => ({ ...route, venue, symbol: "" })}>
      {(venue, venues) => <VenuePage key={venue.id} {...{ route, room, venue, venues }} />}
    </VenueGate>
  );
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
