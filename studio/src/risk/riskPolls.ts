import { inspector, registry, riskReports } from "../api/transport";
import type { GetStateResponse } from "../gen/venuemesh/inspector/v1/inspector_pb";
import type { Proposal } from "../gen/venuemesh/inspector/v1/proposals_pb";
import type { AccountReconciliation } from "../gen/venuemesh/inspector/v1/reconciliations_pb";
import type {
  ListLimitsResponse,
  PendingSubmission,
  PositionProtection,
  ReportedVerdict,
} from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import { Poll } from "../state/poll";

/** Values move with the prices. What is stored as an event is asked for at once. */
const PAUSE_MS = 3_000;
/** The verdicts change with an event, which says so. */
const VERDICTS_PAUSE_MS = 15_000;
const WORLD_PAUSE_MS = 60_000;
export const VERDICTS_MAX = 50;

export function pollState(): Poll<GetStateResponse> {
  return new Poll((signal) => inspector.getState({}, { signal }), PAUSE_MS);
}

export function pollLimits(): Poll<ListLimitsResponse> {
  return new Poll((signal) => riskReports.listLimits({}, { signal }), PAUSE_MS);
}

export function pollProtections(): Poll<readonly PositionProtection[]> {
  return new Poll(
    async (signal) => (await riskReports.listProtections({}, { signal })).protections,
    PAUSE_MS,
  );
}

export function pollSubmissions(): Poll<readonly PendingSubmission[]> {
  return new Poll(
    async (signal) => (await riskReports.listSubmissions({}, { signal })).submissions,
    PAUSE_MS,
  );
}

export function pollProposals(): Poll<readonly Proposal[]> {
  return new Poll(
    async (signal) => (await inspector.listProposals({}, { signal })).proposals,
    PAUSE_MS,
  );
}

export function pollReconciliations(): Poll<readonly AccountReconciliation[]> {
  return new Poll(
    async (signal) => (await inspector.listReconciliations({}, { signal })).reconciliations,
    PAUSE_MS,
  );
}

/** The newest verdicts. */
export function pollVerdicts(refusedOnly: boolean): Poll<readonly ReportedVerdict[]> {
  const request = { refusedOnly, pageSize: VERDICTS_MAX };
  return new Poll(
    async (signal) => (await riskReports.listVerdicts(request, { signal })).verdicts,
    VERDICTS_PAUSE_MS,
  );
}

/** "simulate", "replay" or "live". */
export function pollWorld(): Poll<string> {
  return new Poll(
    async (signal) => (await registry.listServices({ pageSize: 1 }, { signal })).world,
    WORLD_PAUSE_MS,
  );
}
