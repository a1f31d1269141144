import { allPages } from "../api/pages";
import { admin, registry, toService } from "../api/transport";
import { ServiceState } from "../gen/venuemesh/registry/v1/registry_pb";
import { TradeFlow } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";
import { Poll } from "../state/poll";

export interface Venue {
  readonly id: string;
  readonly serviceId: string;
  readonly isServing: boolean;
  /** Whether it has an account. */
  readonly takesOrders: boolean;
}

const PAUSE_MS = 5_000;

/** The venues of the mesh, from the registry. */
export function pollVenues(): Poll<readonly Venue[]> {
  return new Poll(async (signal) => {
    const pages = await allPages((pageToken) =>
      registry.listServices({ kind: "venue", pageToken }, { signal }),
    );
    return pages
      .flatMap(({ services }) => services)
      .flatMap(({ instance, status }) =>
        instance
          ? [
              {
                id: instance.name,
                serviceId: instance.serviceId,
                isServing: status?.state === ServiceState.SERVING,
                takesOrders: instance.grpcServices.includes(TradeFlow.typeName),
              },
            ]
          : [],
      );
  }, PAUSE_MS);
}

/** The native symbols that a venue process streams now. */
export function pollStreamed(serviceId: string): Poll<ReadonlySet<string>> {
  return new Poll(async (signal) => {
    const pages = await allPages((pageToken) =>
      admin.listSubscriptions({ serviceId, pageToken }, toService(serviceId, signal)),
    );
    return new Set(pages.flatMap(({ subscriptions }) => subscriptions).map(({ symbol }) => symbol));
  }, PAUSE_MS);
}

/** Asks a venue process to stream one more instrument. */
export async function startStreaming(serviceId: string, symbol: string): Promise<void> {
  const { signal } = new AbortController();
  await admin.updateSubscriptions(
    { serviceId, addSymbols: [symbol] },
    toService(serviceId, signal),
  );
}
