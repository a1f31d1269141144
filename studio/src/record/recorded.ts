import { allPages } from "../api/pages";
import { history } from "../api/transport";
import type { DayCoverage, Quality } from "../gen/venuemesh/history/v1/history_pb";
import { Poll } from "../state/poll";
import { calendarStart, DAY_NS } from "./days";

/** Days and scores have no stream; both change slowly. */
const PAUSE_MS = 15_000;
/** One day of scores: one a minute for each of two windows. */
const SCORES_MAX = 2_880;

/** The coverage of each day of the calendar that ends with this day. */
export function pollCoverage(
  venue: string,
  symbol: string,
  lastDayNs: bigint,
): Poll<readonly DayCoverage[]> {
  const range = { startTimeNs: calendarStart(lastDayNs), endTimeNs: lastDayNs + DAY_NS };
  return new Poll(async (signal) => {
    const pages = await allPages((pageToken) =>
      history.listCoverage({ venue, symbol, range, pageToken }, { signal }),
    );
    return pages.flatMap(({ days }) => days);
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
