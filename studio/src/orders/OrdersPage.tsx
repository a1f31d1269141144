import { useMemo } from "react";

import { failureText } from "../api/failure";
import { Notice, VenueGate } from "../instrument/VenueGate";
import type { Venue } from "../instrument/venues";
import type { OrdersRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import { useRunning } from "../state/running";
import { pollAccounts } from "./accounts";
import { OrdersContent } from "./OrdersContent";

/** Finds out what the address means: which venue, which account. Then shows its room. */
export function OrdersPage({ route }: { readonly route: OrdersRoute }) {
  return (
    <VenueGate
      venue={route.venue}
      routeTo={(venue) => ({ ...route, venue, account: "" })}
      suits={takesOrders}
      unsuited="has no trading account"
    >
      {(venue, venues) => <VenueAccounts key={venue.id} {...{ route, venue, venues }} />}
    </VenueGate>
  );
}

function takesOrders(venue: Venue): boolean {
  return venue.takesOrders;
}

interface VenueAccountsProps {
  readonly route: OrdersRoute;
  readonly venue: Venue;
  readonly venues: readonly Venue[];
}

function VenueAccounts({ route, venue, venues }: VenueAccountsProps) {
  const poll = useMemo(() => pollAccounts(venue.id), [venue.id]);
  useRunning(poll);
  const polled = useFrameStore(poll.state);
  const name = route.account || polled.value?.[0]?.account;
  const onAccount = useMemo(
    () => () => {
      poll.refresh();
    },
    [poll],
  );
  if (name !== undefined && polled.value) {
    const accounts = polled.value;
    return (
      <OrdersContent key={name} {...{ route, venue, venues, polled, accounts, name, onAccount }} />
    );
  }
  let text = `Loading the accounts of ${venue.id} …`;
  if (polled.failure) text = failureText(polled.failure);
  else if (polled.value) text = `${venue.id} has no account.`;
  return <Notice text={text} />;
}
