import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createClient,
  createRouterTransport,
  type HandlerContext,
} from "@connectrpc/connect";

import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";
import { Approvals } from "../gen/venuemesh/tradeflow/v1/approvals_pb";
import type { PlaceOrderGroupRequest } from "../gen/venuemesh/tradeflow/v1/batches_pb";
import {
  type FillSchema,
  type Order,
  OrderSchema,
  OrderState,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { ApprovedOrder } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import {
  type CancelAllOrdersRequest,
  type CancelOrderRequest,
  type PlaceOrderRequest,
  type StreamExecutionsRequest,
  StreamExecutionsResponseSchema,
  TradeFlow,
} from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";

type StreamedEvent = MessageInitShape<typeof StreamExecutionsResponseSchema>;

/** TradeFlow and Approvals in memory. A test sets the responses and publishes the events. */
export class FakeTradeFlow {
  readonly orders = new Map<string, Order>();
  readonly streams: StreamExecutionsRequest[] = [];
  /** The header `venuemesh-venue` of each call. */
  readonly venues: (string | null)[] = [];
  readonly placed: PlaceOrderRequest[] = [];
  readonly groups: PlaceOrderGroupRequest[] = [];
  readonly cancelled: CancelOrderRequest[] = [];
  readonly cancelledAll: CancelAllOrdersRequest[] = [];
  /** The first events of the next streams. */
  firstEvents: StreamedEvent[][] = [];
  fills: MessageInitShape<typeof FillSchema>[] = [];
  onApprove: () => void = () => undefined;
  onGroup: () => void = () => undefined;
  onPlace: (request: PlaceOrderRequest) => Order = accepted;
  onCancel: (request: CancelOrderRequest) => Order = () => this.#unknown();
  #publish: ((event: StreamedEvent | undefined) => void) | undefined;

  readonly #transport = createRouterTransport(({ service }) => {
    service(Approvals, {
      approve: ({ content, requestId, operation, targetClientOrderId }) => {
        this.onApprove();
        if (!content || requestId === "") throw apiError("BAD_REQUEST", Code.InvalidArgument);
        return {
          approved: { content, requestId, operation, targetClientOrderId, keyId: "development" },
        };
      },
    });
    service(TradeFlow, {
      streamExecutions: (request, context) => this.#stream(request, context),
      listFills: () => ({ fills: this.fills }),
      getOrder: ({ clientOrderId }) => ({
        order: this.orders.get(clientOrderId) ?? this.#unknown(),
      }),
      placeOrder: (request, { requestHeader }) => {
        this.venues.push(requestHeader.get("venuemesh-venue"));
        this.placed.push(request);
        return { order: this.onPlace(request) };
      },
      placeOrderGroup: (request, { requestHeader }) => {
        this.venues.push(requestHeader.get("venuemesh-venue"));
        this.groups.push(request);
        this.onGroup();
        return { orders: request.approved.map((approved) => acceptedOf(approved)) };
      },
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
  readonly approvals = createClient(Approvals, this.#transport);

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

/** The requested order, open in the book. */
export function accepted({ approved }: PlaceOrderRequest): Order {
  return acceptedOf(approved);
}

function acceptedOf(approved: ApprovedOrder | undefined): Order {
  return create(OrderSchema, {
    ...(approved?.content ? { content: approved.content } : {}),
    requestId: approved?.requestId ?? "",
    clientOrderId: `id-of-${approved?.requestId ?? ""}`,
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
