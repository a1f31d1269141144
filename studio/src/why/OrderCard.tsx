import { SubmissionOutcome } from "../gen/venuemesh/events/v1/risk_pb";
import type { StoredEvent } from "../gen/venuemesh/events/v1/event_pb";
import { detailText } from "../orders/labels";
import { Size, StateMark } from "../orders/OrderCells";
import { orderText } from "../orders/orderText";
import { formatDateTime, formatTime } from "../ui/format";
import { type OrderStory, orderOf } from "./chain";
import { enumText } from "./enumText";
import { EventCard } from "./EventCard";
import { Facts } from "./Facts";

/** States on the page; the newest ones. */
const STATES_MAX = 50;

interface OrderCardProps {
  readonly id: string;
  readonly isChosen: boolean;
  readonly story: OrderStory;
}

/** An order: its content, its approval, its hand-over, and its states. */
export function OrderCard({ id, isChosen, story }: OrderCardProps) {
  const { approved, submitted, states, requestId } = story;
  const newest = states.map(orderOf).at(-1);
  const content = newest?.content ?? approved?.content;
  return (
    <EventCard
      {...{ id, isChosen }}
      title="Order"
      aside={newest && <StateMark state={newest.state} />}
    >
      {content && <p className="why-sentence">{orderText(content, newest?.sizeUnit ?? "")}</p>}
      <Facts
        facts={[
          [
            "Approved with key",
            approved ? `${approved.keyId}, epoch ${approved.fencingEpoch}` : "",
          ],
          ["Approval ended", approved ? `${formatDateTime(approved.expiresTimeNs)} UTC` : ""],
          ["Handed over", submitted ? submittedText(submitted) : ""],
          ["Request", requestId],
          ["Client order id", newest?.clientOrderId],
          ["Venue’s id", newest?.venueOrderId],
          ["Average price", newest?.averagePrice],
        ]}
      />
      {states.length > 0 ? (
        <StateTable states={states} />
      ) : (
        <p className="failed">No state of it is stored: it was not seen at the venue.</p>
      )}
    </EventCard>
  );
}

function StateTable({ states }: { readonly states: readonly StoredEvent[] }) {
  return (
    <table className="why-table">
      <thead>
        <tr>
          <th scope="col">State</th>
          <th scope="col" className="number">
            Filled
          </th>
          <th scope="col">Time, UTC</th>
          <th scope="col">Details</th>
        </tr>
      </thead>
      <tbody>
        {states.slice(-STATES_MAX).map((stored) => {
          const order = orderOf(stored);
          return (
            order && (
              <tr key={String(stored.position?.sequence)} data-testid="state-row">
                <td>
                  <StateMark state={order.state} />
                </td>
                <td className="number">
                  <Size size={order.filledSize || "0"} unit={order.sizeUnit} />
                </td>
                <td title={`Stored ${formatDateTime(stored.storedTimeNs)}`}>
                  {formatTime(order.updatedTimeNs)}
                </td>
                <td className="wraps">{detailText(order)}</td>
              </tr>
            )
          );
        })}
      </tbody>
    </table>
  );
}

function submittedText({ event, storedTimeNs }: StoredEvent): string {
  const payload = event?.payload;
  if (payload?.case !== "ordersSubmitted") return "";
  const { outcome, refusalReason, detail } = payload.value;
  const parts = [enumText(SubmissionOutcome, outcome), refusalReason, detail];
  return `${formatTime(storedTimeNs)}, ${parts.filter((part) => part !== "").join(": ")}`;
}
