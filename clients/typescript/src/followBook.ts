import { Book } from "./book.js";
import type { Client } from "./client.js";
import { Channel, type Cursor } from "./gen/venuemesh/common/v1/types_pb.js";
import type { GetOrderBookResponse } from "./gen/venuemesh/marketdata/v1/market_data_pb.js";
import { isExpired, isRejected, pause, subscribe } from "./stream.js";

/** The most levels that GetOrderBook answers. */
const DEPTH_MAX = 5000;

/**
 * The book of an instrument after every change: first as GetOrderBook answers it, then after each
 * batch of the channel BOOK. Where batches are no longer held, it is in doubt, and begins again
 * with GetOrderBook. The same Book is yielded each time.
 */
export async function* followBook(
  client: Client,
  venue: string,
  symbol: string,
  signal: AbortSignal,
): AsyncGenerator<Book> {
  const book = new Book(symbol, await ask(client, venue, symbol, DEPTH_MAX, signal));
  for (let failures = 0; !signal.aborted; failures++) {
    yield book;
    const after = new Map(book.cursor ? [[Channel.BOOK, book.cursor]] : []);
    const subscription = { venue, channels: [Channel.BOOK], symbols: [symbol], after };
    try {
      const batches = subscribe(client, { ...subscription, whenExpired: "throw" }, signal);
      for await (const batch of batches) {
        failures = 0;
        book.apply(batch);
        yield book;
      }
    } catch (error) {
      if (!isExpired(error)) throw error;
    }
    if (signal.aborted) return;
    book.doubt();
    yield book;
    const answer = await askAgain(client, venue, symbol, failures, signal);
    if (answer) book.begin(answer);
  }
}

/** Repeats the question while the mesh cannot be reached; undefined when the signal is aborted. */
async function askAgain(
  client: Client,
  venue: string,
  symbol: string,
  failures: number,
  signal: AbortSignal,
): Promise<GetOrderBookResponse | undefined> {
  for (; ; failures++) {
    await pause(failures, signal);
    if (signal.aborted) return undefined;
    try {
      return await ask(client, venue, symbol, DEPTH_MAX, signal);
    } catch (error) {
      if (isRejected(error)) throw error;
    }
  }
}

/**
 * Follows a book until its checksum is the one that the mesh answers for the same cursor, after at
 * least one batch. Throws if the checksum differs, or when the signal is aborted.
 */
export async function provenBook(
  client: Client,
  venue: string,
  symbol: string,
  signal: AbortSignal,
): Promise<Book> {
  const ended = new AbortController();
  let answer: GetOrderBookResponse | undefined;
  let isAsking = false;
  let passed: { cursor: Cursor | undefined; checksum: number }[] = [];
  try {
    for await (const book of followBook(
      client,
      venue,
      symbol,
      AbortSignal.any([signal, ended.signal]),
    )) {
      if (!book.isWhole) {
        passed = [];
        answer = undefined;
        continue;
      }
      passed.push({ cursor: book.cursor, checksum: book.checksum() });
      if (!isAsking && !answer) {
        isAsking = true;
        void ask(client, venue, symbol, 1, ended.signal)
          .then(
            (found) => (answer = found),
            () => undefined,
          )
          .finally(() => (isAsking = false));
      }
      const proof = answer as GetOrderBookResponse | undefined;
      if (!proof || isBefore(book.cursor, proof.cursor)) continue;
      // Batches that do not concern the book are not sent.
      const known = passed.findLast((at) => !isBefore(proof.cursor, at.cursor));
      if (known?.checksum === proof.checksum) return book;
      if (known)
        throw new Error(
          `the checksum of ${symbol} is ${String(known.checksum)}, not ${String(proof.checksum)}`,
        );
      answer = undefined;
    }
  } finally {
    ended.abort();
  }
  throw new Error(`the book of ${symbol} was not proven in time`);
}

function ask(
  client: Client,
  venue: string,
  symbol: string,
  depth: number,
  signal: AbortSignal,
): Promise<GetOrderBookResponse> {
  return client.marketData.getOrderBook({ venue, symbol, depth }, { signal });
}

function isBefore(left: Cursor | undefined, right: Cursor | undefined): boolean {
  const [epoch, other] = [left?.epoch ?? 0n, right?.epoch ?? 0n];
  return epoch === other ? (left?.sequence ?? 0n) < (right?.sequence ?? 0n) : epoch < other;
}
