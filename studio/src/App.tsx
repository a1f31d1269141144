import { useMemo, useState } from "react";

import { MarketPage } from "./market/MarketPage";
import { MeshPage } from "./mesh/MeshPage";
import { formatRoute, go, type MarketRoute, type Route, useRoute } from "./route";
import { ShortcutHelp } from "./ui/ShortcutHelp";
import { useShortcuts } from "./ui/shortcuts";
import { StatusPlace } from "./ui/TopStatus";

const HOME: MarketRoute = { page: "market", venue: "", symbol: "", interval: "1m" };

/** The frame of all pages: where one is, where one can go. */
export function App() {
  const route = useRoute();
  const market = useLastMarket(route);
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
      s: () => {
        go({ page: "mesh" });
      },
      "?": toggleHelp,
    }),
    [market],
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
        <PageLink route={{ page: "mesh" }} current={route.page === "mesh"} label="Mesh" />
        <div className="top-status" ref={setStatusPlace} />
        <button className="quiet-button" title="Keyboard shortcuts (?)" onClick={toggleHelp}>
          ?
        </button>
      </nav>
      {route.page === "market" ? <MarketPage route={route} /> : <MeshPage />}
      {helpOpen && <ShortcutHelp onClose={toggleHelp} />}
    </StatusPlace>
  );
}

/** The market that was looked at last, so that its tab leads back to it. */
function useLastMarket(route: Route): MarketRoute {
  const [market, setMarket] = useState(HOME);
  if (route.page === "market" && formatRoute(route) !== formatRoute(market)) setMarket(route);
  return market;
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
