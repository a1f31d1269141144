import { useEffect, useState } from "react";

import { useFrameStore } from "../state/frameStore";
import { ConnectionState } from "../ui/ConnectionState";
import { formatDuration } from "../ui/format";
import type { BarFeed } from "./barFeed";
import type { MarketFeed } from "./marketFeed";

/** Shorter silence is not shown. */
const QUIET_MS = 5_000;

/** Whether the page is live, and the time since the last message. */
export function FeedState({ feed, bars }: { readonly feed: MarketFeed; readonly bars: BarFeed }) {
  const streams = [useFrameStore(feed.state), useFrameStore(bars.state)];
  const quietMs = useQuietMs(feed);
  const note = quietMs > QUIET_MS ? `no data for ${formatDuration(quietMs)}` : "";
  return <ConnectionState streams={streams} note={note} />;
}

function useQuietMs(feed: MarketFeed): number {
  const [quietMs, setQuietMs] = useState(0);
  useEffect(() => {
    const timer = window.setInterval(() => {
      setQuietMs(feed.messageTimeMs === 0 ? 0 : Date.now() - feed.messageTimeMs);
    }, 1_000);
    return () => {
      window.clearInterval(timer);
    };
  }, [feed]);
  return quietMs;
}
