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
import {
  type FillSchema,
  type Order,
  OrderSchema,
  OrderState,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { ApprovedOrder } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import {
  type CancelOrderRequest,
  type PlaceOrderGroupRequest,
  type PlaceOrderRequest,
  type StreamExecutionsRequest,
  StreamExecutionsResponseSchema,
  TradeFlow,
} from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";

type Told = MessageInitShape<typeof StreamExecutionsResponseSchema>;

/** TradeFlow and Approvals in memory, for tests: they tell and answer what the test says. */
export class FakeTradeFlow {
  readonly orders = new Map<string, Order>();
  readonly streams: StreamExecutionsRequest[] = [];
  /** The header that names the venue, of each call. */
  readonly venues: (string | null)[] = [];
  readonly placed: PlaceOrderRequest[] = [];
  readonly groups: PlaceOrderGroupRequest[] = [];
  readonly cancelled: CancelOrderRequest[] = [];
  /** What the next streams begin with. */
  greetings: Told[][] = [];
  fills: MessageInitShape<typeof FillSchema>[] = [];
  onApprove: () => void = () => undefined;
  onGroup: () => void = () => undefined;
  onPlace: (request: PlaceOrderRequest) => Order = accepted;
  onCancel: (request: CancelOrderRequest) => Order = () => this.#unknown();
  #tell: ((told: Told | undefined) => void) | undefined;

  readonly #transport = createRouterTransport(({ service }) => {
    service(Approvals, {
      approve: ({ content, requestId }) => {
        this.onApprove();
        if (!content || requestId === "") throw refusal("BAD_REQUEST", Code.InvalidArgument);
        return { approved: { content, requestId, keyId: "development" } };
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
      cancelAllOrders: () => ({ orders: [...this.orders.values()] }),
    });
  });
  readonly tradeFlow = createClient(TradeFlow, this.#transport);
  readonly approvals = createClient(Approvals, this.#transport);

  /** Tells the stream that is open something. */
  tell(told: Told): void {
    this.#tell?.(told);
  }

  /** Ends the stream that is open. */
  hangUp(): void {
    this.#tell?.(undefined);
  }

  async *#stream(request: StreamExecutionsRequest, { requestHeader, signal }: HandlerContext) {
    this.streams.push(request);
    this.venues.push(requestHeader.get("venuemesh-venue"));
    const waiting: (Told | undefined)[] = [...(this.greetings.shift() ?? [])];
    let wake: () => void = () => undefined;
    this.#tell = (told) => {
      waiting.push(told);
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
      const told = waiting.shift();
      if (!told) return;
      yield told;
    }
  }

  #unknown(): never {
    throw refusal("UNKNOWN_ORDER", Code.NotFound);
  }
}

/** An order as it was wanted, in the book. */
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

export function refusal(
  reason: string,
  code: Code,
  metadata: Readonly<Record<string, string>> = {},
): ConnectError {
  const info = { reason, domain: "venuemesh", metadata };
  const detail = { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, info) };
  return new ConnectError("It is refused.", code, undefined, [detail]);
}
