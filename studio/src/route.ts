import { useSyncExternalStore } from "react";

import { type Interval, isInterval } from "./market/intervals";

/** The page that an address shows. Addresses can be shared. */
export type Route = { readonly page: "mesh" } | OrdersRoute | InstrumentRoute;

/** A page about one instrument. */
export type InstrumentRoute = MarketRoute | DataRoute;

export interface MarketRoute extends Instrument {
  readonly page: "market";
  readonly interval: Interval;
}

export interface DataRoute extends Instrument {
  readonly page: "data";
}

export interface OrdersRoute {
  readonly page: "orders";
  /** Empty: the first venue with an account. */
  readonly venue: string;
  /** Empty: the first of the venue. */
  readonly account: string;
}

interface Instrument {
  /** Empty: the first venue. */
  readonly venue: string;
  /** Empty: the first of the venue. */
  readonly symbol: string;
}

const INTERVAL_DEFAULT: Interval = "1m";

/**
 * Reads "#/market/<venue>/<symbol>/<interval>", "#/data/<venue>/<symbol>",
 * "#/orders/<venue>/<account>" or "#/mesh". Any other address is the market page.
 */
export function parseRoute(hash: string): Route {
  const [, page, venue = "", symbol = "", interval = ""] = hash.split("/").map(decode);
  if (page === "mesh") return { page };
  if (page === "orders") return { page, venue, account: symbol };
  if (page === "data") return { page, venue, symbol };
  return {
    page: "market",
    venue,
    symbol,
    interval: isInterval(interval) ? interval : INTERVAL_DEFAULT,
  };
}

export function formatRoute(route: Route): string {
  if (route.page === "mesh") return "#/mesh";
  const { page, venue } = route;
  if (venue === "") return `#/${page}`;
  if (route.page === "orders") {
    const account = route.account === "" ? "" : `/${encode(route.account)}`;
    return `#/orders/${encode(venue)}${account}`;
  }
  const { symbol } = route;
  const instrument = `#/${page}/${encode(venue)}/${encode(symbol)}`;
  return page === "data" ? instrument : `${instrument}/${route.interval}`;
}

/** Navigates to a page. With `replace`, the browser's history has no entry for the current page. */
export function go(route: Route, replace = false): void {
  const hash = formatRoute(route);
  if (hash === window.location.hash) return;
  if (replace) window.history.replaceState(null, "", hash);
  else window.history.pushState(null, "", hash);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(subscribe, readHash));
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  window.addEventListener("popstate", listener);
  return () => {
    window.removeEventListener("hashchange", listener);
    window.removeEventListener("popstate", listener);
  };
}

function readHash(): string {
  return window.location.hash;
}

const encode = encodeURIComponent;

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
