import { useMemo, useState } from "react";

import type { Place } from "../instrument/InstrumentPage";
import { firstSymbol, InstrumentList } from "../instrument/instruments";
import { pollStreamed, type Venue } from "../instrument/venues";
import { useFrameStore } from "../state/frameStore";
import { useRunning } from "../state/running";

type Chosen = Pick<Place, "symbol" | "instrument" | "instruments" | "streamed">;

/** The instruments of a venue and the selected one; at first an instrument that is streamed. */
export function useListedInstruments(
  venue: Venue,
): Chosen & { readonly pick: (symbol: string) => void } {
  const list = useMemo(() => new InstrumentList(venue.id), [venue.id]);
  const poll = useMemo(() => pollStreamed(venue.serviceId), [venue.serviceId]);
  useRunning(list);
  useRunning(poll);
  const instruments = useFrameStore(list.state);
  const streamed = useFrameStore(poll.state);
  const first = firstSymbol(instruments, streamed);
  const [picked, pick] = useState("");
  // The first selection stays, whatever the venue streams later.
  const [offered, setOffered] = useState("");
  if (offered === "" && first !== "") setOffered(first);
  const symbol = picked || offered;
  const instrument = useMemo(
    () => instruments.list.find((candidate) => candidate.symbol === symbol),
    [instruments, symbol],
  );
  return { symbol, instrument, instruments, streamed: streamed.value, pick };
}
