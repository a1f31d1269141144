import type { ExplainResponse, StrategyStatus } from "../gen/venuemesh/detector/v1/detector_pb";
import { go } from "../route";
import type { Polled } from "../state/poll";
import { formatCount, formatTime } from "../ui/format";
import { Stat } from "../ui/Stat";
import { shortText } from "../why/bytes";
import { scoreText } from "../why/enumText";
import { instancesOf, instanceText } from "./instances";
import { StateMark } from "./StateMark";

interface SignalsBarProps {
  readonly strategies: Polled<readonly StrategyStatus[]>;
  readonly chosen: StrategyStatus;
  readonly explained: Polled<ExplainResponse>;
}

/** Which instance, and what it says now. */
export function SignalsBar({ strategies, chosen, explained }: SignalsBarProps) {
  const instances = instancesOf(strategies.value);
  const { value } = explained;
  return (
    <div className="instrument-bar">
      <select
        className="venue-select"
        data-testid="signals-instance"
        aria-label="Strategy and instrument"
        value={instanceText(chosen)}
        onChange={(event) => {
          const found = instances.find((one) => instanceText(one) === event.target.value);
          if (!found) return;
          const { strategy, venue, symbol } = found;
          go({ page: "signals", strategy, venue, symbol });
        }}
      >
        {instances.map((one) => (
          <option key={instanceText(one)}>{instanceText(one)}</option>
        ))}
      </select>
      <StateMark state={chosen.state} detail={chosen.detail} />
      <div className="data-stats">
        <Stat
          label="Score"
          value={value?.score === undefined ? "not known" : scoreText(value.score)}
          title="Weighted mean of the scores of the rules, from -1 (sell) to 1 (buy)"
          valueId="signals-score"
        />
        <Stat
          label="Threshold"
          value={value ? `±${scoreText(value.threshold)}` : "not known"}
          title="How far from 0 the score must be for a signal"
        />
        <Stat
          label="Position"
          value={value && value.positionSize !== "" ? value.positionSize : "not known"}
          title="By the fills of its own orders; negative if short"
        />
        <Stat
          label="Signals"
          value={formatCount(chosen.signals)}
          title="Since the start of the detector"
        />
        <Stat
          label="Newest bar, UTC"
          value={chosen.barCloseTimeNs === 0n ? "none yet" : formatTime(chosen.barCloseTimeNs)}
          title={`End of its newest bar of ${chosen.interval}`}
        />
        <Stat label="Account" value={chosen.account} />
        <Stat label="Version" value={shortText(chosen.version)} title={chosen.version} />
      </div>
      <p className="signals-why-not" role="status" data-testid="signals-why-not">
        {whyNot(chosen, value)}
      </p>
    </div>
  );
}

/** Why it opens no position now, in a sentence. */
function whyNot({ detail }: StrategyStatus, explained: ExplainResponse | undefined): string {
  if (detail !== "") return `It does not run: ${detail}.`;
  if (!explained) return "";
  if (explained.abstainsBecause !== "") return `Opens nothing now: ${explained.abstainsBecause}.`;
  return "Its rules open a position on this bar.";
}
