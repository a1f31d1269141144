import { describeFailure, type Failure } from "../api/failure";
import { SubmissionOutcome } from "../gen/venuemesh/events/v1/risk_pb";
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

  /** Cancels an order. A protective one needs the role operator, or the inspector cancels it. */
  async cancel(order: Order): Promise<void> {
    const { clientOrderId } = order;
    if (isProtective(order) && !isOperator(session.caller.latest)) {
      const content = { ...this.#accountKey(), symbol: order.content?.symbol ?? "" };
      const what = { operation: Operation.CANCEL, targetClientOrderId: clientOrderId, content };
      await this.#ask(orderKey(order), async () => {
        const answer = await this.#calls.submit({ requestId: newRequestId(), ...what });
        const { outcome, refusalReason, detail } = answer.submitted ?? {};
        if (outcome === SubmissionOutcome.TAKEN) return;
        const unknown = "it is not known whether the order was cancelled: try again";
        throw new Error(outcome ? `${refusalReason ?? ""}: ${detail ?? ""}` : unknown);
      });
      return;
    }
    await this.#ask(orderKey(order), async () => {
      await this.#calls.send(async (client, options) => {
        const answer = await client.cancelOrder({ ...this.#accountKey(), clientOrderId }, options);
        return answer.order ? [answer.order] : [];
      });
    });
  }

  /**
   * Cancels all open orders, also those that were placed elsewhere. Protective orders stay open
   * unless the caller is an operator.
   */
  async cancelAll(): Promise<void> {
    const includeProtective = isOperator(session.caller.latest);
    await this.#ask(ALL_ORDERS, async () => {
      await this.#calls.send(async (client, options) => {
        const request = { ...this.#accountKey(), includeProtective };
        const { orders, leftOpen } = await client.cancelAllOrders(request, options);
        return [...orders, ...leftOpen];
      });
    });
  }

  #accountKey() {
    return { venue: this.venue, account: this.account };
  }

  async #ask(key: string, call: () => Promise<void>) {
    const { waiting, failures } = this.state.latest;
    if (waiting.has(key)) return;
    const others = new Map([...failures].filter(([other]) => other !== key));
    this.state.set({ waiting: new Set([...waiting, key]), failures: others });
    let failure: Failure | undefined;
    try {
      await call();
    } catch (error) {
      failure = describeFailure(error);
    }
    const left = [...this.state.latest.waiting].filter((other) => other !== key);
    const failed = new Map(this.state.latest.failures);
    if (failure) failed.set(key, failure);
    this.state.set({ waiting: new Set(left), failures: failed });
  }
}

/** Whether an order limits a loss. Cancelling it needs the inspector or the role operator. */
function isProtective({ content }: Order): boolean {
  if (!content) return false;
  return (
    content.reduceOnly || !UNCONDITIONAL.has(content.type) || content.group?.role === GroupRole.EXIT
  );
}
