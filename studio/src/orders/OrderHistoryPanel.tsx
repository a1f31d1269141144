import type { ReactNode } from "react";

import { OrderState } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { formatDateTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { type AccountView, ENDED_MAX, orderKey } from "./accountView";
import { ColumnHeads, ORDER_COLUMNS, OrderCells, OrderWhyLink } from "./OrderCells";
import { detailText } from "./labels";

const COLUMNS = [...ORDER_COLUMNS, "Ended, UTC", "Details", "Chain"];

interface OrderHistoryPanelProps {
  readonly view: AccountView;
  /** Shown at the right of the title. */
  readonly choice: ReactNode;
}

/** Orders that have ended, the last one first. */
export function OrderHistoryPanel({ view: { ended, isKnown }, choice }: OrderHistoryPanelProps) {
  const count = ended.length === ENDED_MAX ? `newest ${ended.length}` : String(ended.length);
  return (
    <Panel
      title="Order history"
      aside={
        <>
          <span className="panel-note">{count}</span>
          {choice}
        </>
      }
    >
      {ended.length === 0 ? (
        <p className="empty">
          {isKnown
            ? "No orders yet. Filled, cancelled, rejected and expired orders appear here."
            : "Waiting …"}
        </p>
      ) : (
        <div className="table-scroll">
          <table className="record-table">
            <ColumnHeads names={COLUMNS} />
            <tbody>
              {ended.map((order) => (
                <tr
                  key={orderKey(order)}
                  data-testid="recent-order-row"
                  data-state={OrderState[order.state].toLowerCase()}
                >
                  <OrderCells order={order} />
                  <td>{formatDateTime(order.updatedTimeNs)}</td>
                  <td className="detail" title={detailText(order)}>
                    <span>{detailText(order)}</span>
                  </td>
                  <td>
                    <OrderWhyLink order={order} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
