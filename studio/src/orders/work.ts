import { useEffect } from "react";

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

/** By venue and account. Kept when the page is left: what is in doubt must not be forgotten. */
const begun = new Map<string, Work>();

/** Works with an account while the page is open. `onAccount`: it has changed. */
export function useWork(venue: string, account: string, onAccount: () => void): Work {
  const work = workOf(venue, account);
  const { feed, placing } = work;
  useRunning(feed);
  useRunning(placing);
  useEffect(() => feed.accountTold.subscribe(onAccount), [feed, onAccount]);
  return work;
}

function workOf(venue: string, account: string): Work {
  const key = JSON.stringify([venue, account]);
  const work = begun.get(key) ?? begin(venue, account);
  begun.set(key, work);
  return work;
}

function begin(venue: string, account: string): Work {
  const placing = new Placing(venue, account, (order) => {
    feed.learn(order);
  });
  const feed = new ExecutionFeed(venue, account, (order) => {
    placing.see(order);
  });
  const cancelling = new Cancelling(venue, account, (order) => {
    feed.learn(order);
  });
  return { feed, placing, cancelling };
}
