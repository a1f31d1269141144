import { type DescEnum, type DescField, type Message, ScalarType } from "@bufbuild/protobuf";

import {
  BookColumnsSchema,
  CandleColumnsSchema,
  FrameColumnsSchema,
  type InstrumentEntry,
  MarkColumnsSchema,
  type MarketDataBatch,
  QuoteColumnsSchema,
  StatusColumnsSchema,
  TickerColumnsSchema,
  TradeColumnsSchema,
} from "./gen/venuemesh/marketdata/v1/batch_pb.js";
import { Decimal } from "./decimal.js";

/**
 * A Decimal (prices, sizes, rates), a bigint or a number (times and other numbers), a text, an
 * enum as a lower-case word ("" if not set), a boolean, bytes, or the message of a listing.
 */
export type Cell = Decimal | bigint | number | string | boolean | Uint8Array | Message;

/** Rows of one batch. A row of the book is one level of an update; its side is "bid" or "ask". */
export interface Table {
  /** trades, quotes, book, tickers, marks, candles, status or frames; "" without rows. */
  readonly channel: string;
  /** By the names of the contract, after "symbol". */
  readonly columns: Readonly<Record<string, readonly Cell[]>>;
}

const SCHEMAS = {
  trades: TradeColumnsSchema,
  quotes: QuoteColumnsSchema,
  book: BookColumnsSchema,
  tickers: TickerColumnsSchema,
  marks: MarkColumnsSchema,
  candles: CandleColumnsSchema,
  status: StatusColumnsSchema,
  frames: FrameColumnsSchema,
};
const NOT_COLUMNS = new Set(["instrument", "bid_count", "ask_count"]);
const LEVEL_COLUMNS = new Set(["price", "size"]);

/** Where the cells of a row are: in columns of updates and in columns of levels. */
interface RowPlace {
  readonly entry: InstrumentEntry;
  readonly update: number;
  readonly level: number;
  readonly side: string;
}

/** Columns of a batch differ in length, or a row names an instrument that is not there. */
export class MalformedBatch extends Error {}

/** The rows of a batch. Throws MalformedBatch. */
export function readBatch(batch: MarketDataBatch): Table {
  const channel = batch.columns.case;
  if (channel === undefined) return { channel: "", columns: {} };
  const message = batch.columns.value as unknown as Record<string, readonly unknown[]>;
  const places = rowPlaces(batch);
  const levelCount = (places.at(-1)?.level ?? -1) + 1;
  const columns: Record<string, readonly Cell[]> = {
    symbol: places.map((row) => row.entry.symbol),
  };
  if (channel === "book") columns.side = places.map((row) => row.side);
  for (const field of SCHEMAS[channel].fields) {
    if (NOT_COLUMNS.has(field.name)) continue;
    const values = message[field.localName] ?? [];
    const isLevel = channel === "book" && LEVEL_COLUMNS.has(field.name);
    const count = isLevel ? levelCount : batch.columns.value.instrument.length;
    // A column of texts that no row has is empty.
    const isAbsent = scalarOf(field) === ScalarType.STRING && values.length === 0;
    if (!isAbsent && values.length !== count) {
      const lengths = `${String(values.length)} elements, not ${String(count)}`;
      throw new MalformedBatch(`batch of ${channel}: column ${field.name} has ${lengths}`);
    }
    columns[field.name] = places.map((row) =>
      isAbsent ? "" : cell(field, values[isLevel ? row.level : row.update], row.entry),
    );
  }
  return { channel, columns };
}

/** The same cells by row. */
export function rowsOf(table: Table): Record<string, Cell>[] {
  const rows: Record<string, Cell>[] = (table.columns.symbol ?? []).map(() => ({}));
  for (const [name, cells] of Object.entries(table.columns)) {
    cells.forEach((value, index) => {
      const row = rows[index];
      if (row) row[name] = value;
    });
  }
  return rows;
}

/** The short name of a value of an enum: "buy" of SIDE_BUY, "" of an unspecified one. */
export function word(schema: DescEnum, number: number): string {
  if (number === 0) return "";
  const prefix = schema.values[0]?.name.replace(/UNSPECIFIED$/, "") ?? "";
  const name = schema.value[number]?.name;
  return name === undefined ? String(number) : name.slice(prefix.length).toLowerCase();
}

function rowPlaces(batch: MarketDataBatch): RowPlace[] {
  const places: RowPlace[] = [];
  const { case: channel, value } = batch.columns;
  let level = 0;
  (value?.instrument ?? []).forEach((position, update) => {
    const entry = batch.instruments[position];
    if (!entry) throw new MalformedBatch(`row ${String(update)} names no instrument of the batch`);
    if (channel !== "book") {
      places.push({ entry, update, level: update, side: "" });
      return;
    }
    for (const [side, counts] of [
      ["bid", value.bidCount],
      ["ask", value.askCount],
    ] as const) {
      const end = level + (counts[update] ?? 0);
      for (; level < end; level++) places.push({ entry, update, level, side });
    }
  });
  return places;
}

function scalarOf(field: DescField): ScalarType | undefined {
  return field.fieldKind === "list" && field.listKind === "scalar" ? field.scalar : undefined;
}

function cell(field: DescField, value: unknown, entry: InstrumentEntry): Cell {
  // In a batch exactly the scaled numbers are sint64.
  if (scalarOf(field) === ScalarType.SINT64)
    return new Decimal(value as bigint, scaleOf(field.name, entry));
  if (field.fieldKind === "list" && field.listKind === "enum")
    return word(field.enum, value as number);
  return value as Cell;
}

function scaleOf(name: string, entry: InstrumentEntry): number {
  if (name.endsWith("rate")) return entry.rateScale;
  return name.endsWith("size") || name === "volume" ? entry.sizeScale : entry.priceScale;
}
