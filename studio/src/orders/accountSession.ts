import { useEffect } from "react";

import { useRunning } from "../state/running";
import { OrderCanceller } from "./orderCanceller";
import { ExecutionFeed } from "./executionFeed";
import { OrderPlacer } from "./orderPlacer";

/** The live view of one account, and the objects that place and cancel its orders. */
export interface AccountSession {
  readonly feed: ExecutionFeed;
  readonly placer: OrderPlacer;
  readonly canceller: OrderCanceller;
}

/** By venue and account. Kept when the page is left, because outcomes may still be unknown. */
const sessions = new Map<string, AccountSession>();

/** The session of an account, active while the page is open. `onAccount`: the account changed. */
export function useAccountSession(
  venue: string,
  account: string,
  onAccount: () => void,
): AccountSession {
  const session = sessionOf(venue, account);
  const { feed } = session;
  useRunning(feed);
  useEffect(() => feed.latestAccount.subscribe(onAccount), [feed, onAccount]);
  return session;
}

function sessionOf(venue: string, account: string): AccountSession {
  const key = JSON.stringify([venue, account]);
  const session = sessions.get(key) ?? begin(venue, account);
  sessions.set(key, session);
  return session;
}

function begin(venue: string, account: string): AccountSession {
  const placer = new OrderPlacer(venue, account, (order) => {
    feed.learn(order);
  });
  const feed = new ExecutionFeed(venue, account, (order) => {
    placer.see(order);
  });
  const canceller = new OrderCanceller(venue, account, (order) => {
    feed.learn(order);
  });
  return { feed, placer, canceller };
}
