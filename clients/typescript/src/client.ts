import {
  type Client as Calls,
  createClient,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";

import { History } from "./gen/venuemesh/history/v1/history_pb.js";
import { Inspector } from "./gen/venuemesh/inspector/v1/inspector_pb.js";
import { MarketData } from "./gen/venuemesh/marketdata/v1/market_data_pb.js";
import { TradeFlow } from "./gen/venuemesh/tradeflow/v1/trade_flow_pb.js";

/** The services of a mesh. Others are called with createClient over the transport. */
export interface Client {
  readonly transport: Transport;
  readonly marketData: Calls<typeof MarketData>;
  readonly history: Calls<typeof History>;
  readonly tradeFlow: Calls<typeof TradeFlow>;
  readonly inspector: Calls<typeof Inspector>;
}

/** A client over any transport; "./node" and "./web" have connect, which makes one. */
export function clientOf(transport: Transport): Client {
  return {
    transport,
    marketData: createClient(MarketData, transport),
    history: createClient(History, transport),
    tradeFlow: createClient(TradeFlow, transport),
    inspector: createClient(Inspector, transport),
  };
}

/** Shows the token with each call; without one, a browser shows its session. */
export function bearer(token: string): Interceptor[] {
  if (!token) return [];
  return [
    (next) => (request) => {
      request.header.set("authorization", `Bearer ${token}`);
      return next(request);
    },
  ];
}

export interface ConnectOptions {
  /** Sends the token also to another machine without TLS. */
  readonly plaintext?: boolean;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

/**
 * The base address of a gateway: "host:port" is without TLS. Throws if the token would go to
 * another machine without TLS, unless the options allow it.
 */
export function baseUrl(gateway: string, token: string, options: ConnectOptions): string {
  const url = new URL(/^https?:\/\//.test(gateway) ? gateway : `http://${gateway}`);
  const isSafe = url.protocol === "https:" || LOOPBACK.test(url.hostname);
  if (token && !isSafe && options.plaintext !== true) {
    const allowed = `use https://${url.host}, or allow it with { plaintext: true }`;
    throw new Error(`gateway "${gateway}": the token would be readable on its way; ${allowed}`);
  }
  return url.origin;
}
