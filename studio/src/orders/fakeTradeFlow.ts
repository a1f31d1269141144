import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createClient,
  createRouterTransport,
  type HandlerContext,
} from "@connectrpc/connect";

import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";
import { SubmissionOutcome, Verdict } from "../gen/venuemesh/events/v1/risk_pb";
import {
  Inspector,
  type SubmitManualRequest,
  SubmitManualResponseSchema,
} from "../gen/venuemesh/inspector/v1/inspector_pb";
import {
  type FillSchema,
  type Order,
  type OrderContent,
  OrderSchema,
  OrderState,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { Operation } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import {
  type CancelAllOrdersRequest,
  type CancelOrderRequest,
  type StreamExecutionsRequest,
  StreamExecutionsResponseSchema,
  TradeFlow,
} from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";

type SubmitManualAnswer = MessageInitShape<typeof SubmitManualResponseSchema>;
type StreamedEvent = MessageInitShape<typeof StreamExecutionsResponseSchema>;

/** TradeFlow and the inspector in memory. A test sets the responses and publishes the events. */
export class FakeTradeFlow {
  readonly orders = new Map<string, Order>();
  readonly streams: StreamExecutionsRequest[] = [];
  /** The header `venuemesh-venue` of each call. */
  readonly venues: (string | null)[] = [];
  readonly submitted: SubmitManualRequest[] = [];
  readonly cancelled: CancelOrderRequest[] = [];
  readonly cancelledAll: CancelAllOrdersRequest[] = [];
  /** The first events of the next streams. */
  firstEvents: StreamedEvent[][] = [];
  fills: MessageInitShape<typeof FillSchema>[] = [];
  onSubmit: (request: SubmitManualRequest) => SubmitManualAnswer = taken;
  onCancel: (request: CancelOrderRequest) => Order = () => this.#unknown();
  #publish: ((event: StreamedEvent | undefined) => void) | undefined;

  readonly #transport = createRouterTransport(({ service }) => {
    service(Inspector, {
      submitManual: (request) => {
        this.submitted.push(request);
        return this.onSubmit(request);
      },
    });
    service(TradeFlow, {
      streamExecutions: (request, context) => this.#stream(request, context),
      listFills: () => ({ fills: this.fills }),
      getOrder: ({ clientOrderId }) => ({
        order: this.orders.get(clientOrderId) ?? this.#unknown(),
      }),
      cancelOrder: (request, { requestHeader }) => {
        this.venues.push(requestHeader.get("venuemesh-venue"));
        this.cancelled.push(request);
        return { order: this.onCancel(request) };
      },
      cancelAllOrders: (request) => {
        this.cancelledAll.push(request);
        return { orders: [...this.orders.values()] };
      },
    });
  });
  readonly tradeFlow = createClient(TradeFlow, this.#transport);
  readonly inspector = createClient(Inspector, this.#transport);

  /** Publishes an event on the open stream. */
  publish(event: StreamedEvent): void {
    this.#publish?.(event);
  }

  /** Ends the open stream. */
  closeStream(): void {
    this.#publish?.(undefined);
  }

  async *#stream(request: StreamExecutionsRequest, { requestHeader, signal }: HandlerContext) {
    this.streams.push(request);
    this.venues.push(requestHeader.get("venuemesh-venue"));
    const waiting: (StreamedEvent | undefined)[] = [...(this.firstEvents.shift() ?? [])];
    let wake: () => void = () => undefined;
    this.#publish = (event) => {
      waiting.push(event);
      wake();
    };
    signal.addEventListener("abort", () => {
      wake();
    });
    while (!signal.aborted) {
      if (waiting.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const event = waiting.shift();
      if (!event) return;
      yield event;
    }
  }

  #unknown(): never {
    throw apiError("UNKNOWN_ORDER", Code.NotFound);
  }
}

/** The requested orders are open in the book, or their target is cancelled. */
export function taken(request: SubmitManualRequest): SubmitManualAnswer {
  const { content, others, operation, targetClientOrderId } = request;
  const orders =
    operation === Operation.CANCEL
      ? [create(OrderSchema, { clientOrderId: targetClientOrderId, state: OrderState.CANCELLED })]
      : [content, ...others].map((each, place) => open(each, `${request.requestId}-${place + 1}`));
  return {
    lifecycleId: new Uint8Array(16),
    verdict: { verdict: Verdict.ALLOW },
    submitted: { outcome: SubmissionOutcome.TAKEN, orders },
  };
}

function open(content: OrderContent | undefined, requestId: string): Order {
  return create(OrderSchema, {
    ...(content ? { content } : {}),
    requestId,
    clientOrderId: `id-of-${requestId}`,
    state: OrderState.OPEN,
    updatedTimeNs: 10n,
  });
}

export function apiError(
  reason: string,
  code: Code,
  metadata: Readonly<Record<string, string>> = {},
): ConnectError {
  const info = { reason, domain: "venuemesh", metadata };
  const detail = { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, info) };
  return new ConnectError("The call is rejected.", code, undefined, [detail]);
}
