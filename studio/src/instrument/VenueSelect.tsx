import { useMemo, useRef } from "react";

import { go, type InstrumentRoute } from "../route";
import { useShortcuts } from "../ui/shortcuts";
import type { Venue } from "./venues";

interface VenueSelectProps {
  readonly route: InstrumentRoute;
  readonly venues: readonly Venue[];
}

/** The venue, and the others to choose from. */
export function VenueSelect({ route, venues }: VenueSelectProps) {
  const select = useRef<HTMLSelectElement>(null);
  useShortcuts(useMemo(() => ({ v: () => select.current?.focus() }), []));
  return (
    <select
      ref={select}
      className="venue-select"
      data-testid="venue-select"
      aria-label="Venue"
      value={route.venue}
      onChange={(event) => {
        go({ ...route, venue: event.target.value, symbol: "" });
      }}
    >
      {!venues.some(({ id }) => id === route.venue) && (
        <option value={route.venue}>{route.venue} (away)</option>
      )}
      {venues.map(({ id, isServing }) => (
        <option key={id} value={id}>
          {isServing ? id : `${id} (away)`}
        </option>
      ))}
    </select>
  );
}
