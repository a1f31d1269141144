import { memo } from "react";

import { type ServiceStatus, ServiceState } from "../gen/venuemesh/registry/v1/registry_pb";
import { formatBytes, formatCount, formatDuration, formatMillis, formatRate } from "../ui/format";
import { Sparkline } from "../ui/Sparkline";
import type { MeshService } from "./meshFeed";

/** Lags that are highlighted. */
const LAG_MS_HIGH = 1_000;
const LAG_ENTRIES_HIGH = 1_000n;

interface MeshRowProps {
  readonly entry: MeshService;
  readonly selected: boolean;
  readonly onSelect: (serviceId: string | undefined) => void;
}

export const MeshRow = memo(function MeshRow({ entry, selected, onSelect }: MeshRowProps) {
  const { instance, status, heartbeatTimeNs } = entry.service;
  if (!instance) return null;
  const { serviceId, kind, name, startTimeNs, address } = instance;
  const state = ServiceState[status?.state ?? ServiceState.UNSPECIFIED].toLowerCase();
  // Uses the registry's clock only, because this computer's clock may be wrong.
  const uptimeMs = Number((heartbeatTimeNs - startTimeNs) / 1_000_000n);
  const toggle = () => {
    onSelect(selected ? undefined : serviceId);
  };
  return (
    <tr
      data-testid={`mesh-row-${serviceId}`}
      data-state={state}
      aria-selected={selected}
      tabIndex={0}
      onClick={toggle}
      onKeyDown={(event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          toggle();
        }
      }}
    >
      <th scope="row">
        {serviceId}
        {name !== serviceId && <small>{name}</small>}
      </th>
      <td>{kind}</td>
      <td className="state">
        <span className="lamp" aria-hidden="true" />
        {state}
        {status?.detail ? <small title={status.detail}>{status.detail}</small> : null}
      </td>
      {status ? <StatusCells status={status} rates={entry.rates} /> : <td colSpan={6} />}
      <td>{formatDuration(uptimeMs)}</td>
      <td className="address">{address}</td>
    </tr>
  );
});

interface StatusCellsProps {
  readonly status: ServiceStatus;
  readonly rates: readonly number[];
}

function StatusCells({ status, rates }: StatusCellsProps) {
  return (
    <>
      <td className="rate">
        <Sparkline values={rates} />
        <span data-field="events_per_second">{formatRate(status.eventsPerSecond)}</span>
      </td>
      <td className={status.lagEntries >= LAG_ENTRIES_HIGH ? "high" : ""}>
        {formatCount(status.lagEntries)}
      </td>
      <td className={status.lagMs >= LAG_MS_HIGH ? "high" : ""}>{formatMillis(status.lagMs)}</td>
      <td className={status.gapsTotal > 0n ? "high" : ""}>{formatCount(status.gapsTotal)}</td>
      <td>{formatCount(status.reconnectsTotal)}</td>
      <td>{formatBytes(status.memoryBytes)}</td>
    </>
  );
}
