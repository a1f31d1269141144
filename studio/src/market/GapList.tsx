import { useFrameStore } from "../state/frameStore";
import { formatDateTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { GAP_NOTICES_MAX } from "./gaps";
import type { MarketFeed } from "./marketFeed";

/** The gaps: times with events that are or may be missing. */
export function GapList({ feed }: { readonly feed: MarketFeed }) {
  const gaps = useFrameStore(feed.gaps);
  const pastKnown = useFrameStore(feed.pastKnown);
  let count = gaps.length === GAP_NOTICES_MAX ? `newest ${gaps.length}` : String(gaps.length);
  if (gaps.length === 0) count = pastKnown ? "none in the last hour" : "none yet";
  return (
    <Panel
      title="Gaps"
      className="gaps"
      aside={
        <span className="panel-note" data-testid="gap-count">
          {count}
        </span>
      }
    >
      {gaps.length > 0 && (
        <ol>
          {gaps.map((gap) => (
            <li key={gap.key} data-testid="gap-row">
              <time>{formatDateTime(gap.detectedTimeNs)}</time>
              <span>{gap.channel}</span>
              <strong>{gap.reason}</strong>
              <span className="gap-detail" title={gap.detail}>
                {gap.detail}
              </span>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}
