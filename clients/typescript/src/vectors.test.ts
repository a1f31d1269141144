import { readFileSync } from "node:fs";

import { fromBinary, isMessage, type Message, toJson } from "@bufbuild/protobuf";
import { expect, it } from "vitest";

import { Book } from "./book.js";
import { GapReasonSchema, InstrumentSchema } from "./gen/venuemesh/common/v1/types_pb.js";
import { MarketDataBatchSchema } from "./gen/venuemesh/marketdata/v1/batch_pb.js";
import { GetOrderBookResponseSchema } from "./gen/venuemesh/marketdata/v1/market_data_pb.js";
import { type Cell, MalformedBatch, readBatch, word } from "./table.js";

interface BatchVector {
  readonly name: string;
  readonly batch: string;
  readonly cursor: string;
  readonly gaps: string[][];
  readonly malformed: boolean;
  readonly channel: string;
  readonly columns: Record<string, unknown[]>;
}

interface BookVector {
  readonly name: string;
  readonly symbol: string;
  readonly answer: string | null;
  readonly begun: object;
  readonly steps: ({ batch: string; malformed: boolean } & object)[];
}

function load<Vector>(file: string): Vector[] {
  return JSON.parse(
    readFileSync(new URL(`../../vectors/${file}`, import.meta.url), "utf8"),
  ) as Vector[];
}

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "base64"));
const readMarketData = (text: string) => fromBinary(MarketDataBatchSchema, bytes(text));

/** A cell as the vectors have it. */
function asJson(cell: Cell): unknown {
  if (cell instanceof Uint8Array) return Buffer.from(cell).toString("base64");
  if (isMessage(cell as Message, InstrumentSchema)) return toJson(InstrumentSchema, cell as never);
  return typeof cell === "boolean" ? cell : String(cell);
}

function attempt<Result>(run: () => Result): Result | "malformed" {
  try {
    return run();
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedBatch);
    return "malformed";
  }
}

function stateOf(book: Book): object {
  const texts = (levels: Book["bids"]) =>
    levels.map((level) => [level.price.toString(), level.size.toString()]);
  return {
    state: book.state,
    epoch: book.epoch,
    last_sequence: String(book.lastSequence),
    cursor: `${String(book.cursor?.epoch ?? 0)}-${String(book.cursor?.sequence ?? 0)}`,
    bids: texts(book.bids),
    asks: texts(book.asks),
    checksum: book.checksum(),
  };
}

it.each(load<BatchVector>("batches.json"))("reads the batch: $name", (vector) => {
  const batch = readMarketData(vector.batch);
  expect(`${String(batch.cursor?.epoch ?? 0)}-${String(batch.cursor?.sequence ?? 0)}`).toBe(
    vector.cursor,
  );
  expect(
    batch.gaps.map((gap) => [gap.symbol, word(GapReasonSchema, gap.reason), gap.detail]),
  ).toEqual(vector.gaps);
  const table = attempt(() => readBatch(batch));
  expect(table === "malformed").toBe(vector.malformed);
  if (table === "malformed") return;
  const columns = Object.entries(table.columns).map(([name, cells]) => [name, cells.map(asJson)]);
  expect(table.channel).toBe(vector.channel);
  expect(Object.fromEntries(columns)).toEqual(vector.columns);
});

it.each(load<BookVector>("books.json"))("keeps the book: $name", (vector) => {
  const answer =
    vector.answer === null
      ? undefined
      : fromBinary(GetOrderBookResponseSchema, bytes(vector.answer));
  const book = new Book(vector.symbol, answer);
  expect(stateOf(book)).toEqual(vector.begun);
  for (const { batch, malformed, ...wanted } of vector.steps) {
    expect(attempt(() => book.apply(readMarketData(batch))) === "malformed").toBe(malformed);
    expect(stateOf(book)).toEqual(wanted);
  }
});
