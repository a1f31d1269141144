import type { MarketDataBatch } from "../gen/venuemesh/marketdata/v1/batch_pb";
import { type Book, type BookStatus, concerns } from "./book";
import type { Scaled } from "../ui/decimal";

/** Best bid and ask as the venue publishes them. */
export interface Quote {
  readonly status: BookStatus;
  readonly bid: Scaled;
  readonly bidSize: Scaled;
  readonly ask: Scaled;
  readonly askSize: Scaled;
}

const NOTHING: Scaled = { value: 0n, scale: 0 };

export const NO_QUOTE: Quote = {
  status: "waiting",
  bid: NOTHING,
  bidSize: NOTHING,
  ask: NOTHING,
  askSize: NOTHING,
};

/** The quote after a batch of the QUOTES channel. The newest row counts. */
export function applyQuoteBatch(quote: Quote, batch: MarketDataBatch, symbol: string): Quote {
  let next = quote;
  if (batch.gaps.some((gap) => concerns(gap, symbol))) next = { ...next, status: "in_doubt" };
  if (batch.columns.case !== "quotes") return next;
  const columns = batch.columns.value;
  for (let row = columns.instrument.length - 1; row >= 0; row--) {
    const instrument = batch.instruments[columns.instrument[row] ?? -1];
    if (instrument?.symbol !== symbol) continue;
    const price = (value = 0n): Scaled => ({ value, scale: instrument.priceScale });
    const size = (value = 0n): Scaled => ({ value, scale: instrument.sizeScale });
    return {
      status: "proven",
      bid: price(columns.bidPrice[row]),
      bidSize: size(columns.bidSize[row]),
      ask: price(columns.askPrice[row]),
      askSize: size(columns.askSize[row]),
    };
  }
  return next;
}

/** Marks a proven quote as stale; a quote in doubt stays in doubt. */
export function loseQuote(quote: Quote): Quote {
  return quote.status === "proven" ? { ...quote, status: "stale" } : quote;
}

/** The state of a best price: the worse of quote and book. */
export function bestStatus(quote: Quote, book: Book): BookStatus {
  const statuses = [quote.status, book.status];
  const worst = (["in_doubt", "stale", "waiting"] as const).find((status) =>
    statuses.includes(status),
  );
  return worst ?? "proven";
}
