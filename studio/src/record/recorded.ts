import { history } from "../api/transport";
import type { DayCoverage, Quality } from "../gen/venuemesh/history/v1/history_pb";
import { Poll } from "../state/poll";
import { calendarStart, DAY_NS } from "./days";

/** Nothing tells when a day or a score has changed; both do so slowly. */
const PAUSE_MS = 15_000;
/** A day of scores, one a minute of each of two windows. */
const SCORES_MAX = 2_880;

/** What was watched of each day of the calendar that ends with this one. */
export function pollCoverage(
  venue: string,
  symbol: string,
  lastDayNs: bigint,
): Poll<readonly DayCoverage[]> {
  const range = { startTimeNs: calendarStart(lastDayNs), endTimeNs: lastDayNs + DAY_NS };
  return new Poll(async (signal) => {
    const { days } = await history.listCoverage({ venue, symbol, range }, { signal });
    return days;
  }, PAUSE_MS);
}

/** The newest scores, oldest first. */
export function pollQuality(venue: string, symbol: string): Poll<readonly Quality[]> {
  const request = { venue, symbol, pageSize: SCORES_MAX };
  return new Poll(async (signal) => {
    const { scores } = await history.listQuality(request, { signal });
    return scores.reverse();
  }, PAUSE_MS);
}
