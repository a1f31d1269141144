import { useMemo, useState } from "react";

import { useFrameStore } from "../state/frameStore";
import { polledState } from "../state/poll";
import { useRunning } from "../state/running";
import { ConnectionState } from "../ui/ConnectionState";
import { TopStatus } from "../ui/TopStatus";
import { CapitalUsePanel } from "./CapitalUsePanel";
import { CostsPanel } from "./CostsPanel";
import { LimitsPanel } from "./LimitsPanel";
import { ModesPanel } from "./ModesPanel";
import { PositionsPanel } from "./PositionsPanel";
import { ProposalsPanel } from "./ProposalsPanel";
import { ReconciliationPanel } from "./ReconciliationPanel";
import { RiskBar } from "./RiskBar";
import { RiskFeed } from "./riskFeed";
import {
  pollLimits,
  pollProposals,
  pollProtections,
  pollReconciliations,
  pollState,
  pollSubmissions,
  pollVerdicts,
} from "./riskPolls";
import { SubmissionsPanel } from "./SubmissionsPanel";
import { VerdictsPanel } from "./VerdictsPanel";

/** How the mesh stands to its limits: modes, verdicts, capital, stops and reconciliation. */
export function RiskPage() {
  const [refusedOnly, setRefusedOnly] = useState(false);
  const { feed, polls, verdictsPoll } = useRisk(refusedOnly);
  const stream = useFrameStore(feed.state);
  const state = useFrameStore(polls.state.state);
  const limits = useFrameStore(polls.limits.state);
  const protections = useFrameStore(polls.protections.state);
  const reconciliations = useFrameStore(polls.reconciliations.state);
  const submissions = useFrameStore(polls.submissions.state);
  const proposals = useFrameStore(polls.proposals.state);
  const verdicts = useFrameStore(verdictsPoll.state);
  const reports = [limits, protections, reconciliations, submissions, proposals, verdicts];
  const polled = [state, ...reports];
  const isStale = polled.some(({ failure }) => failure !== undefined);
  return (
    <main className="risk" data-testid="risk-room" data-stale={isStale}>
      <TopStatus>
        <ConnectionState streams={[stream, ...polled.map(polledState)]} />
      </TopStatus>
      <RiskBar {...{ state, limits, protections, reconciliations, submissions }} />
      <div className="risk-body">
        <div className="risk-main">
          <LimitsPanel polled={limits} />
          <VerdictsPanel polled={verdicts} {...{ refusedOnly }} onRefusedOnly={setRefusedOnly} />
          <CapitalUsePanel />
          <CostsPanel />
        </div>
        <div className="risk-side">
          <ModesPanel
            polled={state}
            places={[...(protections.value ?? []), ...(reconciliations.value ?? [])]}
            onChange={() => {
              polls.state.refresh();
            }}
          />
          <ProposalsPanel
            polled={proposals}
            onChange={() => {
              polls.proposals.refresh();
            }}
          />
          <PositionsPanel polled={protections} state={state.value} />
          <ReconciliationPanel polled={reconciliations} />
          <SubmissionsPanel polled={submissions} />
        </div>
      </div>
    </main>
  );
}

/** Active while the page is open. An event of risk asks again for everything at once. */
function useRisk(refusedOnly: boolean) {
  const [polls] = useState(() => ({
    state: pollState(),
    limits: pollLimits(),
    protections: pollProtections(),
    reconciliations: pollReconciliations(),
    submissions: pollSubmissions(),
    proposals: pollProposals(),
  }));
  const verdictsPoll = useMemo(() => pollVerdicts(refusedOnly), [refusedOnly]);
  const feed = useMemo(
    () =>
      new RiskFeed(() => {
        for (const poll of [...Object.values(polls), verdictsPoll]) poll.refresh();
      }),
    [polls, verdictsPoll],
  );
  useRunning(feed);
  useRunning(polls.state);
  useRunning(polls.limits);
  useRunning(polls.protections);
  useRunning(polls.reconciliations);
  useRunning(polls.submissions);
  useRunning(polls.proposals);
  useRunning(verdictsPoll);
  return { feed, polls, verdictsPoll };
}
