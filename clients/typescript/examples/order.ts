// Buys a small amount at the market and follows the order until it is final.
import { Side } from "../src/gen/venuemesh/common/v1/types_pb.js";
import {
  type Order,
  OrderState,
  OrderStateSchema,
  OrderType,
} from "../src/gen/venuemesh/tradeflow/v1/orders_pb.js";
import { executions, place } from "../src/orders.js";
import { word } from "../src/table.js";
import { print, run } from "./setup.js";

await run(async (client, venue, symbol, signal) => {
  const { accounts } = await client.tradeFlow.listAccounts({ venue }, { signal });
  const account = accounts[0]?.account;
  if (account === undefined) throw new Error(`${venue} has no account`);
  const content = { venue, account, symbol, side: Side.BUY, type: OrderType.MARKET, size: "0.001" };
  const requestId = `ts-${crypto.randomUUID()}`;
  let placed: Order | undefined;
  for await (const { event } of executions(client, venue, account, signal)) {
    if (event.case === "snapshot" && !placed) {
      [placed] = await place(client, content, requestId);
      print(`placed ${placed?.clientOrderId ?? "nothing"}`);
    }
    if (event.case !== "order" || !placed) continue;
    if (event.value.clientOrderId !== placed.clientOrderId) continue;
    const { state, filledSize, averagePrice } = event.value;
    print(`${word(OrderStateSchema, state)}, filled ${filledSize} at ${averagePrice}`);
    if (state >= OrderState.FILLED) return;
  }
});
