import { useState } from "react";

import { useFrameStore } from "../state/frameStore";
import { useRunning } from "../state/running";
import { ConnectionState } from "../ui/ConnectionState";
import { Panel } from "../ui/Panel";
import { TopStatus } from "../ui/TopStatus";
import { MeshFeed, type MeshService } from "./meshFeed";
import { MeshSummary } from "./MeshSummary";
import { MeshRow } from "./MeshRow";
import { ServiceDetail } from "./ServiceDetail";

const COLUMNS: readonly [string, string][] = [
  ["Service", "Service id"],
  ["Kind", ""],
  ["State", ""],
  ["Events/s", "Since the previous heartbeat, and over the last sixty"],
  ["Lag", "Unread stream entries"],
  ["Lag, time", "Age of the newest event when it was processed"],
  ["Gaps", "Since its start"],
  ["Reconnects", "Since its start"],
  ["Memory", "Resident"],
  ["Uptime", ""],
  ["Address", "Of its gRPC server"],
];

/** Every process of the mesh and its state. */
export function MeshPage() {
  const [feed] = useState(() => new MeshFeed());
  const [selected, setSelected] = useState<string>();
  useRunning(feed);
  const state = useFrameStore(feed.state);
  const services = useFrameStore(feed.services);
  const chosen = services?.find(({ service }) => service.instance?.serviceId === selected);
  return (
    <main className="mesh" data-stale={state.phase !== "live"}>
      <TopStatus>
        <ConnectionState streams={[state]} />
      </TopStatus>
      <MeshSummary services={services ?? []} />
      <div className="mesh-main">
        <Panel title="Services" className="services">
          {services ? (
            <ServiceTable {...{ services, selected }} onSelect={setSelected} />
          ) : (
            <p className="empty">Waiting for the registry …</p>
          )}
        </Panel>
        {chosen?.service.instance && (
          <ServiceDetail
            key={selected}
            instance={chosen.service.instance}
            onClose={() => {
              setSelected(undefined);
            }}
          />
        )}
      </div>
    </main>
  );
}

interface ServiceTableProps {
  readonly services: readonly MeshService[];
  readonly selected: string | undefined;
  readonly onSelect: (serviceId: string | undefined) => void;
}

function ServiceTable({ services, selected, onSelect }: ServiceTableProps) {
  if (services.length === 0) return <p className="empty">No process is registered.</p>;
  return (
    <div className="table-scroll">
      <table>
        <thead>
          <tr>
            {COLUMNS.map(([name, title]) => (
              <th key={name} title={title} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {services.map((entry) => (
            <MeshRow
              key={entry.service.instance?.serviceId}
              entry={entry}
              selected={entry.service.instance?.serviceId === selected}
              onSelect={onSelect}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}
