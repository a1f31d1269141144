import {
  type Conversion,
  type ConversionPrice,
  type NotIncluded,
} from "../gen/venuemesh/ledger/v1/equity_pb";
import { formatTime } from "../ui/format";

/** "5 DOGE", "open profit in USDT": what is not in a total. */
export function notIncludedText(rows: readonly NotIncluded[]): string {
  return rows
    .map(({ asset, amount }) => (amount === "" ? `open profit in ${asset}` : `${amount} ${asset}`))
    .join(", ");
}

/** One line for each asset, with its prices and their times. */
export function ratesText({ rates }: Conversion): string {
  return rates
    .map(({ asset, prices }) => `${asset}: ${prices.map(priceText).join(", then ")}`)
    .join("\n");
}

function priceText({ venue, symbol, price, inverted, timeNs }: ConversionPrice): string {
  const shown = inverted ? `1 / ${price}` : price;
  return `${shown} (${venue} ${symbol}, ${formatTime(timeNs)})`;
}
