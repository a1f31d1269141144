import { useMemo, useState } from "react";

import { CapitalPage } from "./capital/CapitalPage";
import { DecisionsPage } from "./decisions/DecisionsPage";
import { DataContent } from "./record/DataContent";
import { InstrumentPage } from "./instrument/InstrumentPage";
import { MarketContent } from "./market/MarketContent";
import { MeshPage } from "./mesh/MeshPage";
import { OrdersPage } from "./orders/OrdersPage";
import {
  type CapitalRoute,
  type DataRoute,
  type DecisionsRoute,
  formatRoute,
  go,
  type MarketRoute,
  type OrdersRoute,
  type Route,
  type SignalsRoute,
  useRoute,
  type WhyRoute,
} from "./route";
import { RiskPage } from "./risk/RiskPage";
import { SessionMark } from "./session/SessionMark";
import { SignalsPage } from "./signals/SignalsPage";
import { ShortcutHelp } from "./ui/ShortcutHelp";
import { type Shortcuts, useShortcuts } from "./ui/shortcuts";
import { StatusPlace } from "./ui/TopStatus";
import { WhyPage } from "./why/WhyPage";

const HOME: MarketRoute = { page: "market", venue: "", symbol: "", interval: "1m" };
const ORDERS_HOME: OrdersRoute = { page: "orders", venue: "", account: "" };
const CAPITAL_HOME: CapitalRoute = { page: "capital", venue: "", account: "" };
const SIGNALS_HOME: SignalsRoute = { page: "signals", strategy: "", venue: "", symbol: "" };
const DECISIONS_HOME: DecisionsRoute = { page: "decisions", strategy: "", eventId: "" };
const MESH: Route = { page: "mesh" };
const RISK: Route = { page: "risk" };
const WHY_HOME: WhyRoute = { page: "why", question: undefined };

/** The frame of all pages: navigation and status. */
export function App() {
  const route = useRoute();
  const market = useLastMarket(route);
  const data = dataOf(market);
  const orders = useLast(route.page === "orders" ? route : undefined, ORDERS_HOME);
  const capital = useLast(route.page === "capital" ? route : undefined, CAPITAL_HOME);
  const signals = useLast(route.page === "signals" ? route : undefined, SIGNALS_HOME);
  const decisions = useLast(route.page === "decisions" ? route : undefined, DECISIONS_HOME);
  const [helpOpen, setHelpOpen] = useState(false);
  const [statusPlace, setStatusPlace] = useState<HTMLElement | null>(null);
  const toggleHelp = () => {
    setHelpOpen((open) => !open);
  };
  const shortcuts = useMemo(
    () => ({
      ...keysTo({ m: market, d: dataOf(market), o: orders, r: RISK, c: capital, g: signals }),
      ...keysTo({ e: decisions, w: WHY_HOME, s: MESH }),
      "?": toggleHelp,
    }),
    [market, orders, capital, signals, decisions],
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
        <PageLink route={RISK} current={route.page === "risk"} label="Risk" />
        <PageLink route={capital} current={route.page === "capital"} label="Capital" />
        <PageLink route={signals} current={route.page === "signals"} label="Signals" />
        <PageLink route={decisions} current={route.page === "decisions"} label="Decisions" />
        <PageLink route={WHY_HOME} current={route.page === "why"} label="Why" />
        <PageLink route={MESH} current={route.page === "mesh"} label="Mesh" />
        <div className="top-status" ref={setStatusPlace} />
        <SessionMark />
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
  if (route.page === "risk") return <RiskPage />;
  if (route.page === "orders") return <OrdersPage route={route} />;
  if (route.page === "capital") return <CapitalPage route={route} />;
  if (route.page === "signals") return <SignalsPage route={route} />;
  if (route.page === "decisions") return <DecisionsPage route={route} />;
  if (route.page === "why") return <WhyPage route={route} />;
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

/** What was open last of a page; its tab returns to it. */
function useLast<R extends Route>(open: R | undefined, home: R): R {
  const [last, setLast] = useState(home);
  const seen = open ?? last;
  if (formatRoute(seen) !== formatRoute(last)) setLast(seen);
  return last;
}

/** Shortcuts that open pages. */
function keysTo(routes: Readonly<Record<string, Route>>): Shortcuts {
  const entries = Object.entries(routes).map(([key, route]) => [
    key,
    () => {
      go(route);
    },
  ]);
  return Object.fromEntries(entries) as Shortcuts;
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
