import { useMemo, useState } from "react";

import { failureText } from "../api/failure";
import { Notice } from "../instrument/VenueGate";
import type { CapitalRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import { polledState } from "../state/poll";
import { useRunning } from "../state/running";
import { ConnectionState } from "../ui/ConnectionState";
import { TopStatus } from "../ui/TopStatus";
import { CapitalBar } from "./CapitalBar";
import { EquityPanel } from "./EquityPanel";
import { HoldingsPanel } from "./HoldingsPanel";
import { LedgerFeed } from "./ledgerFeed";
import { pollEquity, pollEquityHistory, pollProfits, pollTrialBalance } from "./ledgerPolls";
import { ProfitPanel } from "./ProfitPanel";
import type { Grouping } from "./profits";
import { RANGES, type Range } from "./ranges";
import { StatementPanel } from "./StatementPanel";
import { TrialBalancePanel } from "./TrialBalancePanel";
import { chosenAsset } from "./assets";

/** What the accounts have and have earned, from the ledger. */
export function CapitalPage({ route }: { readonly route: CapitalRoute }) {
  const { venue, account } = route;
  const scope = useMemo(() => ({ venue, account }), [venue, account]);
  const [grouping, setGrouping] = useState<Grouping>("strategy");
  const [range, setRange] = useState<Range>("all");
  const [picked, pick] = useState("");
  const { feed, polls } = useLedger(scope, grouping, range);
  const stream = useFrameStore(feed.state);
  const known = useFrameStore(feed.balances);
  const profits = useFrameStore(polls.profits.state);
  const history = useFrameStore(polls.history.state);
  const trial = useFrameStore(polls.trial.state);
  const asset = chosenAsset(picked, profits.value, history.value);
  const equityPoll = useMemo(() => pollEquity(scope, asset), [scope, asset]);
  useRunning(equityPoll);
  const equity = useFrameStore(equityPoll.state);
  if (!known.isKnown) {
    const text = "failure" in stream ? failureText(stream.failure) : "Waiting for the ledger …";
    return <Notice text={text} />;
  }
  const states = [stream, ...[profits, equity, history, trial].map(polledState)];
  const shown = { known, profits, history, asset };
  return (
    <main className="capital" data-testid="capital-room" data-stale={stream.phase !== "live"}>
      <TopStatus>
        <ConnectionState streams={states} />
      </TopStatus>
      <CapitalBar {...{ route, ...shown }} onAsset={pick} />
      <div className="capital-body">
        <div className="capital-main">
          <EquityPanel key={asset} {...{ ...shown, range }} onRange={setRange} />
          <ProfitPanel {...{ profits, grouping }} onGrouping={setGrouping} />
          <StatementPanel key={`${venue}/${account}`} {...{ known, scope, asset }} />
        </div>
        <div className="capital-side">
          <HoldingsPanel {...{ equity, known }} />
          <TrialBalancePanel polled={trial} />
        </div>
      </div>
    </main>
  );
}

/** The stream of the ledger and its computed values, active while the page is open. */
function useLedger(scope: CapitalScope, grouping: Grouping, range: Range) {
  const [feed] = useState(() => new LedgerFeed());
  const profits = useMemo(() => pollProfits(scope, grouping), [scope, grouping]);
  const history = useMemo(() => pollEquityHistory(scope, RANGES[range]), [scope, range]);
  const trial = useMemo(() => pollTrialBalance(feed), [feed]);
  useRunning(feed);
  useRunning(profits);
  useRunning(history);
  useRunning(trial);
  return { feed, polls: { profits, history, trial } };
}

type CapitalScope = Pick<CapitalRoute, "venue" | "account">;
