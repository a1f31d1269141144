import type { Account } from "../gen/venuemesh/tradeflow/v1/accounts_pb";
import { allPages } from "../api/pages";
import { toVenue, tradeFlow } from "../api/transport";
import { Poll } from "../state/poll";

const PAUSE_MS = 5_000;

/** Polls the accounts of a venue and their states. */
export function pollAccounts(venue: string, client = tradeFlow): Poll<readonly Account[]> {
  return new Poll(async (signal) => {
    const options = toVenue(venue, signal);
    const pages = await allPages((pageToken) => client.listAccounts({ venue, pageToken }, options));
    return pages.flatMap(({ accounts }) => accounts);
  }, PAUSE_MS);
}
