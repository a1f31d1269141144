import { StrategyState } from "../gen/venuemesh/detector/v1/detector_pb";
import { stateText } from "./instances";

interface StateMarkProps {
  readonly state: StrategyState;
  /** Why it does not run. Empty: it runs. */
  readonly detail: string;
}

/** The state of an instance as a lamp and a word. */
export function StateMark({ state, detail }: StateMarkProps) {
  const word = stateText(state);
  return (
    <span className="state-mark" data-state={word} data-testid="strategy-state" title={detail}>
      <i className="lamp" aria-hidden="true" />
      {word}
    </span>
  );
}
