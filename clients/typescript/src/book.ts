import { crc32 } from "./crc32.js";
import { Decimal } from "./decimal.js";
import type { Cursor } from "./gen/venuemesh/common/v1/types_pb.js";
import type {
  BookColumns,
  InstrumentEntry,
  MarketDataBatch,
} from "./gen/venuemesh/marketdata/v1/batch_pb.js";
import {
  BookState,
  type GetOrderBookResponse,
} from "./gen/venuemesh/marketdata/v1/market_data_pb.js";
import { MalformedBatch } from "./table.js";

const CHECKSUM_LEVELS = 25;

export interface Level {
  readonly price: Decimal;
  readonly size: Decimal;
}

/**
 * empty: no snapshot yet. proven: every update since the snapshot is applied. in_doubt: an update
 * is missing; the levels may be wrong. unproven: no fault is known, but the venue offers no proof.
 */
export type State = "empty" | "proven" | "in_doubt" | "unproven";

const STATES: Readonly<Partial<Record<BookState, State>>> = {
  [BookState.PROVEN]: "proven",
  [BookState.IN_DOUBT]: "in_doubt",
  [BookState.UNPROVEN]: "unproven",
};

/**
 * The order book of one instrument, made of a snapshot and the updates after it. It waits for a
 * snapshot, or begins with an answer of GetOrderBook, which the batches after its cursor continue.
 */
export class Book {
  state: State = "empty";
  epoch = 0;
  lastSequence = 0n;
  /** That of the last batch. */
  cursor: Cursor | undefined;
  /** Highest price first. */
  bids: Level[] = [];
  /** Lowest price first. */
  asks: Level[] = [];
  /** What a snapshot makes of the book. */
  private whole: State = "proven";

  constructor(
    readonly symbol: string,
    answer?: GetOrderBookResponse,
  ) {
    if (answer) this.begin(answer);
  }

  /** Takes the whole book from an answer. */
  begin(answer: GetOrderBookResponse): void {
    this.state = STATES[answer.state] ?? "empty";
    this.whole = this.state === "unproven" ? "unproven" : "proven";
    this.epoch = answer.bookEpoch;
    this.lastSequence = answer.lastSequence;
    this.cursor = answer.cursor;
    const parse = (level: { price: string; size: string }) => ({
      price: Decimal.parse(level.price),
      size: Decimal.parse(level.size),
    });
    this.bids = answer.bids.map(parse);
    this.asks = answer.asks.map(parse);
  }

  /** Whether every update since the snapshot is applied. */
  get isWhole(): boolean {
    return this.state === this.whole;
  }

  /** Takes the next batch of the channel BOOK. Throws MalformedBatch; the book is then in doubt. */
  apply(batch: MarketDataBatch): void {
    if (batch.cursor) this.cursor = batch.cursor;
    if (batch.gaps.some((gap) => gap.symbol === "" || gap.symbol === this.symbol)) this.doubt();
    if (batch.columns.case !== "book") return;
    const columns = batch.columns.value;
    try {
      checkColumns(columns, batch.instruments);
    } catch (error) {
      this.doubt();
      throw error;
    }
    let start = 0;
    columns.instrument.forEach((position, row) => {
      const middle = start + (columns.bidCount[row] ?? 0);
      const end = middle + (columns.askCount[row] ?? 0);
      const entry = batch.instruments[position];
      if (entry?.symbol === this.symbol && this.accepts(columns, row)) {
        this.lastSequence = columns.lastSequence[row] ?? 0n;
        merge(this.bids, readLevels(columns, entry, start, middle), -1);
        merge(this.asks, readLevels(columns, entry, middle, end), 1);
      }
      start = end;
    });
  }

  /** What GetOrderBook answers for the same book: see GetOrderBookResponse.checksum. */
  checksum(): number {
    const parts: string[] = [];
    for (let index = 0; index < CHECKSUM_LEVELS; index++) {
      for (const level of [this.bids[index], this.asks[index]]) {
        if (level) parts.push(level.price.toString(), level.size.toString());
      }
    }
    return crc32(parts.join(":"));
  }

  /** An update is missing: nothing is applied until a snapshot. */
  doubt(): void {
    if (this.state !== "empty") this.state = "in_doubt";
  }

  /** An update of another epoch, or after a gap, belongs to a book that we do not have. */
  private accepts(columns: BookColumns, row: number): boolean {
    if (columns.snapshot[row] === true) {
      this.state = this.whole;
      this.epoch = columns.bookEpoch[row] ?? 0;
      this.bids = [];
      this.asks = [];
      return true;
    }
    return this.isWhole && columns.bookEpoch[row] === this.epoch;
  }
}

function checkColumns(columns: BookColumns, instruments: readonly InstrumentEntry[]): void {
  const count = columns.instrument.length;
  const { firstSequence, lastSequence, snapshot, bookEpoch, bidCount, askCount } = columns;
  const ofUpdates = [firstSequence, lastSequence, snapshot, bookEpoch, bidCount, askCount];
  if (ofUpdates.some((column) => column.length !== count)) {
    throw new MalformedBatch(`columns of ${String(count)} book updates differ in length`);
  }
  const levels = [...bidCount, ...askCount].reduce((sum, each) => sum + each, 0);
  if (columns.price.length !== levels || columns.size.length !== levels) {
    throw new MalformedBatch(
      `${String(levels)} levels have ${String(columns.price.length)} prices`,
    );
  }
  if (columns.instrument.some((position) => position >= instruments.length)) {
    throw new MalformedBatch("a book update names no instrument of its batch");
  }
}

function readLevels(
  columns: BookColumns,
  entry: InstrumentEntry,
  start: number,
  end: number,
): Level[] {
  return columns.price.slice(start, end).map((price, index) => ({
    price: new Decimal(price, entry.priceScale),
    size: new Decimal(columns.size[start + index] ?? 0n, entry.sizeScale),
  }));
}

/** Applies changes to levels; size 0 removes. `direction`: 1 for ascending prices, else -1. */
function merge(levels: Level[], changes: readonly Level[], direction: 1 | -1): void {
  for (const change of changes) {
    let low = 0;
    let high = levels.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const level = levels[middle];
      if (level && direction * level.price.compare(change.price) < 0) low = middle + 1;
      else high = middle;
    }
    const isThere = levels[low]?.price.compare(change.price) === 0;
    levels.splice(low, isThere ? 1 : 0, ...(change.size.unscaled === 0n ? [] : [change]));
  }
}
