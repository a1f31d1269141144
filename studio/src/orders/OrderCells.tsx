import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { type Order, OrderState } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { shortUnit } from "../instrument/sizes";
import { WhyLink } from "../why/WhyLink";
import { flagsText, priceText, sideLabel, stateLabel, typeLabel } from "./labels";

/** What all tables of orders begin with. */
export const ORDER_COLUMNS = [
  "State",
  "Symbol",
  "Side",
  "Size",
  "Price",
  "Type",
  "Filled",
  "Average",
] as const;

const NUMBERS: ReadonlySet<string> = new Set(["Size", "Price", "Filled", "Average", "Fee"]);

export function ColumnHeads({ names }: { readonly names: readonly string[] }) {
  return (
    <thead>
      <tr>
        {names.map((name) => (
          <th key={name} scope="col" className={NUMBERS.has(name) ? "number" : ""}>
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}

/** The cells of ORDER_COLUMNS. */
export function OrderCells({ order }: { readonly order: Order }) {
  const { content, state, filledSize, averagePrice } = order;
  if (!content) return <td colSpan={ORDER_COLUMNS.length} />;
  const flags = flagsText(order);
  return (
    <>
      <td>
        <StateMark state={state} />
      </td>
      <td>{content.symbol}</td>
      <td>
        <SideMark side={content.side} />
      </td>
      <td className="number">
        <Size size={content.size} unit={order.sizeUnit} />
      </td>
      <td className="number">{priceText(content)}</td>
      <td>
        {typeLabel(content.type)}
        {flags !== "" && <small> {flags}</small>}
      </td>
      <td className="number">
        <Size size={filledSize || "0"} unit={order.sizeUnit} />
      </td>
      <td className="number">{averagePrice || "—"}</td>
    </>
  );
}

/** A link to the chain of events behind an order. */
export function OrderWhyLink({ order }: { readonly order: Order }) {
  const { content, clientOrderId, venueOrderId } = order;
  const orderId = clientOrderId || venueOrderId;
  if (!content || orderId === "") return null;
  const { venue, account } = content;
  return <WhyLink question={{ about: "order", venue, account, orderId }} />;
}

/** A size beside its unit. */
export function Size({ size, unit }: { readonly size: string; readonly unit: string }) {
  return (
    <span title={`${size} ${unit}`.trim()}>
      {size}
      {unit !== "" && <small> {shortUnit(unit)}</small>}
    </span>
  );
}

/** The state as a coloured label. */
export function StateMark({ state }: { readonly state: OrderState }) {
  return (
    <strong
      className="order-state"
      data-testid="order-state"
      data-state={OrderState[state].toLowerCase()}
    >
      <span className="lamp" aria-hidden="true" />
      {stateLabel(state)}
    </strong>
  );
}

export function SideMark({ side }: { readonly side: Side }) {
  const tone = side === Side.BUY ? "up" : side === Side.SELL ? "down" : "";
  return <span className={tone}>{sideLabel(side)}</span>;
}
