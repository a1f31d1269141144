import { create, type MessageInitShape } from "@bufbuild/protobuf";

import { WhyResponseSchema } from "../gen/venuemesh/audit/v1/audit_pb";
import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { CheckResult } from "../gen/venuemesh/events/v1/checks_pb";
import { DecisionOutcome } from "../gen/venuemesh/events/v1/decisions_pb";
import {
  EventSchema,
  EventStream,
  type StoredEvent,
  StoredEventSchema,
} from "../gen/venuemesh/events/v1/event_pb";
import { SubmissionOutcome, TradingMode, Verdict } from "../gen/venuemesh/events/v1/risk_pb";
import { PositionAction } from "../gen/venuemesh/events/v1/signals_pb";
import { OrderState, OrderType } from "../gen/venuemesh/tradeflow/v1/orders_pb";

/** Chains of events for tests. */

type Payload = Exclude<MessageInitShape<typeof EventSchema>["payload"], undefined>;

interface Made {
  readonly number: number;
  readonly payload: Payload;
  readonly stream?: EventStream;
  readonly lifecycle?: number;
  readonly causes?: readonly number[];
}

/** The id of event `number`. */
export function idOf(number: number): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? number : 0));
}

/** Event `number`, at that time in ms, stored 2 ms later. */
export function made({ number, payload, stream, lifecycle, causes = [] }: Made): StoredEvent {
  const timeNs = BigInt(number) * 1_000_000n;
  return create(StoredEventSchema, {
    position: { stream: stream ?? EventStream.EXECUTIONS, sequence: BigInt(number) },
    storedTimeNs: timeNs + 2_000_000n,
    event: {
      eventId: idOf(number),
      source: "test",
      timeNs,
      lifecycleId: lifecycle === undefined ? new Uint8Array() : idOf(lifecycle),
      causeIds: causes.map(idOf),
      payload,
    },
  });
}

const CONTENT = {
  venue: "binance",
  account: "demo",
  symbol: "BTCUSDT",
  side: Side.BUY,
  type: OrderType.LIMIT,
  size: "0.01",
  price: "60000",
};

export function orderState(number: number, state: OrderState, order: string, lifecycle?: number) {
  const payload: Payload = {
    case: "orderChanged",
    value: {
      order: { content: CONTENT, requestId: order, clientOrderId: `c-${order}`, state },
    },
  };
  return made({ number, payload, ...(lifecycle === undefined ? {} : { lifecycle }) });
}

export function filled(number: number, order: string, lifecycle?: number) {
  const { venue, account, symbol, side } = CONTENT;
  const fill = { venue, account, symbol, side, size: "0.01", price: "60000" };
  const payload: Payload = {
    case: "orderFilled",
    value: { fill: { ...fill, fillId: `f-${number}`, clientOrderId: `c-${order}` } },
  };
  return made({ number, payload, ...(lifecycle === undefined ? {} : { lifecycle }) });
}

export function booked(number: number, cause: StoredEvent, lifecycle?: number) {
  const id = cause.event?.eventId ?? new Uint8Array();
  const hex = Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const payload: Payload = {
    case: "postingsBooked",
    value: { groupId: `ev-${hex}`, postings: 3 },
  };
  return made({
    number,
    payload,
    stream: EventStream.LEDGER,
    causes: [id.at(-1) ?? 0],
    ...(lifecycle === undefined ? {} : { lifecycle }),
  });
}

/** The approval of an entry and a stop. */
function verdictOf(number: number, lifecycle: number): StoredEvent {
  return made({
    number,
    lifecycle,
    stream: EventStream.RISK,
    causes: [number - 1],
    payload: {
      case: "verdictGiven",
      value: {
        verdict: Verdict.ALLOW,
        mode: TradingMode.ACTIVE,
        checks: [{ name: "order_notional_max", result: CheckResult.PASSED }],
        orders: [
          { requestId: "lc-1", content: CONTENT, keyId: "inspector" },
          { requestId: "lc-2", content: CONTENT, keyId: "inspector" },
        ],
      },
    },
  });
}

/** A whole chain: a signal, its decision and verdict, an entry with a stop, one fill. */
export function wholeChain(): readonly StoredEvent[] {
  const shared = { lifecycle: 1 };
  const signal = made({
    ...shared,
    number: 1,
    stream: EventStream.SIGNALS,
    payload: {
      case: "signalRaised",
      value: {
        strategy: "ema_cross",
        ...{ venue: "binance", account: "demo", symbol: "BTCUSDT" },
        action: PositionAction.OPEN,
        side: Side.BUY,
      },
    },
  });
  const decision = made({
    ...shared,
    number: 2,
    stream: EventStream.DECISIONS,
    causes: [1],
    payload: {
      case: "decisionMade",
      value: {
        outcome: DecisionOutcome.INTENT_ISSUED,
        intent: { ...CONTENT, type: OrderType.MARKET, price: "", strategy: "ema_cross" },
      },
    },
  });
  const verdict = verdictOf(3, 1);
  const submitted = made({
    ...shared,
    number: 4,
    stream: EventStream.RISK,
    causes: [3],
    payload: {
      case: "ordersSubmitted",
      value: { outcome: SubmissionOutcome.TAKEN, requestIds: ["lc-1", "lc-2"] },
    },
  });
  const fill = filled(7, "lc-1", 1);
  return [
    ...[signal, decision, verdict, submitted],
    orderState(5, OrderState.OPEN, "lc-1", 1),
    orderState(6, OrderState.FILLED, "lc-1", 1),
    ...[fill, booked(8, fill, 1)],
  ];
}

/** An answer of Why: the events, with the links that their causes say. */
export function answerOf(events: readonly StoredEvent[], ...subjects: number[]) {
  const known = new Set(events.map(({ event }) => event?.eventId.at(-1)));
  return create(WhyResponseSchema, {
    events: [...events],
    links: events.flatMap(({ event }) =>
      (event?.causeIds ?? [])
        .filter((cause) => known.has(cause.at(-1)))
        .map((causeId) => ({ causeId, effectId: event?.eventId ?? new Uint8Array() })),
    ),
    subjectIds: subjects.map(idOf),
  });
}
