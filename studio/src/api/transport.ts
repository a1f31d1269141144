import type { CallOptions, Interceptor } from "@connectrpc/connect";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { Tokens } from "../gen/venuemesh/access/v1/tokens_pb";
import { Admin } from "../gen/venuemesh/admin/v1/admin_pb";
import { Advisor } from "../gen/venuemesh/advisor/v1/advisor_pb";
import { Audit } from "../gen/venuemesh/audit/v1/audit_pb";
import { Bars } from "../gen/venuemesh/bars/v1/bars_pb";
import { Detector } from "../gen/venuemesh/detector/v1/detector_pb";
import { Events } from "../gen/venuemesh/events/v1/events_pb";
import { History } from "../gen/venuemesh/history/v1/history_pb";
import { Inspector } from "../gen/venuemesh/inspector/v1/inspector_pb";
import { RiskReports } from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import { Ledger } from "../gen/venuemesh/ledger/v1/ledger_pb";
import { Live } from "../gen/venuemesh/live/v1/live_pb";
import { MarketData } from "../gen/venuemesh/marketdata/v1/market_data_pb";
import { Registry } from "../gen/venuemesh/registry/v1/registry_pb";
import { Repair } from "../gen/venuemesh/repair/v1/repair_pb";
import { TradeFlow } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";

let whenUnauthenticated: () => void = () => undefined;

/** Calls this when a call or a stream is refused because nobody is signed in. */
export function onUnauthenticated(listener: () => void): void {
  whenUnauthenticated = listener;
}

/** Says that a call by the session's cookie is meant; a page of another site cannot say it. */
export const inSession: Interceptor = (next) => async (request) => {
  request.header.set("x-venuemesh-request", "1");
  try {
    const response = await next(request);
    if (!response.stream) return response;
    return { ...response, message: noticing(response.message) };
  } catch (error) {
    notice(error);
    throw error;
  }
};

async function* noticing<Message>(messages: AsyncIterable<Message>): AsyncIterable<Message> {
  try {
    yield* messages;
  } catch (error) {
    notice(error);
    throw error;
  }
}

function notice(error: unknown): void {
  if (ConnectError.from(error).code === Code.Unauthenticated) whenUnauthenticated();
}

// The gateway serves Studio too, so the API is at the same origin as the page.
const transport = createGrpcWebTransport({ baseUrl: "/", interceptors: [inSession] });

export const tokens = createClient(Tokens, transport);
export const registry = createClient(Registry, transport);
export const live = createClient(Live, transport);
export const history = createClient(History, transport);
export const repair = createClient(Repair, transport);
export const bars = createClient(Bars, transport);
export const marketData = createClient(MarketData, transport);
export const admin = createClient(Admin, transport);
export const tradeFlow = createClient(TradeFlow, transport);
export const inspector = createClient(Inspector, transport);
export const riskReports = createClient(RiskReports, transport);
export const ledger = createClient(Ledger, transport);
export const audit = createClient(Audit, transport);
export const advisor = createClient(Advisor, transport);
export const detector = createClient(Detector, transport);
export const events = createClient(Events, transport);

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
