import type { MessageInitShape } from "@bufbuild/protobuf";

import type { Client } from "./client.js";
import type { Cursor } from "./gen/venuemesh/common/v1/types_pb.js";
import type { Order, OrderContentSchema } from "./gen/venuemesh/tradeflow/v1/orders_pb.js";
import type { ApprovedOrder } from "./gen/venuemesh/tradeflow/v1/signed_pb.js";
import type { StreamExecutionsResponse } from "./gen/venuemesh/tradeflow/v1/trade_flow_pb.js";
import { follow } from "./stream.js";

/**
 * Signs an order with the development key, where no real money is involved. Elsewhere an order
 * authority makes the ApprovedOrder.
 */
export async function approve(
  client: Client,
  content: MessageInitShape<typeof OrderContentSchema>,
  requestId: string,
): Promise<ApprovedOrder> {
  const { approved } = await client.approvals.approve({ content, requestId });
  if (!approved) throw new Error("the answer has no approval");
  return approved;
}

/** Places an order. May be repeated after an error: the same request id makes one order. */
export async function place(client: Client, approved: ApprovedOrder): Promise<Order> {
  const venue = approved.content?.venue ?? "";
  const { order } = await client.tradeFlow.placeOrder({ venue, approved });
  if (!order) throw new Error("the answer has no order");
  return order;
}

/** Cancels an order that protects no position; others need an approval. May be repeated. */
export async function cancel(client: Client, order: Order): Promise<Order> {
  const { venue = "", account = "" } = order.content ?? {};
  const request = { venue, account, clientOrderId: order.clientOrderId };
  const { order: cancelled } = await client.tradeFlow.cancelOrder(request);
  if (!cancelled) throw new Error("the answer has no order");
  return cancelled;
}

/**
 * The events of an account, first a snapshot. A stream that is lost is opened again after the last
 * event; a snapshot follows if events were lost meanwhile.
 */
export async function* executions(
  client: Client,
  venue: string,
  account: string,
  signal: AbortSignal,
): AsyncGenerator<StreamExecutionsResponse> {
  let resumeAfter: Cursor | undefined;
  const open = () => {
    const request = { venue, account, ...(resumeAfter && { resumeAfter }) };
    return client.tradeFlow.streamExecutions(request, { signal });
  };
  for await (const next of follow(open, signal)) {
    if (next.failed) continue;
    resumeAfter = next.message.cursor;
    yield next.message;
  }
}
