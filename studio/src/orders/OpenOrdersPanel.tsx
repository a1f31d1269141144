import { useMemo } from "react";

import { failureText } from "../api/failure";
import { type Order, OrderState } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { TradeFlow } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";
import { useRefusal } from "../session/refusal";
import { useFrameStore } from "../state/frameStore";
import { formatCount, formatDateTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { type AccountView, orderKey, sortOpen } from "./accountView";
import { ALL_ORDERS, type CancelState } from "./orderCanceller";
import { ColumnHeads, ORDER_COLUMNS, OrderCells, OrderWhyLink } from "./OrderCells";
import { detailText } from "./labels";
import type { AccountSession } from "./accountSession";

const COLUMNS = [...ORDER_COLUMNS, "Placed, UTC", "Details", "Chain", "Cancel"];
const ROWS_MAX = 200;
const NO_ID =
  "This order was placed elsewhere without a client order id. Cancel it there, or cancel all.";

interface OpenOrdersPanelProps {
  readonly view: AccountView;
  readonly session: AccountSession;
  readonly onCancelAll: () => void;
}

/** Open orders, each with a button to cancel it. */
export function OpenOrdersPanel({ view, session, onCancelAll }: OpenOrdersPanelProps) {
  const { canceller } = session;
  const cancels = useFrameStore(canceller.state);
  const orders = useMemo(() => sortOpen(view.open, isUnknown).slice(0, ROWS_MAX), [view.open]);
  const count = view.open.length;
  const failure = cancels.failures.get(ALL_ORDERS);
  const refusal = useRefusal(TradeFlow.method.cancelAllOrders);
  return (
    <Panel
      title="Open orders"
      className="open-orders"
      aside={
        <>
          {failure && (
            <span className="panel-note failed" role="alert">
              {failureText(failure)}
            </span>
          )}
          <span className="panel-note">
            {count > ROWS_MAX ? `${ROWS_MAX} of ${formatCount(count)}` : formatCount(count)}
          </span>
          <button
            className="outline-button"
            data-testid="cancel-all"
            title={refusal}
            disabled={refusal !== undefined || count === 0 || cancels.waiting.has(ALL_ORDERS)}
            onClick={onCancelAll}
          >
            {cancels.waiting.has(ALL_ORDERS) ? "Cancelling …" : "Cancel all …"}
          </button>
        </>
      }
    >
      {orders.length === 0 ? (
        <p className="empty">{view.isKnown ? "No open orders." : "Waiting for the account …"}</p>
      ) : (
        <div className="table-scroll">
          <table className="record-table">
            <ColumnHeads names={COLUMNS} />
            <tbody>
              {orders.map((order) => (
                <OpenRow
                  key={orderKey(order)}
                  order={order}
                  cancels={cancels}
                  onCancel={() => {
                    void canceller.cancel(order);
                  }}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

interface OpenRowProps {
  readonly order: Order;
  readonly cancels: CancelState;
  readonly onCancel: () => void;
}

function OpenRow({ order, cancels, onCancel }: OpenRowProps) {
  const key = orderKey(order);
  const failure = cancels.failures.get(key);
  const refusal = useRefusal(TradeFlow.method.cancelOrder);
  const isWaiting = cancels.waiting.has(key) || cancels.waiting.has(ALL_ORDERS);
  const { content, clientOrderId, requestId, venueOrderId } = order;
  const detail = failure ? failureText(failure) : detailText(order);
  return (
    <tr
      data-testid="open-order-row"
      data-state={OrderState[order.state].toLowerCase()}
      title={`Request ${requestId}\nClient id ${clientOrderId}\nVenue id ${venueOrderId}`}
    >
      <OrderCells order={order} />
      <td>{formatDateTime(order.createdTimeNs)}</td>
      <td className={failure ? "detail failed" : "detail"} title={detail}>
        <span>{detail}</span>
      </td>
      <td>
        <OrderWhyLink order={order} />
      </td>
      <td className="act">
        <button
          className="outline-button"
          data-testid="order-cancel"
          aria-label={`Cancel ${content?.symbol ?? ""} ${content?.size ?? ""}`}
          title={refusal ?? (clientOrderId === "" ? NO_ID : "Cancel this order")}
          disabled={refusal !== undefined || isWaiting || clientOrderId === ""}
          onClick={onCancel}
        >
          {isWaiting ? "Cancelling …" : "Cancel"}
        </button>
      </td>
    </tr>
  );
}

function isUnknown({ state }: Order): boolean {
  return state === OrderState.UNKNOWN;
}
