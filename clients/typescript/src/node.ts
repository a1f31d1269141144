import { createGrpcTransport } from "@connectrpc/connect-node";

import { baseUrl, bearer, type Client, clientOf, type ConnectOptions } from "./client.js";

/** A connection that does not answer is lost. */
const PING_INTERVAL_MS = 10_000;
const PING_TIMEOUT_MS = 5_000;

/** Prepares a connection over gRPC: "https://host", or "host:port" without TLS. */
export function connect(gateway: string, token: string, options: ConnectOptions = {}): Client {
  const address = baseUrl(gateway, token, options);
  const alive = { pingIntervalMs: PING_INTERVAL_MS, pingTimeoutMs: PING_TIMEOUT_MS };
  return clientOf(
    createGrpcTransport({ baseUrl: address, interceptors: bearer(token), ...alive }),
  );
}
