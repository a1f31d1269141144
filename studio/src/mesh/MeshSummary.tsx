import {
  type Service,
  ServiceState,
  type ServiceStatus,
} from "../gen/venuemesh/registry/v1/registry_pb";
import { formatBytes, formatCount, formatMillis, formatRate } from "../ui/format";
import type { MeshService } from "./meshFeed";

/** The whole mesh in six numbers. */
export function MeshSummary({ services }: { readonly services: readonly MeshService[] }) {
  const all = services.map(({ service }) => service);
  const venues = all.filter(({ instance }) => instance?.kind === "venue");
  const serving = all.filter(({ status }) => status?.state === ServiceState.SERVING);
  const gaps = sum(venues, (status) => Number(status.gapsTotal));
  const facts: [string, string, boolean][] = [
    ["Serving", `${serving.length} of ${all.length}`, serving.length < all.length],
    ["Venues", formatCount(venues.length), false],
    ["Events/s from venues", formatRate(sum(venues, (status) => status.eventsPerSecond)), false],
    [
      "Largest lag",
      formatMillis(Math.max(0, ...all.map(({ status }) => status?.lagMs ?? 0))),
      false,
    ],
    ["Gaps of venues", formatCount(gaps), gaps > 0],
    ["Memory", formatBytes(BigInt(sum(all, (status) => Number(status.memoryBytes)))), false],
  ];
  return (
    <dl className="mesh-summary">
      {facts.map(([name, text, attention]) => (
        <div key={name} className={attention ? "high" : ""}>
          <dt>{name}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}

function sum(services: readonly Service[], amount: (status: ServiceStatus) => number): number {
  return services.reduce((total, { status }) => total + (status ? amount(status) : 0), 0);
}
