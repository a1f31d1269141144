import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions, Client } from "@connectrpc/connect";

import { approvals, ofVenue, tradeFlow } from "../api/transport";
import type { Approvals, ApproveRequestSchema } from "../gen/venuemesh/tradeflow/v1/approvals_pb";
import type { Order } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { ApprovedOrder } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import type { TradeFlow } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";

const CALL_MS_MAX = 30_000;

export interface OrderClients {
  readonly tradeFlow: Client<typeof TradeFlow>;
  readonly approvals: Client<typeof Approvals>;
}

/** The calls for orders of one venue: to the approver and to the venue's process. */
export class OrderCalls {
  readonly #venue: string;
  readonly #onOrder: (order: Order) => void;
  readonly #clients: OrderClients;

  constructor(
    venue: string,
    onOrder: (order: Order) => void,
    clients: OrderClients = { tradeFlow, approvals },
  ) {
    this.#venue = venue;
    this.#onOrder = onOrder;
    this.#clients = clients;
  }

  /** Requests an approval. Throws without one. */
  async approve(
    request: MessageInitShape<typeof ApproveRequestSchema>,
    options: CallOptions = { timeoutMs: CALL_MS_MAX },
  ): Promise<ApprovedOrder> {
    const { approved } = await this.#clients.approvals.approve(request, options);
    if (!approved) throw new Error("The approval is empty.");
    return approved;
  }

  /** Makes a call to the venue's process and reports each order of its response. */
  async send(
    call: (client: Client<typeof TradeFlow>, options: CallOptions) => Promise<readonly Order[]>,
  ): Promise<readonly Order[]> {
    const options = { ...ofVenue(this.#venue), timeoutMs: CALL_MS_MAX };
    const orders = await call(this.#clients.tradeFlow, options);
    orders.forEach(this.#onOrder);
    return orders;
  }
}
