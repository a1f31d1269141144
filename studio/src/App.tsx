import { useMemo, useState } from "react";

import { DataContent } from "./record/DataContent";
import { InstrumentPage } from "./instrument/InstrumentPage";
import { MarketContent } from "./market/MarketContent";
import { MeshPage } from "./mesh/MeshPage";
import { OrdersPage } from "./orders/OrdersPage";
import {
  type DataRoute,
  formatRoute,
  go,
  type MarketRoute,
  type OrdersRoute,
  type Route,
  useRoute,
} from "./route";
import { ShortcutHelp } from "./ui/ShortcutHelp";
import { useShortcuts } from "./ui/shortcuts";
import { StatusPlace } from "./ui/TopStatus";

const HOME: MarketRoute = { page: "market", venue: "", symbol: "", interval: "1m" };
const ORDERS_HOME: OrdersRoute = { page: "orders", venue: "", account: "" };

/** The frame of all pages: navigation and status. */
export function App() {
  const route = useRoute();
  const market = useLastMarket(route);
  const data = dataOf(market);
  const orders = useLastOrders(route);
  const [helpOpen, setHelpOpen] = useState(false);
  const [statusPlace, setStatusPlace] = useState<HTMLElement | null>(null);
  const toggleHelp = () => {
    setHelpOpen((open) => !open);
  };
  const shortcuts = useMemo(
    () => ({
      m: () => {
        go(market);
      },
      d: () => {
        go(dataOf(market));
      },
      o: () => {
        go(orders);
      },
      s: () => {
        go({ page: "mesh" });
      },
      "?": toggleHelp,
    }),
    [market, orders],
  );
  useShortcuts(shortcuts);
  return (
    <StatusPlace value={statusPlace}>
      <nav className="top" aria-label="Pages">
        <span className="brand">
          <img src="/favicon.svg" alt="" width="20" height="20" />
          Venuemesh
        </span>
        <PageLink route={market} current={route.page === "market"} label="Market" />
        <PageLink route={data} current={route.page === "data"} label="Data" />
        <PageLink route={orders} current={route.page === "orders"} label="Orders" />
        <PageLink route={{ page: "mesh" }} current={route.page === "mesh"} label="Mesh" />
        <div className="top-status" ref={setStatusPlace} />
        <button className="quiet-button" title="Keyboard shortcuts (?)" onClick={toggleHelp}>
          ?
        </button>
      </nav>
      <Page route={route} />
      {helpOpen && <ShortcutHelp onClose={toggleHelp} />}
    </StatusPlace>
  );
}

function Page({ route }: { readonly route: Route }) {
  if (route.page === "mesh") return <MeshPage />;
  if (route.page === "orders") return <OrdersPage route={route} />;
  return (
    <InstrumentPage
      route={route}
      room={(place) => {
        const { symbol } = place;
        return route.page === "market" ? (
          <MarketContent key={symbol} route={{ ...route, symbol }} place={place} />
        ) : (
          <DataContent key={symbol} route={{ ...route, symbol }} place={place} />
        );
      }}
    />
  );
}

/** The market that was open last; the tabs return to it. */
function useLastMarket(route: Route): MarketRoute {
  const [market, setMarket] = useState(HOME);
  const isInstrument = route.page === "market" || route.page === "data";
  const seen = isInstrument ? { ...market, ...route, page: "market" as const } : market;
  if (formatRoute(seen) !== formatRoute(market)) setMarket(seen);
  return market;
}

/** The account that was open last. */
function useLastOrders(route: Route): OrdersRoute {
  const [orders, setOrders] = useState(ORDERS_HOME);
  const seen = route.page === "orders" ? route : orders;
  if (formatRoute(seen) !== formatRoute(orders)) setOrders(seen);
  return orders;
}

function dataOf({ venue, symbol }: MarketRoute): DataRoute {
  return { page: "data", venue, symbol };
}

function PageLink({ route, current, label }: { route: Route; current: boolean; label: string }) {
  return (
    <a
      className="page-link"
      data-testid={`nav-${route.page}`}
      href={formatRoute(route)}
      aria-current={current ? "page" : undefined}
    >
      {label}
    </a>
  );
}
