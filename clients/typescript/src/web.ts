import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { baseUrl, bearer, type Client, clientOf, type ConnectOptions } from "./client.js";

/** Prepares a connection over gRPC-web: "https://host", or "host:port" without TLS. */
export function connect(gateway: string, token: string, options: ConnectOptions = {}): Client {
  const address = baseUrl(gateway, token, options);
  return clientOf(createGrpcWebTransport({ baseUrl: address, interceptors: bearer(token) }));
}
