import { describeFailure, type Failure } from "../api/failure";
import { GroupRole, type Order, OrderType } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { Operation } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import { isOperator } from "../session/refusal";
import { session } from "../session/session";
import { FrameStore } from "../state/frameStore";
import { orderKey } from "./accountView";
import { OrderCalls, type OrderClients } from "./orderCalls";
import { newRequestId } from "./requestId";

/** The key of a request to cancel all orders. */
export const ALL_ORDERS = "";

const UNCONDITIONAL: ReadonlySet<OrderType> = new Set([
  OrderType.UNSPECIFIED,
  OrderType.MARKET,
  OrderType.LIMIT,
]);

/** Pending cancel requests, and failures, by order key. */
export interface CancelState {
  readonly waiting: ReadonlySet<string>;
  readonly failures: ReadonlyMap<string, Failure>;
}

/** Cancels orders of one account. */
export class OrderCanceller {
  readonly state = new FrameStore<CancelState>({ waiting: new Set(), failures: new Map() });
  readonly #calls: OrderCalls;

  constructor(
    readonly venue: string,
    readonly account: string,
    onOrder: (order: Order) => void,
    clients?: OrderClients,
  ) {
    this.#calls = new OrderCalls(venue, onOrder, clients);
  }

  async cancel(order: Order): Promise<void> {
    const { clientOrderId } = order;
    const symbol = order.content?.symbol ?? "";
    await this.#ask(orderKey(order), async (client, options) => {
      const approved = isProtective(order)
        ? await this.#approval(Operation.CANCEL, symbol, clientOrderId)
        : {};
      const request = { ...this.#accountKey(), clientOrderId, ...approved };
      const answer = await client.cancelOrder(request, options);
      return answer.order ? [answer.order] : [];
    });
  }

  /**
   * Cancels all open orders, also those that were placed elsewhere. Without an approver for this
   * account, protective orders stay open unless the caller is an operator.
   */
  async cancelAll(): Promise<void> {
    await this.#ask(ALL_ORDERS, async (client, options) => {
      const request = {
        ...this.#accountKey(),
        includeProtective: isOperator(session.caller.latest),
        ...(await this.#approval(Operation.CANCEL_ALL, "", "")),
      };
      const { orders, leftOpen } = await client.cancelAllOrders(request, options);
      return [...orders, ...leftOpen];
    });
  }

  #accountKey() {
    return { venue: this.venue, account: this.account };
  }

  /** Requests an approval. Empty if there is no approver, or it does not sign for this account. */
  async #approval(operation: Operation, symbol: string, targetClientOrderId: string) {
    const content = { ...this.#accountKey(), symbol };
    const request = { content, requestId: newRequestId(), operation, targetClientOrderId };
    try {
      return { approved: await this.#calls.approve(request) };
    } catch {
      return {};
    }
  }

  async #ask(key: string, call: Parameters<OrderCalls["send"]>[0]) {
    const { waiting, failures } = this.state.latest;
    if (waiting.has(key)) return;
    const others = new Map([...failures].filter(([other]) => other !== key));
    this.state.set({ waiting: new Set([...waiting, key]), failures: others });
    let failure: Failure | undefined;
    try {
      await this.#calls.send(call);
    } catch (error) {
      failure = describeFailure(error);
    }
    const left = [...this.state.latest.waiting].filter((other) => other !== key);
    const failed = new Map(this.state.latest.failures);
    if (failure) failed.set(key, failure);
    this.state.set({ waiting: new Set(left), failures: failed });
  }
}

/** Whether an order limits a loss. Cancelling it needs an approval or the role operator. */
function isProtective({ content }: Order): boolean {
  if (!content) return false;
  return (
    content.reduceOnly || !UNCONDITIONAL.has(content.type) || content.group?.role === GroupRole.EXIT
  );
}
