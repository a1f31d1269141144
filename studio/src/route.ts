import { useSyncExternalStore } from "react";

import { type Interval, isInterval } from "./market/intervals";

/** The page that an address shows. Addresses can be shared. */
export type Route =
  | { readonly page: "mesh" }
  | { readonly page: "risk" }
  | OrdersRoute
  | CapitalRoute
  | SignalsRoute
  | DecisionsRoute
  | WhyRoute
  | InstrumentRoute;

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

export interface CapitalRoute {
  readonly page: "capital";
  /** Empty: all accounts. */
  readonly venue: string;
  /** Empty: all accounts. */
  readonly account: string;
}

export interface SignalsRoute extends Instrument {
  readonly page: "signals";
  /** Empty: the first strategy. */
  readonly strategy: string;
}

export interface DecisionsRoute {
  readonly page: "decisions";
  /** Empty: all strategies. */
  readonly strategy: string;
  /** Of the decision that is explained, hexadecimal. Empty: the newest one. */
  readonly eventId: string;
}

export interface WhyRoute {
  readonly page: "why";
  /** Undefined: nothing is asked yet. */
  readonly question: Question | undefined;
}

/** What the page "why" explains. */
export type Question =
  | (Holding & { readonly about: "fill"; readonly fillId: string })
  | (Holding & { readonly about: "position" })
  | {
      readonly about: "order";
      readonly venue: string;
      readonly account: string;
      /** The client order id, or the venue's id of an order without one. */
      readonly orderId: string;
    }
  /** Hexadecimal. */
  | { readonly about: "event"; readonly eventId: string };

interface Holding {
  readonly venue: string;
  readonly account: string;
  readonly symbol: string;
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
 * "#/orders/<venue>/<account>", "#/capital/<venue>/<account>",
 * "#/signals/<strategy>/<venue>/<symbol>", "#/decisions/<strategy>/<event id>", "#/why/…",
 * "#/risk" or "#/mesh". Any other address is the market page.
 */
export function parseRoute(hash: string): Route {
  const [, page, venue = "", symbol = "", interval = "", ...rest] = hash.split("/").map(decode);
  if (page === "mesh" || page === "risk") return { page };
  if (page === "why") return { page, question: readQuestion([venue, symbol, interval, ...rest]) };
  if (page === "signals") return { page, strategy: venue, venue: symbol, symbol: interval };
  if (page === "decisions") return { page, strategy: venue, eventId: symbol };
  if (page === "capital") return { page, venue, account: symbol };
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
  if (route.page === "mesh" || route.page === "risk") return `#/${route.page}`;
  if (route.page === "why") {
    return ["#/why", ...questionParts(route.question).map(encode)].join("/");
  }
  if (route.page === "signals") {
    const parts = [route.strategy, route.venue, route.symbol];
    const end = parts.indexOf("");
    return ["#/signals", ...parts.slice(0, end < 0 ? parts.length : end).map(encode)].join("/");
  }
  if (route.page === "decisions") {
    const { strategy, eventId } = route;
    const parts = eventId === "" ? [strategy] : [strategy, eventId];
    return ["#/decisions", ...(parts.join("") === "" ? [] : parts.map(encode))].join("/");
  }
  const { page, venue } = route;
  if (venue === "") return `#/${page}`;
  if (route.page === "orders" || route.page === "capital") {
    const account = route.account === "" ? "" : `/${encode(route.account)}`;
    return `#/${page}/${encode(venue)}${account}`;
  }
  const { symbol } = route;
  const instrument = `#/${page}/${encode(venue)}/${encode(symbol)}`;
  return page === "data" ? instrument : `${instrument}/${route.interval}`;
}

/** "fill/<venue>/<account>/<symbol>/<fill id>", "order/<venue>/<account>/<order id>",
 * "position/<venue>/<account>/<symbol>" or "event/<event id>". */
function readQuestion(parts: readonly string[]): Question | undefined {
  const [about, venue = "", account = "", symbol = "", fillId = ""] = parts;
  if (about === "event" && venue !== "") return { about, eventId: venue };
  if (venue === "" || account === "" || symbol === "") return undefined;
  if (about === "fill" && fillId !== "") return { about, venue, account, symbol, fillId };
  if (about === "order") return { about, venue, account, orderId: symbol };
  if (about === "position") return { about, venue, account, symbol };
  return undefined;
}

function questionParts(question: Question | undefined): readonly string[] {
  if (!question) return [];
  if (question.about === "event") return ["event", question.eventId];
  const { about, venue, account } = question;
  if (about === "order") return [about, venue, account, question.orderId];
  if (about === "position") return [about, venue, account, question.symbol];
  return [about, venue, account, question.symbol, question.fillId];
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
