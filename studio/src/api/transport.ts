import type { CallOptions } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { Admin } from "../gen/venuemesh/admin/v1/admin_pb";
import { Bars } from "../gen/venuemesh/bars/v1/bars_pb";
import { History } from "../gen/venuemesh/history/v1/history_pb";
import { Live } from "../gen/venuemesh/live/v1/live_pb";
import { MarketData } from "../gen/venuemesh/marketdata/v1/market_data_pb";
import { Registry } from "../gen/venuemesh/registry/v1/registry_pb";
import { Repair } from "../gen/venuemesh/repair/v1/repair_pb";
import { Approvals } from "../gen/venuemesh/tradeflow/v1/approvals_pb";
import { TradeFlow } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";

// The gateway serves Studio too, so the API is at the same origin as the page.
const transport = createGrpcWebTransport({ baseUrl: "/" });

export const registry = createClient(Registry, transport);
export const live = createClient(Live, transport);
export const history = createClient(History, transport);
export const repair = createClient(Repair, transport);
export const bars = createClient(Bars, transport);
export const marketData = createClient(MarketData, transport);
export const admin = createClient(Admin, transport);
export const tradeFlow = createClient(TradeFlow, transport);
export const approvals = createClient(Approvals, transport);

/** Many processes serve MarketData and TradeFlow; this header names the venue. */
export function toVenue(venue: string, signal: AbortSignal): CallOptions {
  return { ...ofVenue(venue), signal };
}

/** Like toVenue, for a call that cannot be aborted. */
export function ofVenue(venue: string): CallOptions {
  return { headers: { "venuemesh-venue": venue } };
}

/** Every process serves Admin; this header names the process. */
export function toService(serviceId: string, signal: AbortSignal): CallOptions {
  return { headers: { "venuemesh-service": serviceId }, signal };
}
