import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { expect, it } from "vitest";

import { Registry } from "../gen/venuemesh/registry/v1/registry_pb";
import { inSession, onUnauthenticated } from "./transport";

const NOBODY = new ConnectError("no token", Code.Unauthenticated);

it("says that a call is meant, and tells of calls and streams without a session", async () => {
  const meant: (string | null)[] = [];
  let times = 0;
  onUnauthenticated(() => (times += 1));
  const transport = createRouterTransport(
    ({ service }) => {
      service(Registry, {
        listServices(_, { requestHeader }) {
          meant.push(requestHeader.get("x-venuemesh-request"));
          throw NOBODY;
        },
        // eslint-disable-next-line require-yield
        async *watch() {
          await Promise.resolve();
          throw NOBODY;
        },
      });
    },
    { transport: { interceptors: [inSession] } },
  );
  const client = createClient(Registry, transport);
  await expect(client.listServices({})).rejects.toThrow("no token");
  expect([meant, times]).toEqual([["1"], 1]);
  const stream = client.watch({})[Symbol.asyncIterator]();
  await expect(stream.next()).rejects.toThrow("no token");
  expect(times).toBe(2);
});
