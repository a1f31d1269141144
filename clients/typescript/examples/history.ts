// Prints the recorded trades of the last hour, page by page.
import { pages } from "../src/pages.js";
import { print, run } from "./setup.js";

const HOUR_MS = 3_600_000;

await run(async (client, venue, symbol, signal) => {
  const range = { startTimeNs: BigInt(Date.now() - HOUR_MS) * 1_000_000n };
  let [pageCount, tradeCount] = [0, 0];
  const list = (pageToken: string) =>
    client.history.listTrades({ venue, symbol, range, pageToken }, { signal });
  for await (const page of pages(list)) {
    pageCount += 1;
    for (const trade of page.trades) {
      tradeCount += 1;
      const time = new Date(Number(trade.venueTimeNs / 1_000_000n)).toISOString();
      print(`trade ${time} ${trade.price} ${trade.size}`);
    }
  }
  print(`${String(tradeCount)} trades on ${String(pageCount)} pages`);
});
