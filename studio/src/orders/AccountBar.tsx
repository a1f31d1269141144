import { VenueSelect } from "../instrument/VenueSelect";
import type { Venue } from "../instrument/venues";
import { OrderState } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { type Account, AccountState } from "../gen/venuemesh/tradeflow/v1/accounts_pb";
import { go, type OrdersRoute } from "../route";
import { formatCount } from "../ui/format";
import { Stat } from "../ui/Stat";
import type { AccountView } from "./accountView";
import { accountLabel } from "./labels";

interface AccountBarProps {
  readonly route: OrdersRoute;
  readonly venues: readonly Venue[];
  readonly accounts: readonly Account[];
  /** Undefined when the venue has no such account. */
  readonly account: Account | undefined;
  readonly name: string;
  readonly view: AccountView;
}

/** The account's name, its state, and the number of open orders. */
export function AccountBar({ route, venues, accounts, account, name, view }: AccountBarProps) {
  const unknown = view.open.filter(({ state }) => state === OrderState.UNKNOWN).length;
  return (
    <div className="instrument-bar">
      <VenueSelect
        venue={route.venue}
        venues={venues}
        onChoose={(venue) => {
          go({ ...route, venue, account: "" });
        }}
      />
      <select
        className="venue-select"
        data-testid="account-select"
        aria-label="Account"
        value={name}
        onChange={(event) => {
          go({ ...route, account: event.target.value });
        }}
      >
        {!account && <option value={name}>{name} (unknown account)</option>}
        {accounts.map((each) => (
          <option key={each.account} value={each.account}>
            {each.account}
          </option>
        ))}
      </select>
      {account && <AccountMarks account={account} />}
      <div className="data-stats">
        <Stat
          label="Open orders"
          value={view.isKnown ? formatCount(view.open.length) : "—"}
          valueId="open-count"
        />
        <Stat
          label="Unknown"
          value={view.isKnown ? formatCount(unknown) : "—"}
          valueId="unknown-count"
          title="Orders whose state at the venue is not known; the venue is being queried"
          {...(unknown > 0 ? { tone: "high" as const } : {})}
        />
      </div>
    </div>
  );
}

function AccountMarks({ account }: { readonly account: Account }) {
  const { state, detail, paper, deadManFired } = account;
  return (
    <div className="account-marks">
      <strong
        className="account-state"
        data-testid="account-state"
        data-state={AccountState[state].toLowerCase()}
        title={detail}
      >
        <span className="lamp" aria-hidden="true" />
        {accountLabel(state)}
      </strong>
      {paper ? (
        <span className="account-mark" title="Orders are simulated. No real money is used.">
          paper
        </span>
      ) : (
        <span
          className="account-mark real"
          title="Orders are executed at the venue with real money."
        >
          real money
        </span>
      )}
      {deadManFired && <span className="account-mark warn">dead-man switch triggered</span>}
    </div>
  );
}
