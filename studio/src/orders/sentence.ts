import { type Instrument, InstrumentKind, Side } from "../gen/venuemesh/common/v1/types_pb";
import { type OrderContent, OrderType, TimeInForce } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { alignDecimals, formatScaled, multiply, parseDecimal } from "../ui/decimal";
import { formatDateTime } from "../ui/format";
import { sideWord } from "./words";

/** All that will be sent, in words: "Buy 0.01 BTCUSDT at 60000 on binance, account demo". */
export function sentenceOf(content: OrderContent): string {
  const { side, size, symbol, venue, account } = content;
  const price = content.price === "" ? "the market price" : content.price;
  const what = `${sideWord(side)} ${size} ${symbol} at ${price} on ${venue}, account ${account}`;
  return [what, ...conditionsOf(content)].join(", ");
}

/** What it is worth, for example "600.00 USDT"; empty where price times size does not say it. */
export function worthOf(content: OrderContent, instrument: Instrument | undefined): string {
  if (content.price === "" || instrument?.kind !== InstrumentKind.SPOT) return "";
  const worth = formatScaled(multiply(parseDecimal(content.price), parseDecimal(content.size)));
  return `${alignDecimals(worth, 2)} ${instrument.quote}`;
}

function conditionsOf(content: OrderContent): readonly string[] {
  const conditions = [wakingOf(content), waitingOf(content)];
  if (content.postOnly) conditions.push("as maker only");
  if (content.reduceOnly) conditions.push("only to make a position smaller");
  return conditions.filter((condition) => condition !== "");
}

/** When an order wakes that waits for a price. */
function wakingOf({ type, side, stopPrice, trailingOffset }: OrderContent): string {
  const isBuy = side === Side.BUY;
  switch (type) {
    case OrderType.STOP:
    case OrderType.STOP_LIMIT:
      return `once the market has ${isBuy ? "risen" : "fallen"} to ${stopPrice}`;
    case OrderType.TAKE_PROFIT:
    case OrderType.TAKE_PROFIT_LIMIT:
      return `once the market has ${isBuy ? "fallen" : "risen"} to ${stopPrice}`;
    case OrderType.TRAILING_STOP: {
      const turn = isBuy ? "risen" : "fallen";
      const best = isBuy ? "lowest" : "highest";
      return `once the market has ${turn} by ${trailingOffset} from its ${best} price`;
    }
    default:
      return "";
  }
}

function waitingOf({ timeInForce, expireTimeNs }: OrderContent): string {
  switch (timeInForce) {
    case TimeInForce.IMMEDIATE_OR_CANCEL:
      return "cancelling what cannot be filled at once";
    case TimeInForce.FILL_OR_KILL:
      return "all of it at once or nothing";
    case TimeInForce.GOOD_TILL_TIME:
      return `until ${formatDateTime(expireTimeNs)} UTC`;
    default:
      return "";
  }
}
