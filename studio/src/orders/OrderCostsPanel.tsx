import { type ReactNode, useMemo } from "react";

import type { OrderCosts } from "../gen/venuemesh/history/v1/order_costs_pb";
import { useFrameStore } from "../state/frameStore";
import { useRunning } from "../state/running";
import { Amount } from "../ui/Amount";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatDateTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { OrderWhyLink, SideMark } from "./OrderCells";
import { typeLabel } from "./labels";
import { COST_COLUMNS, COSTS_MAX, costTexts, pollOrderCosts } from "./orderCosts";

const NAMES = ["Arrived, UTC", "Symbol", "Side", "Type", "Strategy"];
const NOTE = "bps; a cost is above 0, a mark-out above 0 is a gain";

interface OrderCostsPanelProps {
  readonly venue: string;
  readonly account: string;
  /** Shown at the right of the title. */
  readonly choice: ReactNode;
}

/** What the newest orders of an account have cost. Asked for while it is shown. */
export function OrderCostsPanel({ venue, account, choice }: OrderCostsPanelProps) {
  const poll = useMemo(() => pollOrderCosts(venue, account), [venue, account]);
  useRunning(poll);
  const polled = useFrameStore(poll.state);
  const orders = polled.value?.orders ?? [];
  const count = polled.value?.nextPageToken ? `newest ${COSTS_MAX}` : String(orders.length);
  return (
    <Panel
      title="Order costs"
      aside={
        <>
          <span className="panel-note">{`${count} · ${NOTE}`}</span>
          {choice}
        </>
      }
    >
      {orders.length === 0 ? (
        <EmptyPanel polled={polled} empty="No orders yet." />
      ) : (
        <div className="table-scroll">
          <table className="record-table">
            <thead>
              <tr>
                {NAMES.map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
                {COST_COLUMNS.map((name) => (
                  <th key={name} scope="col" className="number">
                    {name}
                  </th>
                ))}
                <th scope="col">Final</th>
                <th scope="col">Chain</th>
              </tr>
            </thead>
            <tbody>
              {orders.map((costs) => (
                <CostsRow key={costs.order?.clientOrderId} costs={costs} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function CostsRow({ costs }: { readonly costs: OrderCosts }) {
  const { order, strategy, complete } = costs;
  if (!order?.content) return null;
  const { symbol, side, type } = order.content;
  return (
    <tr data-testid="order-costs-row" data-complete={complete}>
      <td>{formatDateTime(order.createdTimeNs)}</td>
      <td>{symbol}</td>
      <td>
        <SideMark side={side} />
      </td>
      <td>{typeLabel(type)}</td>
      <td>{strategy}</td>
      {costTexts(costs).map(({ text, unknown }, place) => (
        <td key={COST_COLUMNS[place]} className="number">
          <Amount text={text} unknown={unknown} />
        </td>
      ))}
      <td>{complete ? "yes" : "not yet"}</td>
      <td>
        <OrderWhyLink order={order} />
      </td>
    </tr>
  );
}
