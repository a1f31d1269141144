import { create } from "@bufbuild/protobuf";

import { Side } from "../gen/venuemesh/common/v1/types_pb";
import {
  type OrderContent,
  OrderContentSchema,
  OrderType,
  TimeInForce,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";

/** No venue has longer amounts. */
const AMOUNT_LENGTH_MAX = 40;
const MINUTES_MAX = 525_600;
const MINUTE_NS = 60_000_000_000n;

/** The values of the order form. Amounts stay the typed text. */
export interface Ticket {
  readonly side: Side.BUY | Side.SELL;
  readonly type: OrderType;
  readonly size: string;
  readonly price: string;
  readonly stopPrice: string;
  readonly trailingOffset: string;
  readonly timeInForce: TimeInForce;
  /** Minutes until an order with GOOD_TILL_TIME expires. */
  readonly minutes: string;
  /** Prices of the take-profit and stop-loss exits. Empty: no exit. */
  readonly profit: string;
  readonly loss: string;
  /** Price of the alternative (OCO) order: a stop, or a limit order if this one is a stop. */
  readonly alternative: string;
  readonly postOnly: boolean;
  readonly reduceOnly: boolean;
}

/** Text fields of the form. */
export type TextField =
  "size" | "price" | "stopPrice" | "trailingOffset" | "minutes" | "profit" | "loss" | "alternative";
export type Problems = Readonly<Partial<Record<TextField, string>>>;

/** Venue, account and symbol of an order. */
export interface Address {
  readonly venue: string;
  readonly account: string;
  readonly symbol: string;
}

export const EMPTY_TICKET: Ticket = {
  side: Side.BUY,
  type: OrderType.LIMIT,
  size: "",
  price: "",
  stopPrice: "",
  trailingOffset: "",
  timeInForce: TimeInForce.GOOD_TILL_CANCEL,
  minutes: "60",
  profit: "",
  loss: "",
  alternative: "",
  postOnly: false,
  reduceOnly: false,
};

const PRICED: ReadonlySet<OrderType> = new Set([
  OrderType.LIMIT,
  OrderType.STOP_LIMIT,
  OrderType.TAKE_PROFIT_LIMIT,
]);
const STOPPED: ReadonlySet<OrderType> = new Set([
  OrderType.STOP,
  OrderType.STOP_LIMIT,
  OrderType.TAKE_PROFIT,
  OrderType.TAKE_PROFIT_LIMIT,
]);
const STOPS: ReadonlySet<OrderType> = new Set([
  OrderType.STOP,
  OrderType.STOP_LIMIT,
  OrderType.TRAILING_STOP,
]);
const CLOSING = ["profit", "loss"] as const;
/** Fields by their names in API errors. */
const CONTRACT_NAMES: Readonly<Record<string, TextField>> = {
  size: "size",
  price: "price",
  stop_price: "stopPrice",
  trailing_offset: "trailingOffset",
};

/** Whether the type has a limit price, and so a time in force. */
export function isPriced({ type }: Ticket): boolean {
  return PRICED.has(type);
}

/** Whether the order can rest in the book, so that it can be post-only. */
export function canBePostOnly(ticket: Ticket): boolean {
  const { timeInForce } = ticket;
  const isAtOnce =
    timeInForce === TimeInForce.IMMEDIATE_OR_CANCEL || timeInForce === TimeInForce.FILL_OR_KILL;
  return isPriced(ticket) && !isAtOnce;
}

/** Whether the type is a stop. Its alternative is then a limit order. */
export function isStop({ type }: { readonly type: OrderType }): boolean {
  return STOPS.has(type);
}

/** Whether the order can rest, so that it can have an alternative (OCO). */
export function canHaveAlternative(ticket: Ticket): boolean {
  const { type } = ticket;
  return type === OrderType.LIMIT ? canBePostOnly(ticket) : type !== OrderType.MARKET;
}

/** Optional fields. */
export function optionalFields(ticket: Ticket): readonly TextField[] {
  return canHaveAlternative(ticket) ? [...CLOSING, "alternative"] : CLOSING;
}

/** Required fields. */
export function wantedFields(ticket: Ticket): readonly TextField[] {
  const fields: TextField[] = ["size"];
  if (isPriced(ticket)) fields.push("price");
  if (STOPPED.has(ticket.type)) fields.push("stopPrice");
  if (ticket.type === OrderType.TRAILING_STOP) fields.push("trailingOffset");
  if (isPriced(ticket) && ticket.timeInForce === TimeInForce.GOOD_TILL_TIME) fields.push("minutes");
  return fields;
}

/** Invalid fields with the reason. The venue checks ticks, steps and limits. */
export function problemsOf(ticket: Ticket): Problems {
  const typed = optionalFields(ticket).filter((field) => ticket[field].trim() !== "");
  const found = [...wantedFields(ticket), ...typed].flatMap((field) => {
    const problem = field === "minutes" ? minutesProblem(ticket) : amountProblem(ticket[field]);
    return problem === undefined ? [] : [[field, problem]];
  });
  if (typed.includes("alternative") && typed.length > 1) {
    found.push(["alternative", "cannot be combined with take profit or stop loss"]);
  }
  return Object.fromEntries(found) as Problems;
}

/** The order of a valid ticket. Fields that do not apply to its type are empty. */
export function contentOf(ticket: Ticket, address: Address, nowNs: bigint): OrderContent {
  const wanted = new Set(wantedFields(ticket));
  const text = (field: TextField) => (wanted.has(field) ? ticket[field].trim() : "");
  const { side, type, reduceOnly } = ticket;
  return create(OrderContentSchema, {
    ...address,
    side,
    type,
    size: text("size"),
    price: text("price"),
    stopPrice: text("stopPrice"),
    trailingOffset: text("trailingOffset"),
    timeInForce: isPriced(ticket) ? ticket.timeInForce : TimeInForce.UNSPECIFIED,
    expireTimeNs: wanted.has("minutes") ? nowNs + BigInt(text("minutes")) * MINUTE_NS : 0n,
    postOnly: ticket.postOnly && canBePostOnly(ticket),
    reduceOnly,
  });
}

/** The form field of a field name in an API error, or undefined. */
export function fieldOf(contractName: string): TextField | undefined {
  return CONTRACT_NAMES[contractName];
}

function amountProblem(text: string): string | undefined {
  const amount = text.trim();
  if (amount === "") return "is required";
  if (!/^\d+(\.\d+)?$/.test(amount)) return "must be a decimal number";
  if (amount.length > AMOUNT_LENGTH_MAX) return "is too long";
  return /^[0.]+$/.test(amount) ? "must be greater than zero" : undefined;
}

function minutesProblem({ minutes }: Ticket): string | undefined {
  const isWhole = /^[1-9]\d{0,6}$/.test(minutes.trim());
  if (isWhole && Number(minutes) <= MINUTES_MAX) return undefined;
  return "must be whole minutes, at most one year";
}
