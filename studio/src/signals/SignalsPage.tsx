import { useMemo, useState } from "react";

import { failureText } from "../api/failure";
import type { StrategyStatus } from "../gen/venuemesh/detector/v1/detector_pb";
import { Notice } from "../instrument/VenueGate";
import type { SignalsRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import { type Polled, polledState } from "../state/poll";
import { useRunning } from "../state/running";
import { ConnectionState } from "../ui/ConnectionState";
import { TopStatus } from "../ui/TopStatus";
import { chosenInstance, missingText } from "./instances";
import { RulesPanel } from "./RulesPanel";
import { SignalChart } from "./SignalChart";
import { SignalsBar } from "./SignalsBar";
import { signalRows, timelineFeed } from "./signalTimeline";
import { StrategiesPanel } from "./StrategiesPanel";
import { pollEvaluations, pollExplanation, pollStrategies } from "./strategyPolls";
import { TimelinePanel } from "./TimelinePanel";

/** What the strategies do, what each rule says, and the signals. */
export function SignalsPage({ route }: { readonly route: SignalsRoute }) {
  const [poll] = useState(() => pollStrategies());
  useRunning(poll);
  const strategies = useFrameStore(poll.state);
  const { value, failure } = strategies;
  if (!value) {
    const text = failure
      ? `The detector does not answer. ${failureText(failure)}`
      : "Waiting for the detector …";
    return <Notice text={text} />;
  }
  const chosen = chosenInstance(value, route);
  if (chosen) {
    const { strategy, venue, symbol } = chosen;
    return <Instance key={`${strategy}/${venue}/${symbol}`} {...{ strategies, chosen }} />;
  }
  return (
    <main className="signals" data-testid="signals-room">
      <TopStatus>
        <ConnectionState streams={[polledState(strategies)]} />
      </TopStatus>
      <p className="signals-nothing" role="status" data-testid="signals-nothing">
        {missingText(value, route)}
      </p>
      {value.length > 0 && <StrategiesPanel {...{ strategies, chosen }} />}
    </main>
  );
}

interface InstanceProps {
  readonly strategies: Polled<readonly StrategyStatus[]>;
  readonly chosen: StrategyStatus;
}

/** One strategy on one instrument. */
function Instance({ strategies, chosen }: InstanceProps) {
  const { strategy, venue, symbol } = chosen;
  const key = useMemo(() => ({ strategy, venue, symbol }), [strategy, venue, symbol]);
  const feeds = useInstance(key);
  const explained = useFrameStore(feeds.explanation.state);
  const evaluated = useFrameStore(feeds.evaluations.state);
  const timeline = useFrameStore(feeds.timeline.value);
  const stream = useFrameStore(feeds.timeline.state);
  const rows = useMemo(() => timeline && signalRows(timeline), [timeline]);
  const states = [strategies, explained, evaluated].map(polledState);
  return (
    <main className="signals" data-testid="signals-room">
      <TopStatus>
        <ConnectionState streams={[...states, stream]} />
      </TopStatus>
      <SignalsBar {...{ strategies, chosen, explained }} />
      <div className="signals-body">
        <div className="signals-main">
          <SignalChart key={chosen.interval} {...{ chosen, evaluated }} signals={rows} />
          <RulesPanel {...{ explained, evaluated }} signals={rows} />
        </div>
        <div className="signals-side">
          <StrategiesPanel {...{ strategies, chosen }} />
          <TimelinePanel {...{ timeline, stream }} />
        </div>
      </div>
    </main>
  );
}

type Key = Pick<StrategyStatus, "strategy" | "venue" | "symbol">;

/** What is asked about an instance while the page is open. */
function useInstance(key: Key) {
  const explanation = useMemo(() => pollExplanation(key), [key]);
  const evaluations = useMemo(() => pollEvaluations(key), [key]);
  const timeline = useMemo(() => timelineFeed(key), [key]);
  useRunning(explanation);
  useRunning(evaluations);
  useRunning(timeline);
  return { explanation, evaluations, timeline };
}
