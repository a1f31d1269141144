import { CONNECTING, follow, type StreamState } from "../api/stream";
import { registry } from "../api/transport";
import type { Service } from "../gen/venuemesh/registry/v1/registry_pb";
import { FrameStore } from "../state/frameStore";

const RATES_MAX = 60;

/** A service and its last rates, oldest first, in events per second. */
export interface MeshService {
  readonly service: Service;
  readonly rates: readonly number[];
}

/** Every process of the mesh, from the registry. */
export class MeshFeed {
  readonly state = new FrameStore<StreamState>(CONNECTING);
  /** By kind, then by name; undefined until the registry's first response. */
  readonly services = new FrameStore<readonly MeshService[] | undefined>(undefined);

  start(): () => void {
    return follow((options) => registry.watch({}, options), {
      onMessage: (message) => {
        this.services.set(addRates(this.services.latest ?? [], message.services));
      },
      onState: (state) => {
        this.state.set(state);
      },
    });
  }
}

/** The new list. Each service keeps its rates, plus one per new heartbeat. */
export function addRates(
  before: readonly MeshService[],
  services: readonly Service[],
): readonly MeshService[] {
  const known = new Map(before.map((entry) => [entry.service.instance?.serviceId, entry]));
  return services.map((service) => {
    const past = known.get(service.instance?.serviceId);
    if (past?.service.heartbeatTimeNs === service.heartbeatTimeNs) return { ...past, service };
    const rate = service.status?.eventsPerSecond ?? 0;
    return { service, rates: [...(past?.rates ?? []), rate].slice(-RATES_MAX) };
  });
}
