// Follows a book, proves it and prints its best levels.
import { provenBook } from "../src/followBook.js";
import { BookVerdictSchema } from "../src/gen/venuemesh/marketdata/v1/market_data_pb.js";
import { word } from "../src/table.js";
import { print, run } from "./setup.js";

const LEVELS = 5;
const PATIENCE_MS = 30_000;

await run(async (client, venue, symbol, stopped) => {
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(PATIENCE_MS)]);
  const book = await provenBook(client, venue, symbol, signal);
  const cursor = `${String(book.cursor?.epoch)}-${String(book.cursor?.sequence)}`;
  print(
    `${venue} ${symbol} ${book.state}, cursor ${cursor}, checksum ${String(book.checksum())}`,
  );
  for (const { price, size } of book.asks.slice(0, LEVELS).reverse())
    print(`ask ${String(price)} ${String(size)}`);
  for (const { price, size } of book.bids.slice(0, LEVELS))
    print(`bid ${String(price)} ${String(size)}`);
  const verified = await client.marketData.verifyBook({ venue, symbol }, { signal });
  const verdict = word(BookVerdictSchema, verified.verdict);
  const { levelsCompared, levelsDifferent } = verified;
  const levels = `${String(levelsCompared)} levels, ${String(levelsDifferent)} differ`;
  print(`compared with the venue: ${verdict}, ${levels}`);
});
