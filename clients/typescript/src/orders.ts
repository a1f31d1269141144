import type { MessageInitShape } from "@bufbuild/protobuf";

import type { Client } from "./client.js";
import type { Cursor } from "./gen/venuemesh/common/v1/types_pb.js";
import { CheckResult } from "./gen/venuemesh/events/v1/checks_pb.js";
import { SubmissionOutcome, Verdict } from "./gen/venuemesh/events/v1/risk_pb.js";
import type { SubmitManualResponse } from "./gen/venuemesh/inspector/v1/inspector_pb.js";
import type { Order, OrderContentSchema } from "./gen/venuemesh/tradeflow/v1/orders_pb.js";
import { Operation } from "./gen/venuemesh/tradeflow/v1/signed_pb.js";
import type { StreamExecutionsResponse } from "./gen/venuemesh/tradeflow/v1/trade_flow_pb.js";
import { follow } from "./stream.js";

/** Why an order was not placed, or that this is not known: `answer` has the details. */
export class NotPlaced extends Error {
  constructor(
    text: string,
    readonly answer: SubmitManualResponse,
  ) {
    super(text);
  }
}

type Content = MessageInitShape<typeof OrderContentSchema>;

/**
 * Has the inspector check an order, approve it and place it, together with the other orders of its
 * group. May be repeated after an error: the same request id makes one order. Throws NotPlaced.
 */
export async function place(
  client: Client,
  content: Content,
  requestId: string,
  { others = [], reason = "" }: { others?: Content[]; reason?: string } = {},
): Promise<readonly Order[]> {
  const request = { requestId, reason, operation: Operation.PLACE, content, others };
  const answer = await client.inspector.submitManual(request);
  if (answer.submitted?.outcome === SubmissionOutcome.TAKEN) return answer.submitted.orders;
  throw new NotPlaced(whyNot(answer), answer);
}

function whyNot({ verdict, submitted }: SubmitManualResponse): string {
  if (verdict?.verdict !== Verdict.ALLOW) {
    const blocked = (verdict?.checks ?? []).filter(({ result }) => result === CheckResult.BLOCKED);
    const texts = blocked.map(({ name, projected, observed, limit, detail }) =>
      `${name} is ${projected || observed}, limit ${limit} ${detail}`.trim(),
    );
    return `blocked: ${texts.join("; ")}`;
  }
  if (!submitted) return "not known yet: ask again with the same request id";
  return `${submitted.refusalReason || "the approval has ended"}: ${submitted.detail}`;
}

/**
 * Cancels an order; one that protects a position needs the role operator, or SubmitManual. It works
 * without the inspector, and may be repeated.
 */
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
