import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { type OrderContent, OrderType, TimeInForce } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { formatDateTime } from "../ui/format";
import { sideLabel } from "./labels";

/**
 * An order as a sentence: "Buy 0.01 BTC in BTCUSDT at 60000 on binance, account demo". Without the
 * unit of its size: "Buy 0.01 BTCUSDT at …".
 */
export function orderText(content: OrderContent, unit: string): string {
  const { side, size, symbol, venue, account } = content;
  const price = content.price === "" ? "the market price" : content.price;
  const amount = unit === "" ? `${size} ${symbol}` : `${size} ${unit} in ${symbol}`;
  const what = `${sideLabel(side)} ${amount} at ${price} on ${venue}, account ${account}`;
  return [what, ...conditionsOf(content)].join(", ");
}

function conditionsOf(content: OrderContent): readonly string[] {
  const conditions = [triggerText(content), timeInForceText(content)];
  if (content.postOnly) conditions.push("post-only");
  if (content.reduceOnly) conditions.push("reduce-only");
  return conditions.filter((condition) => condition !== "");
}

/** The trigger condition of a stop or take-profit order. */
function triggerText({ type, side, stopPrice, trailingOffset }: OrderContent): string {
  const isBuy = side === Side.BUY;
  switch (type) {
    case OrderType.STOP:
    case OrderType.STOP_LIMIT:
      return `when the price ${isBuy ? "rises" : "falls"} to ${stopPrice}`;
    case OrderType.TAKE_PROFIT:
    case OrderType.TAKE_PROFIT_LIMIT:
      return `when the price ${isBuy ? "falls" : "rises"} to ${stopPrice}`;
    case OrderType.TRAILING_STOP: {
      const turn = isBuy ? "rises" : "falls";
      const best = isBuy ? "lowest" : "highest";
      return `when the price ${turn} by ${trailingOffset} from its ${best} value`;
    }
    default:
      return "";
  }
}

function timeInForceText({ timeInForce, expireTimeNs }: OrderContent): string {
  switch (timeInForce) {
    case TimeInForce.IMMEDIATE_OR_CANCEL:
      return "immediate or cancel";
    case TimeInForce.FILL_OR_KILL:
      return "fill or kill";
    case TimeInForce.GOOD_TILL_TIME:
      return `until ${formatDateTime(expireTimeNs)} UTC`;
    default:
      return "";
  }
}
