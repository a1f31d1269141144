import { useMemo } from "react";

import { failureText } from "../api/failure";
import { allPages } from "../api/pages";
import { admin, toService } from "../api/transport";
import { type Subscription, SubscriptionState } from "../gen/venuemesh/admin/v1/admin_pb";
import { Channel } from "../gen/venuemesh/common/v1/types_pb";
import type { ServiceInstance } from "../gen/venuemesh/registry/v1/registry_pb";
import { useFrameStore } from "../state/frameStore";
import { Poll } from "../state/poll";
import { useRunning } from "../state/running";
import { formatCount, formatDateTime } from "../ui/format";
import { Icon } from "../ui/Icon";
import { Panel } from "../ui/Panel";

const PAUSE_MS = 2_000;

interface ServiceDetailProps {
  readonly instance: ServiceInstance;
  readonly onClose: () => void;
}

/** Details of one process, from Admin. */
export function ServiceDetail({ instance, onClose }: ServiceDetailProps) {
  const { serviceId, kind } = instance;
  const poll = useMemo(() => pollDetail(serviceId, kind === "venue"), [serviceId, kind]);
  useRunning(poll);
  const { value, failure } = useFrameStore(poll.state);
  return (
    <Panel
      title={serviceId}
      className="service-detail"
      aside={
        <button className="quiet-button" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      }
    >
      <div className="detail-scroll">
        <Facts instance={instance} />
        {failure && <p className="failed">{failureText(failure)}</p>}
        {value && value.subscriptions.length > 0 && (
          <Subscriptions subscriptions={value.subscriptions} />
        )}
        {value && <Counters counters={value.counters} />}
      </div>
    </Panel>
  );
}

interface Detail {
  readonly counters: Readonly<Record<string, number>>;
  readonly subscriptions: readonly Subscription[];
}

function pollDetail(serviceId: string, isVenue: boolean): Poll<Detail> {
  return new Poll(async (signal) => {
    const options = toService(serviceId, signal);
    const [status, pages] = await Promise.all([
      admin.getStatus({ serviceId }, options),
      isVenue
        ? allPages((pageToken) => admin.listSubscriptions({ serviceId, pageToken }, options))
        : [],
    ]);
    return {
      counters: status.counters,
      subscriptions: pages.flatMap(({ subscriptions }) => subscriptions),
    };
  }, PAUSE_MS);
}

function Facts({ instance }: { readonly instance: ServiceInstance }) {
  const facts: [string, string][] = [
    ["Address", instance.address],
    ["Metrics", instance.metricsAddress],
    ["Version", instance.version],
    ["Started", `${formatDateTime(instance.startTimeNs)} UTC`],
    ["Serves", instance.grpcServices.map((name) => name.split(".").at(-1)).join(", ")],
  ];
  return (
    <dl className="facts">
      {facts.map(([name, text]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{text || "—"}</dd>
        </div>
      ))}
    </dl>
  );
}

function Subscriptions({ subscriptions }: { readonly subscriptions: readonly Subscription[] }) {
  return (
    <table className="subscriptions">
      <thead>
        <tr>
          <th scope="col">Symbol</th>
          <th scope="col">Channel</th>
          <th scope="col">State</th>
          <th scope="col">Events</th>
          <th scope="col">Gaps</th>
        </tr>
      </thead>
      <tbody>
        {subscriptions.map(({ symbol, channel, state, detail, eventsTotal, gapsTotal }) => (
          <tr
            key={`${symbol}/${channel}`}
            data-state={SubscriptionState[state].toLowerCase()}
            title={detail}
          >
            <th scope="row">{symbol}</th>
            <td>{Channel[channel].toLowerCase()}</td>
            <td className="state">
              <span className="lamp" aria-hidden="true" />
              {SubscriptionState[state].toLowerCase().replace("_", " ")}
            </td>
            <td>{formatCount(eventsTotal)}</td>
            <td className={gapsTotal > 0n ? "high" : ""}>{formatCount(gapsTotal)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Counters({ counters }: { readonly counters: Readonly<Record<string, number>> }) {
  const sorted = Object.entries(counters).sort(([left], [right]) => left.localeCompare(right));
  return (
    <dl className="facts">
      {sorted.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{formatCount(value)}</dd>
        </div>
      ))}
    </dl>
  );
}
