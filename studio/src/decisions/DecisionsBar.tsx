import type {
  RegimeCalibration,
  ReportedDecision,
} from "../gen/venuemesh/advisor/v1/decision_reports_pb";
import type { StrategyStatus } from "../gen/venuemesh/detector/v1/detector_pb";
import { DecisionOutcome } from "../gen/venuemesh/events/v1/decisions_pb";
import { type DecisionsRoute, go } from "../route";
import type { Polled } from "../state/poll";
import { formatCount } from "../ui/format";
import { Stat } from "../ui/Stat";
import { strategiesOf, wonText } from "./decisionText";

interface DecisionsBarProps {
  readonly route: DecisionsRoute;
  readonly decisions: Polled<readonly ReportedDecision[]>;
  readonly calibrations: Polled<readonly RegimeCalibration[]>;
  /** Those that run. */
  readonly strategies: Polled<readonly StrategyStatus[]>;
}

/** Of which strategy, and how its newest decisions have ended. */
export function DecisionsBar({ route, decisions, calibrations, strategies }: DecisionsBarProps) {
  const rows = decisions.value ?? [];
  const maps = (calibrations.value ?? []).flatMap(({ map }) => (map ? [map] : []));
  const names = strategiesOf(rows, maps, strategies.value ?? [], [route]);
  const issued = rows.filter(({ outcome }) => outcome === DecisionOutcome.INTENT_ISSUED);
  return (
    <div className="instrument-bar">
      <select
        className="venue-select"
        data-testid="decisions-strategy"
        aria-label="Strategy"
        value={route.strategy}
        onChange={(event) => {
          go({ page: "decisions", strategy: event.target.value, eventId: "" });
        }}
      >
        <option value="">All strategies</option>
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
      <div className="data-stats">
        <Stat label="Newest decisions" value={formatCount(rows.length)} />
        <Stat
          label="Intents"
          value={formatCount(issued.length)}
          title="Decisions that want an order"
        />
        <Stat
          label="Won"
          value={wonText(rows)}
          title="Of those whose outcome is known, by recorded bars, before fees"
        />
      </div>
    </div>
  );
}
