import { useMemo } from "react";

import { useRunning } from "../state/running";
import { Cancelling } from "./cancelling";
import { ExecutionFeed } from "./executionFeed";
import { Placing } from "./placing";

/** What is done with one account: it is watched, orders are placed and taken back. */
export interface Work {
  readonly feed: ExecutionFeed;
  readonly placing: Placing;
  readonly cancelling: Cancelling;
}

/** Works with an account while the page is open. `onAccount`: it has changed. */
export function useWork(venue: string, account: string, onAccount: () => void): Work {
  const work = useMemo(() => begin(venue, account, onAccount), [venue, account, onAccount]);
  useRunning(work.feed);
  useRunning(work.placing);
  return work;
}

function begin(venue: string, account: string, onAccount: () => void): Work {
  const placing = new Placing(venue, account, (order) => {
    feed.learn(order);
  });
  const feed = new ExecutionFeed(venue, account, {
    onAccount,
    onOrder: (order) => {
      placing.see(order);
    },
  });
  const cancelling = new Cancelling(venue, account, (order) => {
    feed.learn(order);
  });
  return { feed, placing, cancelling };
}
