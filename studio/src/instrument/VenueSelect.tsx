import { useMemo, useRef } from "react";

import { useShortcuts } from "../ui/shortcuts";
import type { Venue } from "./venues";

interface VenueSelectProps {
  readonly venue: string;
  readonly venues: readonly Venue[];
  readonly onChoose: (venue: string) => void;
}

/** The selected venue and the list of venues. */
export function VenueSelect({ venue, venues, onChoose }: VenueSelectProps) {
  const select = useRef<HTMLSelectElement>(null);
  useShortcuts(useMemo(() => ({ v: () => select.current?.focus() }), []));
  return (
    <select
      ref={select}
      className="venue-select"
      data-testid="venue-select"
      aria-label="Venue"
      value={venue}
      onChange={(event) => {
        onChoose(event.target.value);
      }}
    >
      {!venues.some(({ id }) => id === venue) && <option value={venue}>{venue} (away)</option>}
      {venues.map(({ id, isServing }) => (
        <option key={id} value={id}>
          {isServing ? id : `${id} (away)`}
        </option>
      ))}
    </select>
  );
}
