import type { GetStateResponse } from "../gen/venuemesh/inspector/v1/inspector_pb";
import {
  type AccountReconciliation,
  ReconciliationState,
} from "../gen/venuemesh/inspector/v1/reconciliations_pb";
import type {
  ListLimitsResponse,
  PendingSubmission,
  PositionProtection,
} from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import type { Polled } from "../state/poll";
import { formatCount } from "../ui/format";
import { Stat } from "../ui/Stat";
import { shortText } from "../why/bytes";
import { nearnessOf } from "./limits";
import { meshMode, modeText, modeTone } from "./modes";
import { countUnprotected } from "./protections";

interface RiskBarProps {
  readonly state: Polled<GetStateResponse>;
  readonly limits: Polled<ListLimitsResponse>;
  readonly protections: Polled<readonly PositionProtection[]>;
  readonly reconciliations: Polled<readonly AccountReconciliation[]>;
  readonly submissions: Polled<readonly PendingSubmission[]>;
}

/** The mode of the mesh, and the counts of what needs a person. */
export function RiskBar(props: RiskBarProps) {
  const { state } = props;
  const mode = meshMode(state.value);
  return (
    <div className="instrument-bar">
      <strong
        className="mode-mark large"
        data-testid="mesh-mode"
        data-tone={mode === undefined ? "none" : modeTone(mode)}
        title="Mode of the mesh"
      >
        <i className="lamp" aria-hidden="true" />
        {mode === undefined ? "Mode not known" : `Mesh is ${modeText(mode)}`}
      </strong>
      <div className="data-stats">
        {countsOf(props).map(([label, count, valueId, title]) => (
          <Stat
            key={label}
            {...{ label, valueId, title }}
            value={count === undefined ? "—" : formatCount(count)}
            {...(count !== undefined && count > 0 ? { tone: "high" as const } : {})}
          />
        ))}
      </div>
      {state.value && (
        <div className="data-stats risk-policy">
          <Stat
            label="Policy"
            value={shortText(state.value.policyVersion)}
            title={`SHA-256 of the policy: ${state.value.policyVersion}`}
            valueId="policy-version"
          />
        </div>
      )}
    </div>
  );
}

type Count = readonly [label: string, count: number | undefined, valueId: string, title: string];

function countsOf(props: RiskBarProps): readonly Count[] {
  const { limits, protections, reconciliations, submissions } = props;
  const uses = limits.value?.limits;
  const differing = reconciliations.value?.filter(
    (one) => one.state === ReconciliationState.DIFFERS,
  );
  return [
    [
      "Limits reached",
      uses?.filter((one) => nearnessOf(one) === "beyond").length,
      "limits-reached",
      "Limits whose value is beyond them",
    ],
    [
      "Values not known",
      uses?.filter((one) => nearnessOf(one) === "unknown").length,
      "limits-unknown",
      "A value that is not known blocks the entries that it limits",
    ],
    [
      "Without a stop",
      protections.value && countUnprotected(protections.value),
      "unprotected-count",
      "Positions of strategies that have no stop",
    ],
    [
      "Accounts that differ",
      differing?.length,
      "differing-count",
      "Venue, ledger and inspector lastingly differ; the account stands down",
    ],
    [
      "Outcome not known",
      submissions.value?.length,
      "pending-count",
      "Approved orders whose outcome is not known yet",
    ],
  ];
}
