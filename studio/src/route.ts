import { useSyncExternalStore } from "react";

import { type Interval, isInterval } from "./market/intervals";

/** What the address shows. It is a link that others can open. */
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
  /** Empty: the first one that takes orders. */
  readonly venue: string;
  /** Empty: the first one of the venue. */
  readonly account: string;
}

interface Instrument {
  /** Empty: the first one. */
  readonly venue: string;
  /** Empty: the first one of the venue. */
  readonly symbol: string;
}

const INTERVAL_DEFAULT: Interval = "1m";

/**
 * Reads "#/market/<venue>/<symbol>/<interval>", "#/data/<venue>/<symbol>",
 * "#/orders/<venue>/<account>" or "#/mesh". What it cannot read is the market.
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

/** Goes there; with `replace` the browser's back button does not come back here. */
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
