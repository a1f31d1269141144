import type { CallOptions, Client } from "@connectrpc/connect";

import { describeFailure, type Failure } from "../api/failure";
import { ofVenue, tradeFlow } from "../api/transport";
import type { Order } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { TradeFlow } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";
import { FrameStore } from "../state/frameStore";
import { orderKey } from "./accountView";

/** The key of a request to cancel all orders. */
export const ALL_ORDERS = "";
export const CALL_MS_MAX = 30_000;

/** Pending cancel requests, and failures, by order key. */
export interface CancelState {
  readonly waiting: ReadonlySet<string>;
  readonly failures: ReadonlyMap<string, Failure>;
}

/** Cancels orders of one account. */
export class OrderCanceller {
  readonly state = new FrameStore<CancelState>({ waiting: new Set(), failures: new Map() });
  readonly #onOrder: (order: Order) => void;
  readonly #client: Client<typeof TradeFlow>;

  constructor(
    readonly venue: string,
    readonly account: string,
    onOrder: (order: Order) => void,
    client = tradeFlow,
  ) {
    this.#onOrder = onOrder;
    this.#client = client;
  }

  async cancel(order: Order): Promise<void> {
    const request = { ...this.#accountKey(), clientOrderId: order.clientOrderId };
    await this.#ask(orderKey(order), async (options) => {
      const answer = await this.#client.cancelOrder(request, options);
      return answer.order ? [answer.order] : [];
    });
  }

  /** Cancels all open orders, also those that were placed elsewhere. */
  async cancelAll(): Promise<void> {
    await this.#ask(ALL_ORDERS, async (options) => {
      return (await this.#client.cancelAllOrders(this.#accountKey(), options)).orders;
    });
  }

  #accountKey() {
    return { venue: this.venue, account: this.account };
  }

  async #ask(key: string, call: (options: CallOptions) => Promise<readonly Order[]>) {
    const { waiting, failures } = this.state.latest;
    if (waiting.has(key)) return;
    const others = new Map([...failures].filter(([other]) => other !== key));
    this.state.set({ waiting: new Set([...waiting, key]), failures: others });
    let failure: Failure | undefined;
    try {
      const orders = await call({ ...ofVenue(this.venue), timeoutMs: CALL_MS_MAX });
      orders.forEach(this.#onOrder);
    } catch (error) {
      failure = describeFailure(error);
    }
    const left = [...this.state.latest.waiting].filter((other) => other !== key);
    const failed = new Map(this.state.latest.failures);
    if (failure) failed.set(key, failure);
    this.state.set({ waiting: new Set(left), failures: failed });
  }
}
