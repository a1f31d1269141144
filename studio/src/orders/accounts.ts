import type { Account } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";
import { toVenue, tradeFlow } from "../api/transport";
import { Poll } from "../state/poll";

const PAUSE_MS = 5_000;

/** Polls the accounts of a venue and their states. */
export function pollAccounts(venue: string, client = tradeFlow): Poll<readonly Account[]> {
  return new Poll(
    async (signal) => (await client.listAccounts({ venue }, toVenue(venue, signal))).accounts,
    PAUSE_MS,
  );
}
