import { ledger } from "../api/transport";
import type { GetEquityHistoryResponse } from "../gen/venuemesh/ledger/v1/equity_pb";
import {
  type GetEquityResponse,
  type GetTrialBalanceResponse,
  type ListEntriesResponse,
  type Profit,
  ProfitGrouping,
} from "../gen/venuemesh/ledger/v1/ledger_pb";
import type { LedgerAccount } from "../gen/venuemesh/ledger/v1/postings_pb";
import { Poll } from "../state/poll";
import type { LedgerFeed } from "./ledgerFeed";
import type { Scope } from "./ledgerBalances";
import type { Grouping } from "./profits";

/** The ledger computes these when it is asked; prices move all the time. */
const PAUSE_MS = 3_000;
const HISTORY_POINTS = 240;
export const ENTRIES_PER_PAGE = 50;

const GROUPINGS: Record<Grouping, ProfitGrouping> = {
  strategy: ProfitGrouping.STRATEGY,
  account: ProfitGrouping.ACCOUNT,
  position: ProfitGrouping.POSITION,
};

export function pollProfits(scope: Scope, grouping: Grouping): Poll<readonly Profit[]> {
  const { venue, account } = scope;
  const request = { venue, account, grouping: GROUPINGS[grouping] };
  return new Poll(
    async (signal) => (await ledger.getProfit(request, { signal })).profits,
    PAUSE_MS,
  );
}

/** Balances, and their total in a currency; empty: no total. */
export function pollEquity({ venue, account }: Scope, currency: string): Poll<GetEquityResponse> {
  const request = { venue, account, currency };
  return new Poll((signal) => ledger.getEquity(request, { signal }), PAUSE_MS);
}

/** Equity over a length of time up to now. 0: from the first entry on. */
export function pollEquityHistory(
  { venue, account }: Scope,
  lengthNs: bigint,
): Poll<GetEquityHistoryResponse> {
  return new Poll((signal) => {
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    const startTimeNs = lengthNs === 0n ? 0n : nowNs - lengthNs;
    const request = { venue, account, startTimeNs, points: HISTORY_POINTS };
    return ledger.getEquityHistory(request, { signal });
  }, PAUSE_MS);
}

/** The sums of all entries, added up again only after something was booked: it reads them all. */
export function pollTrialBalance(feed: LedgerFeed): Poll<GetTrialBalanceResponse> {
  let newest: GetTrialBalanceResponse | undefined;
  return new Poll(async (signal) => {
    const known = feed.balances.latest;
    if (!newest || !known.isKnown || known.groupNumber > newest.groupNumber) {
      newest = await ledger.getTrialBalance({}, { signal });
    }
    return newest;
  }, PAUSE_MS);
}

/** A page of the statement of an account, newest first. */
export function pollStatement(
  account: LedgerAccount,
  pageToken: string,
): Poll<ListEntriesResponse> {
  const request = { account, pageToken, newestFirst: true, pageSize: ENTRIES_PER_PAGE };
  return new Poll((signal) => ledger.listEntries(request, { signal }), PAUSE_MS);
}
