import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { Channel } from "../gen/venuemesh/common/v1/types_pb";
import {
  type BookColumnsSchema,
  MarketDataBatchSchema,
} from "../gen/venuemesh/marketdata/v1/batch_pb";
import { applyBookBatch, type Level, loseBook, NO_BOOK } from "./book";
import { formatScaled } from "../ui/decimal";
import { applyQuoteBatch, bestStatus, NO_QUOTE } from "./quote";

const INSTRUMENTS = [
  { symbol: "ETHUSDT", priceScale: 2, sizeScale: 3 },
  { symbol: "BTCUSDT", priceScale: 2, sizeScale: 3 },
];

type Columns = Omit<MessageInitShape<typeof BookColumnsSchema>, "$typeName">;

function bookBatch(value: Columns, gapsOf: string[] = []) {
  return create(MarketDataBatchSchema, {
    venue: "binance",
    channel: Channel.BOOK,
    instruments: INSTRUMENTS,
    gaps: gapsOf.map((symbol) => ({ symbol })),
    columns: { case: "book", value },
  });
}

function gapBatch(channel: Channel, symbol: string) {
  return create(MarketDataBatchSchema, { channel, gaps: [{ symbol }] });
}

/** Two updates: one of ETHUSDT, whose levels must be skipped, then one of BTCUSDT. */
const SNAPSHOT: Columns = {
  instrument: [0, 1],
  lastSequence: [5n, 9n],
  snapshot: [true, true],
  bookEpoch: [1, 1],
  bidCount: [1, 2],
  askCount: [1, 2],
  price: [300000n, 300001n, 10000n, 9999n, 10001n, 10002n],
  size: [1n, 1n, 1000n, 2000n, 3000n, 4000n],
};

const text = (levels: readonly Level[]) =>
  levels.map(({ price, size }) => `${formatScaled(price)} x ${formatScaled(size)}`);

const proven = applyBookBatch(NO_BOOK, bookBatch(SNAPSHOT), "BTCUSDT");

test("a snapshot replaces the book; other instruments' levels are skipped", () => {
  expect(proven).toMatchObject({ status: "proven", epoch: 1, lastSequence: 9n });
  expect(text(proven.bids)).toEqual(["100.00 x 1.000", "99.99 x 2.000"]);
  expect(text(proven.asks)).toEqual(["100.01 x 3.000", "100.02 x 4.000"]);
});

const CHANGE: Columns = {
  instrument: [1],
  lastSequence: [12n],
  snapshot: [false],
  bookEpoch: [1],
  bidCount: [2],
  askCount: [1],
  price: [10000n, 9998n, 10001n],
  size: [0n, 500n, 7000n],
};

test("a change sets, adds and removes levels", () => {
  const book = applyBookBatch(proven, bookBatch(CHANGE), "BTCUSDT");
  expect(text(book.bids)).toEqual(["99.99 x 2.000", "99.98 x 0.500"]);
  expect(text(book.asks)).toEqual(["100.01 x 7.000", "100.02 x 4.000"]);
  expect(book.lastSequence).toBe(12n);
});

test("a change of another epoch, or without a proven book, is not applied", () => {
  const other = bookBatch({ ...CHANGE, bookEpoch: [2] });
  expect(applyBookBatch(proven, other, "BTCUSDT")).toBe(proven);
  expect(applyBookBatch(NO_BOOK, bookBatch(CHANGE), "BTCUSDT")).toBe(NO_BOOK);
});

test("a gap puts the book in doubt until the next snapshot", () => {
  const doubted = applyBookBatch(proven, gapBatch(Channel.BOOK, "BTCUSDT"), "BTCUSDT");
  expect(doubted.status).toBe("in_doubt");
  expect(doubted.bids).toEqual(proven.bids);
  expect(applyBookBatch(doubted, bookBatch(CHANGE), "BTCUSDT").status).toBe("in_doubt");
  expect(applyBookBatch(doubted, bookBatch(SNAPSHOT), "BTCUSDT").status).toBe("proven");
});

test("gaps come before the rows of their batch", () => {
  const healed = applyBookBatch(proven, bookBatch(SNAPSHOT, ["BTCUSDT"]), "BTCUSDT");
  expect(healed.status).toBe("proven");
  const changed = applyBookBatch(proven, bookBatch(CHANGE, ["BTCUSDT"]), "BTCUSDT");
  expect(changed.status).toBe("in_doubt");
});

test("a gap of the whole channel concerns the book, one of another instrument does not", () => {
  const all = gapBatch(Channel.BOOK, "");
  expect(applyBookBatch(proven, all, "BTCUSDT").status).toBe("in_doubt");
  const other = gapBatch(Channel.BOOK, "ETHUSDT");
  expect(applyBookBatch(proven, other, "BTCUSDT")).toBe(proven);
});

test("a lost connection makes a proven book stale and leaves doubt as it is", () => {
  expect(loseBook(proven).status).toBe("stale");
  const doubted = applyBookBatch(proven, gapBatch(Channel.BOOK, ""), "BTCUSDT");
  expect(loseBook(doubted).status).toBe("in_doubt");
});

test("a best price is good only while quote and book are proven", () => {
  const batch = create(MarketDataBatchSchema, {
    channel: Channel.QUOTES,
    instruments: INSTRUMENTS,
    columns: {
      case: "quotes",
      value: {
        instrument: [1, 1, 0],
        bidPrice: [10000n, 10003n, 300000n],
        bidSize: [1n, 2n, 3n],
        askPrice: [10001n, 10004n, 300001n],
        askSize: [1n, 2n, 3n],
      },
    },
  });
  const quote = applyQuoteBatch(NO_QUOTE, batch, "BTCUSDT");
  expect(formatScaled(quote.bid)).toBe("100.03");
  expect(bestStatus(quote, proven)).toBe("proven");
  expect(bestStatus(quote, NO_BOOK)).toBe("waiting");
  expect(bestStatus(quote, loseBook(proven))).toBe("stale");
  const doubted = applyBookBatch(proven, gapBatch(Channel.BOOK, ""), "BTCUSDT");
  expect(bestStatus(quote, doubted)).toBe("in_doubt");
  const missed = applyQuoteBatch(quote, gapBatch(Channel.QUOTES, "BTCUSDT"), "BTCUSDT");
  expect(bestStatus(missed, proven)).toBe("in_doubt");
});
