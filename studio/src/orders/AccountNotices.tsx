import type { ReactNode } from "react";

import { type Account, AccountState } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";
import { useFrameStore } from "../state/frameStore";
import { formatDateTime } from "../ui/format";
import type { ExecutionFeed } from "./executionFeed";
import { accountWord } from "./words";

interface AccountNoticesProps {
  readonly feed: ExecutionFeed;
  readonly account: Account | undefined;
  readonly name: string;
}

/** What a person has to know before trusting the page. */
export function AccountNotices({ feed, account, name }: AccountNoticesProps) {
  const lostTimeMs = useFrameStore(feed.lostTimeMs);
  const { leftOpen } = useFrameStore(feed.view);
  const { phase } = useFrameStore(feed.state);
  const isLost = phase === "reconnecting" || phase === "error";
  return (
    <>
      {isLost && lostTimeMs !== undefined && (
        <NoticeLine id="disconnected">
          Disconnected: orders, fills and balances are as they were at{" "}
          {formatDateTime(BigInt(lostTimeMs) * 1_000_000n)} UTC. Trying again …
        </NoticeLine>
      )}
      {!account && <NoticeLine id="no-account">The venue has no account “{name}”.</NoticeLine>}
      {account && account.state !== AccountState.READY && (
        <NoticeLine id="not-ready">
          The account is {accountWord(account.state)}, and takes no orders now
          {account.detail === "" ? "." : `: ${account.detail}`}
        </NoticeLine>
      )}
      {account?.deadManFired && (
        <NoticeLine id="dead-man">
          The dead-man switch has fired: the order authority was silent, and all that was open was
          cancelled. Its next sign of life ends this.
        </NoticeLine>
      )}
      {leftOpen.map(({ clientOrderId, symbol, found, detail }) => (
        <NoticeLine key={clientOrderId} id="left-open">
          Left open: {found} of {symbol}. {capitalized(detail)}.
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
