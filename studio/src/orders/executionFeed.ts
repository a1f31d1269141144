import { type Client, Code, ConnectError } from "@connectrpc/connect";

import type { Failure } from "../api/failure";
import { retryUntilAnswered } from "../api/retry";
import { CONNECTING, follow, type StreamState } from "../api/stream";
import { ofVenue, toVenue, tradeFlow } from "../api/transport";
import type { Cursor } from "../gen/venuemesh/common/v1/types_pb";
import type { Fill, Order } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { Account } from "../gen/venuemesh/tradeflow/v1/accounts_pb";
import type {
  StreamExecutionsResponse,
  TradeFlow,
} from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";
import { FrameStore } from "../state/frameStore";
import {
  addFills,
  applyEvent,
  FILLS_MAX,
  mergeOrder,
  EMPTY_VIEW,
  missingOrders,
} from "./accountView";

/** Maximum number of past orders that are requested one by one. */
const PAST_ORDERS_MAX = 50;

/** The stream of executions of one account, and its recent history. */
export class ExecutionFeed {
  readonly state = new FrameStore<StreamState>(CONNECTING);
  readonly view = new FrameStore(EMPTY_VIEW);
  /** Why fills from before the page was opened could not be loaded. */
  readonly historyFailure = new FrameStore<Failure | undefined>(undefined);
  /** When the stream was lost, by this computer's clock, ms. Undefined while it is live. */
  readonly lostTimeMs = new FrameStore<number | undefined>(undefined);
  /** The newest account of the stream, with its state. */
  readonly latestAccount = new FrameStore<Account | undefined>(undefined);
  readonly #onOrder: (order: Order) => void;
  readonly #client: Client<typeof TradeFlow>;
  #cursor: Cursor | undefined;
  #past = new AbortController();

  constructor(
    readonly venue: string,
    readonly account: string,
    onOrder: (order: Order) => void,
    client = tradeFlow,
  ) {
    this.#onOrder = onOrder;
    this.#client = client;
  }

  /** Opens the stream after the last cursor. Returns a function that closes it. */
  start(): () => void {
    const stop = follow(
      (options) =>
        this.#client.streamExecutions(
          { ...this.#accountKey(), ...(this.#cursor ? { resumeAfter: this.#cursor } : {}) },
          { ...options, ...ofVenue(this.venue) },
        ),
      {
        onMessage: (message) => {
          this.#take(message);
        },
        onState: (state) => {
          this.#changeState(state);
        },
      },
    );
    return () => {
      stop();
      this.#changeState(CONNECTING);
    };
  }

  /** Applies an order of a call's response. */
  learn(order: Order): void {
    this.view.set(mergeOrder(this.view.latest, order));
  }

  #accountKey() {
    return { venue: this.venue, account: this.account };
  }

  #changeState(state: StreamState): void {
    this.state.set(state);
    this.#past.abort();
    this.#past = new AbortController();
    if (state.phase === "live") {
      this.lostTimeMs.set(undefined);
      void this.#loadPast(this.#past.signal);
    } else if (this.view.latest.isKnown) {
      this.lostTimeMs.set(this.lostTimeMs.latest ?? Date.now());
    }
  }

  #take(message: StreamExecutionsResponse): void {
    const { cursor, event } = message;
    if (event.case === "snapshot") {
      this.#lookUp(
        missingOrders(this.view.latest, event.value).map((order) => order.clientOrderId),
      );
    } else if (hasGap(this.#cursor, cursor)) {
      // Without a cursor the next stream begins with a snapshot.
      this.#cursor = undefined;
      throw new ConnectError("Events of the account were lost.", Code.DataLoss);
    }
    this.#cursor = cursor ?? this.#cursor;
    this.view.set(applyEvent(this.view.latest, message));
    if (event.case === "account") this.latestAccount.set(event.value);
    if (event.case === "order") this.#onOrder(event.value);
    if (event.case === "snapshot") event.value.orders.forEach(this.#onOrder);
  }

  /** Loads past fills and their orders in the background. */
  async #loadPast(signal: AbortSignal): Promise<void> {
    const request = { ...this.#accountKey(), pageSize: FILLS_MAX };
    const answer = await retryUntilAnswered(
      () => this.#client.listFills(request, toVenue(this.venue, signal)),
      signal,
      (failure) => {
        this.historyFailure.set(failure);
      },
    );
    if (!answer || signal.aborted) return;
    this.historyFailure.set(undefined);
    this.view.set(addFills(this.view.latest, answer.fills));
    this.#lookUp(this.#unknownOrders(answer.fills));
  }

  #unknownOrders(fills: readonly Fill[]): readonly string[] {
    const { open, ended } = this.view.latest;
    const known = new Set([...open, ...ended].map((order) => order.clientOrderId));
    return fills.map(({ clientOrderId }) => clientOrderId).filter((id) => !known.has(id));
  }

  #lookUp(clientOrderIds: readonly string[]): void {
    const { signal } = this.#past;
    const wanted = [...new Set(clientOrderIds)].filter((id) => id !== "").slice(0, PAST_ORDERS_MAX);
    void Promise.all(
      wanted.map(async (clientOrderId) => {
        const request = { ...this.#accountKey(), clientOrderId };
        try {
          const { order } = await this.#client.getOrder(request, toVenue(this.venue, signal));
          if (order && !signal.aborted) this.#found(order);
        } catch {
          // The page then shows the fills without their order.
        }
      }),
    );
  }

  #found(order: Order): void {
    this.learn(order);
    this.#onOrder(order);
  }
}

/** Whether events are missing between two cursors. */
function hasGap(before: Cursor | undefined, cursor: Cursor | undefined): boolean {
  if (!before || !cursor) return false;
  return cursor.epoch !== before.epoch || cursor.sequence !== before.sequence + 1n;
}
