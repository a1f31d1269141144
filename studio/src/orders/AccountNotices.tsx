import type { ReactNode } from "react";

import { type Account, AccountState } from "../gen/venuemesh/tradeflow/v1/accounts_pb";
import { useFrameStore } from "../state/frameStore";
import { formatDateTime } from "../ui/format";
import type { ExecutionFeed } from "./executionFeed";
import { accountLabel } from "./labels";

interface AccountNoticesProps {
  readonly feed: ExecutionFeed;
  readonly account: Account | undefined;
  readonly name: string;
}

/** Warnings: disconnected, not ready, dead-man switch, positions without an exit. */
export function AccountNotices({ feed, account, name }: AccountNoticesProps) {
  const lostTimeMs = useFrameStore(feed.lostTimeMs);
  const { leftOpen } = useFrameStore(feed.view);
  const { phase } = useFrameStore(feed.state);
  const isLost = phase === "reconnecting" || phase === "error";
  return (
    <>
      {isLost && lostTimeMs !== undefined && (
        <NoticeLine id="disconnected">
          Disconnected. Orders, fills and balances are as of{" "}
          {formatDateTime(BigInt(lostTimeMs) * 1_000_000n)} UTC. Reconnecting …
        </NoticeLine>
      )}
      {!account && <NoticeLine id="no-account">The venue has no account “{name}”.</NoticeLine>}
      {account && account.state !== AccountState.READY && (
        <NoticeLine id="not-ready">
          The account is {accountLabel(account.state)} and accepts no orders
          {account.detail === "" ? "." : `: ${account.detail}`}
        </NoticeLine>
      )}
      {account?.deadManFired && (
        <NoticeLine id="dead-man">
          The dead-man switch was triggered: the order authority sent no heartbeat, and all open
          orders were cancelled. The next heartbeat resets the switch.
        </NoticeLine>
      )}
      {leftOpen.map(({ clientOrderId, symbol, found, detail }) => (
        <NoticeLine key={clientOrderId} id="left-open">
          Open without an exit: {found} of {symbol}. {capitalized(detail)}.
        </NoticeLine>
      ))}
    </>
  );
}

function NoticeLine({ id, children }: { readonly id: string; readonly children: ReactNode }) {
  return (
    <p className="orders-notice" role="status" data-testid={`notice-${id}`}>
      {children}
    </p>
  );
}

function capitalized(words: string): string {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
