import { useState } from "react";

import type { Venue } from "../instrument/venues";
import type { Account } from "../gen/venuemesh/tradeflow/v1/accounts_pb";
import type { OrdersRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import { type Polled, polledState } from "../state/poll";
import { ConnectionState } from "../ui/ConnectionState";
import { TopStatus } from "../ui/TopStatus";
import { AccountBar } from "./AccountBar";
import { AccountNotices } from "./AccountNotices";
import { CancelAllDialog } from "./CancelAllDialog";
import { DifferencesPanel } from "./DifferencesPanel";
import { Choice } from "../ui/Choice";
import { OrderCostsPanel } from "./OrderCostsPanel";
import { OrderHistoryPanel } from "./OrderHistoryPanel";
import { FillsPanel } from "./FillsPanel";
import { BalancesPanel, PositionsPanel } from "./BalancesAndPositions";
import { OpenOrdersPanel } from "./OpenOrdersPanel";
import { TicketPanel } from "./TicketPanel";
import type { AccountView } from "./accountView";
import { useAccountSession } from "./accountSession";

interface OrdersContentProps {
  readonly route: OrdersRoute;
  readonly venue: Venue;
  readonly venues: readonly Venue[];
  readonly polled: Polled<readonly Account[]>;
  readonly accounts: readonly Account[];
  /** Of the account that is shown. */
  readonly name: string;
  /** The account has changed. */
  readonly onAccount: () => void;
}

/** One account: its orders, fills, balances and positions, and a form to place orders. */
export function OrdersContent(props: OrdersContentProps) {
  const { route, venue, venues, polled, accounts, name, onAccount } = props;
  const session = useAccountSession(venue.id, name, onAccount);
  const { feed, placer } = session;
  const [isCancellingAll, setCancellingAll] = useState(false);
  const view = useFrameStore(feed.view);
  const stream = useFrameStore(feed.state);
  const account = accounts.find((each) => each.account === name);
  return (
    <main className="orders" data-testid="orders-room" data-stale={stream.phase !== "live"}>
      <TopStatus>
        <ConnectionState streams={[stream, polledState(polled)]} />
      </TopStatus>
      <AccountBar {...{ route, venues, accounts, account, name, view }} />
      <AccountNotices {...{ feed, account, name }} />
      <div className="orders-body">
        <div className="orders-main">
          <OpenOrdersPanel
            {...{ view, session }}
            onCancelAll={() => {
              setCancellingAll(true);
            }}
          />
          <EndedOrders {...{ view, name }} venue={venue.id} />
          <FillsPanel view={view} failure={useFrameStore(feed.historyFailure)} />
          {view.differences.length > 0 && <DifferencesPanel differences={view.differences} />}
        </div>
        <div className="orders-side">
          <TicketPanel {...{ venue, account, name, placer }} />
          <BalancesPanel view={view} />
          <PositionsPanel view={view} />
        </div>
      </div>
      {isCancellingAll && (
        <CancelAllDialog
          {...{ view, session }}
          onClose={() => {
            setCancellingAll(false);
          }}
        />
      )}
    </main>
  );
}

const ENDED_VIEWS = [
  ["history", "history"],
  ["costs", "costs"],
] as const;

interface EndedOrdersProps {
  readonly view: AccountView;
  readonly venue: string;
  readonly name: string;
}

/** The orders that have ended, or what they have cost. */
function EndedOrders({ view, venue, name }: EndedOrdersProps) {
  const [chosen, choose] = useState<"history" | "costs">("history");
  const choice = <Choice label="View" options={ENDED_VIEWS} chosen={chosen} onChoose={choose} />;
  if (chosen === "costs") return <OrderCostsPanel {...{ venue, choice }} account={name} />;
  return <OrderHistoryPanel {...{ view, choice }} />;
}
