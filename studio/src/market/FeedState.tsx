import { useEffect, useState } from "react";

import { useFrameStore } from "../state/frameStore";
import { ConnectionState } from "../ui/ConnectionState";
import { formatDuration } from "../ui/format";
import type { BarFeed } from "./barFeed";
import type { MarketFeed } from "./marketFeed";

/** Silence shorter than this is not worth a word. */
const QUIET_MS = 5_000;

/** Whether the page is live, and how long nothing has come if it is. */
export function FeedState({ feed, bars }: { readonly feed: MarketFeed; readonly bars: BarFeed }) {
  const streams = [useFrameStore(feed.state), useFrameStore(bars.state)];
  const quietMs = useQuietMs(feed);
  const note = quietMs > QUIET_MS ? `nothing for ${formatDuration(quietMs)}` : "";
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
