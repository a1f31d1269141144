import type { Gap } from "../gen/venuemesh/common/v1/types_pb";
import type { BookColumns, MarketDataBatch } from "../gen/venuemesh/marketdata/v1/batch_pb";
import { compare, type Scaled } from "../ui/decimal";

export interface Level {
  readonly price: Scaled;
  readonly size: Scaled;
}

export type BookStatus =
  /** No snapshot yet. */
  | "waiting"
  /** Every update since the snapshot is applied. */
  | "proven"
  /** An update is missing; the levels are the last proven ones and may be wrong. */
  | "in_doubt"
  /** The stream or the venue is away; the levels are the last known ones. */
  | "stale";

/** The order book of one instrument. Bids from the highest price, asks from the lowest. */
export interface Book {
  readonly status: BookStatus;
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
  readonly epoch: number;
  readonly lastSequence: bigint;
}

export const NO_BOOK: Book = { status: "waiting", bids: [], asks: [], epoch: 0, lastSequence: 0n };

/** The book after a batch of the BOOK channel. A batch's gaps come before its rows. */
export function applyBookBatch(book: Book, batch: MarketDataBatch, symbol: string): Book {
  let next = book;
  if (batch.gaps.some((gap) => concerns(gap, symbol))) next = { ...next, status: "in_doubt" };
  if (batch.columns.case !== "book") return next;
  const columns = batch.columns.value;
  let level = 0;
  for (let row = 0; row < columns.instrument.length; row++) {
    const counts = { bids: columns.bidCount[row] ?? 0, asks: columns.askCount[row] ?? 0 };
    const instrument = batch.instruments[columns.instrument[row] ?? -1];
    if (instrument?.symbol === symbol) {
      const scales = { price: instrument.priceScale, size: instrument.sizeScale };
      const bids = readLevels(columns, level, counts.bids, scales);
      const asks = readLevels(columns, level + counts.bids, counts.asks, scales);
      next = applyUpdate(next, columns, row, bids, asks);
    }
    level += counts.bids + counts.asks;
  }
  return next;
}

/** Marks a proven book as stale; a book in doubt stays in doubt. */
export function loseBook(book: Book): Book {
  return book.status === "proven" ? { ...book, status: "stale" } : book;
}

/** A gap without a symbol concerns every instrument of its channel. */
export function concerns(gap: Gap, symbol: string): boolean {
  return gap.symbol === "" || gap.symbol === symbol;
}

function applyUpdate(
  book: Book,
  columns: BookColumns,
  row: number,
  bids: Level[],
  asks: Level[],
): Book {
  const epoch = columns.bookEpoch[row] ?? 0;
  const lastSequence = columns.lastSequence[row] ?? 0n;
  if (columns.snapshot[row] === true) return { status: "proven", bids, asks, epoch, lastSequence };
  // A change applies only to the proven book of its epoch.
  if (book.status !== "proven" || epoch !== book.epoch) return book;
  return {
    status: "proven",
    bids: mergeLevels(book.bids, bids, -1),
    asks: mergeLevels(book.asks, asks, 1),
    epoch,
    lastSequence,
  };
}

/** Levels after changes; size 0 removes. `direction`: 1 for ascending prices, else -1. */
export function mergeLevels(
  levels: readonly Level[],
  changes: readonly Level[],
  direction: 1 | -1,
): Level[] {
  const order = (left: Level, right: Level) => direction * compare(left.price, right.price);
  const merged = levels.filter((level) => !changes.some((change) => order(level, change) === 0));
  merged.push(...changes.filter((change) => change.size.value !== 0n));
  return merged.sort(order);
}

function readLevels(
  columns: BookColumns,
  start: number,
  count: number,
  scales: { price: number; size: number },
): Level[] {
  const levels: Level[] = [];
  for (let index = start; index < start + count; index++) {
    const price = columns.price[index];
    const size = columns.size[index];
    if (price === undefined || size === undefined) break;
    levels.push({
      price: { value: price, scale: scales.price },
      size: { value: size, scale: scales.size },
    });
  }
  return levels;
}
