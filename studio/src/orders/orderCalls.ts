import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions, Client } from "@connectrpc/connect";

import { inspector, ofVenue, tradeFlow } from "../api/transport";
import type {
  Inspector,
  SubmitManualRequestSchema,
  SubmitManualResponse,
} from "../gen/venuemesh/inspector/v1/inspector_pb";
import type { Order } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { TradeFlow } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";

const CALL_MS_MAX = 30_000;

export interface OrderClients {
  readonly tradeFlow: Client<typeof TradeFlow>;
  readonly inspector: Client<typeof Inspector>;
}

/** The calls for orders of one venue: to the inspector and to the venue's process. */
export class OrderCalls {
  readonly #venue: string;
  readonly #onOrder: (order: Order) => void;
  readonly #clients: OrderClients;

  constructor(
    venue: string,
    onOrder: (order: Order) => void,
    clients: OrderClients = { tradeFlow, inspector },
  ) {
    this.#venue = venue;
    this.#onOrder = onOrder;
    this.#clients = clients;
  }

  /** Has the inspector check, approve and send something, and reports each order of its answer. */
  async submit(
    request: MessageInitShape<typeof SubmitManualRequestSchema>,
  ): Promise<SubmitManualResponse> {
    const options = { timeoutMs: CALL_MS_MAX };
    const answer = await this.#clients.inspector.submitManual(request, options);
    answer.submitted?.orders.forEach(this.#onOrder);
    return answer;
  }

  /** Makes a call to the venue's process and reports each order of its response. */
  async send(
    call: (client: Client<typeof TradeFlow>, options: CallOptions) => Promise<readonly Order[]>,
  ): Promise<void> {
    const options = { ...ofVenue(this.#venue), timeoutMs: CALL_MS_MAX };
    const orders = await call(this.#clients.tradeFlow, options);
    orders.forEach(this.#onOrder);
  }
}
