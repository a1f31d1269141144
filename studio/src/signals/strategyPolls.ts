import { allPages } from "../api/pages";
import { detector } from "../api/transport";
import type { ExplainResponse, StrategyStatus } from "../gen/venuemesh/detector/v1/detector_pb";
import { Poll } from "../state/poll";
import { type EvaluationHistory, extended, NO_EVALUATIONS } from "./evaluations";
import type { InstanceKey } from "./instances";

const LIST_PAUSE_MS = 2_000;
/** The shortest bars take a second. */
const BAR_PAUSE_MS = 1_000;

/** Every strategy on each of its instruments, and files that could not be used. */
export function pollStrategies(client = detector): Poll<readonly StrategyStatus[]> {
  return new Poll(async (signal) => {
    const pages = await allPages((pageToken) => client.listStrategies({ pageToken }, { signal }));
    return pages.flatMap(({ strategies }) => strategies);
  }, LIST_PAUSE_MS);
}

/** What each rule says now. */
export function pollExplanation(key: InstanceKey, client = detector): Poll<ExplainResponse> {
  return new Poll((signal) => client.explain(key, { signal }), BAR_PAUSE_MS);
}

/** What was computed on the newest bars. Only newer ones are asked for. */
export function pollEvaluations(
  key: InstanceKey,
  client: Pick<typeof detector, "getEvaluations"> = detector,
): Poll<EvaluationHistory> {
  let known = NO_EVALUATIONS;
  return new Poll(async (signal) => {
    const afterTimeNs = known.evaluations.at(-1)?.openTimeNs ?? 0n;
    let answer = await client.getEvaluations({ ...key, afterTimeNs }, { signal });
    if (afterTimeNs > 0n && answer.status?.version !== known.version) {
      // The bars before are those of another version.
      answer = await client.getEvaluations({ ...key, afterTimeNs: 0n }, { signal });
    }
    known = extended(known, answer);
    return known;
  }, BAR_PAUSE_MS);
}
