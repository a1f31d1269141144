import { allPages } from "../api/pages";
import { advisor } from "../api/transport";
import type {
  ExplainDecisionResponse,
  GetAttributionResponse,
  RegimeCalibration,
  ReportedDecision,
} from "../gen/venuemesh/advisor/v1/decision_reports_pb";
import { Poll } from "../state/poll";

/** Decisions follow the bars. */
const DECISIONS_PAUSE_MS = 5_000;
/** A decision stays, its outcome comes later. */
const EXPLANATION_PAUSE_MS = 15_000;
const CALIBRATIONS_PAUSE_MS = 15_000;
/** Thousands of events are read for it. */
const ATTRIBUTION_PAUSE_MS = 30_000;
export const DECISIONS_MAX = 100;

/** The newest decisions of a strategy, or of all if it is empty. */
export function pollDecisions(strategy: string): Poll<readonly ReportedDecision[]> {
  const request = { strategy, pageSize: DECISIONS_MAX };
  return new Poll(
    async (signal) => (await advisor.listDecisions(request, { signal })).decisions,
    DECISIONS_PAUSE_MS,
  );
}

/** All that a decision rests on. */
export function pollExplanation(eventId: Uint8Array): Poll<ExplainDecisionResponse> {
  return new Poll(
    (signal) => advisor.explainDecision({ eventId }, { signal }),
    EXPLANATION_PAUSE_MS,
  );
}

/** The maps of all strategies. */
export function pollCalibrations(): Poll<readonly RegimeCalibration[]> {
  return new Poll(async (signal) => {
    const pages = await allPages((pageToken) =>
      advisor.listCalibrations({ pageToken }, { signal }),
    );
    return pages.flatMap(({ calibrations }) => calibrations);
  }, CALIBRATIONS_PAUSE_MS);
}

/** What the results of the last 24 hours are due to. */
export function pollAttribution(strategy: string): Poll<GetAttributionResponse> {
  return new Poll(
    (signal) => advisor.getAttribution({ strategy }, { signal }),
    ATTRIBUTION_PAUSE_MS,
  );
}
