// Prints trades and gaps as they happen, until Ctrl-C.
import { Channel, GapReasonSchema } from "../src/gen/venuemesh/common/v1/types_pb.js";
import { subscribe } from "../src/stream.js";
import { readBatch, rowsOf, word } from "../src/table.js";
import { print, run } from "./setup.js";

await run(async (client, venue, symbol, signal) => {
  const subscription = { venue, channels: [Channel.TRADES], symbols: [symbol] };
  for await (const batch of subscribe(client, subscription, signal)) {
    for (const gap of batch.gaps)
      print(`gap ${word(GapReasonSchema, gap.reason)} ${gap.detail}`);
    for (const row of rowsOf(readBatch(batch))) {
      print(`trade ${[row.symbol, row.side, row.price, row.size].map(String).join(" ")}`);
    }
  }
});
