import { useMemo, useState } from "react";

import type { DecisionsRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import { polledState } from "../state/poll";
import { useRunning } from "../state/running";
import { pollStrategies } from "../signals/strategyPolls";
import { ConnectionState } from "../ui/ConnectionState";
import { TopStatus } from "../ui/TopStatus";
import { hexBytes, hexText } from "../why/bytes";
import { AttributionPanel } from "./AttributionPanel";
import { CalibrationPanel } from "./CalibrationPanel";
import { pollAttribution, pollCalibrations, pollDecisions } from "./decisionPolls";
import { DecisionsBar } from "./DecisionsBar";
import { DecisionsPanel } from "./DecisionsPanel";
import { ExplanationPanel } from "./ExplanationPanel";

/** What the advisor decides, why, and how well its convictions predict. */
export function DecisionsPage({ route }: { readonly route: DecisionsRoute }) {
  const { strategy } = route;
  const [calibrationsPoll] = useState(pollCalibrations);
  const decisionsPoll = useMemo(() => pollDecisions(strategy), [strategy]);
  const attributionPoll = useMemo(() => pollAttribution(strategy), [strategy]);
  const [strategiesPoll] = useState(() => pollStrategies());
  useRunning(strategiesPoll);
  useRunning(calibrationsPoll);
  useRunning(decisionsPoll);
  useRunning(attributionPoll);
  const calibrations = useFrameStore(calibrationsPoll.state);
  const strategies = useFrameStore(strategiesPoll.state);
  const decisions = useFrameStore(decisionsPoll.state);
  const attribution = useFrameStore(attributionPoll.state);
  const newest = decisions.value?.[0];
  const chosen = route.eventId === "" && newest ? hexText(newest.eventId) : route.eventId;
  const states = [decisions, calibrations, attribution].map(polledState);
  return (
    <main className="decisions" data-testid="decisions-room">
      <TopStatus>
        <ConnectionState streams={states} />
      </TopStatus>
      <DecisionsBar {...{ route, decisions, calibrations, strategies }} />
      <div className="decisions-body">
        <div className="decisions-main">
          <DecisionsPanel {...{ route, decisions, chosen }} />
          <AttributionPanel polled={attribution} />
        </div>
        <div className="decisions-side">
          <ExplanationPanel key={chosen} eventId={hexBytes(chosen)} />
          <CalibrationPanel polled={calibrations} strategy={strategy} />
        </div>
      </div>
    </main>
  );
}
