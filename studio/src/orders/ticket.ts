import { create } from "@bufbuild/protobuf";

import { Side } from "../gen/venuemesh/common/v1/types_pb";
import {
  type OrderContent,
  OrderContentSchema,
  OrderType,
  TimeInForce,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";

/** Longer amounts than any venue knows. */
const AMOUNT_LENGTH_MAX = 40;
const MINUTES_MAX = 525_600;
const MINUTE_NS = 60_000_000_000n;

/** What was filled in. Amounts are the text that was typed, and stay text. */
export interface Ticket {
  readonly side: Side.BUY | Side.SELL;
  readonly type: OrderType;
  readonly size: string;
  readonly price: string;
  readonly stopPrice: string;
  readonly trailingOffset: string;
  readonly timeInForce: TimeInForce;
  /** How long GOOD_TILL_TIME is. */
  readonly minutes: string;
  /** Where a limit order is to close it, and where a stop is. Empty: nothing is. */
  readonly profit: string;
  readonly loss: string;
  /** Where the same is to be done instead, by a stop or, where this is one, by a limit order. */
  readonly alternative: string;
  readonly postOnly: boolean;
  readonly reduceOnly: boolean;
}

/** The fields that are typed. */
export type TextField =
  "size" | "price" | "stopPrice" | "trailingOffset" | "minutes" | "profit" | "loss" | "alternative";
export type Problems = Readonly<Partial<Record<TextField, string>>>;

/** Whose order it is to be, and of what. */
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
/** As the contract names the fields, in its errors. */
const CONTRACT_NAMES: Readonly<Record<string, TextField>> = {
  size: "size",
  price: "price",
  stop_price: "stopPrice",
  trailing_offset: "trailingOffset",
};

/** Whether the type has a price of its own, and so a time to wait for it. */
export function isPriced({ type }: Ticket): boolean {
  return PRICED.has(type);
}

/** Whether the order can wait in the book, where it would be the maker. */
export function canBeMaker(ticket: Ticket): boolean {
  const { timeInForce } = ticket;
  const isAtOnce =
    timeInForce === TimeInForce.IMMEDIATE_OR_CANCEL || timeInForce === TimeInForce.FILL_OR_KILL;
  return isPriced(ticket) && !isAtOnce;
}

/** Whether it limits a loss; what is there instead takes a gain then. */
export function isStop({ type }: { readonly type: OrderType }): boolean {
  return STOPS.has(type);
}

/** Whether the order waits, so that another one can wait for another price instead. */
export function canHaveAlternative(ticket: Ticket): boolean {
  const { type } = ticket;
  return type === OrderType.LIMIT ? canBeMaker(ticket) : type !== OrderType.MARKET;
}

/** The fields that may stay empty. */
export function optionalFields(ticket: Ticket): readonly TextField[] {
  return canHaveAlternative(ticket) ? [...CLOSING, "alternative"] : CLOSING;
}

/** The fields that have to be typed. */
export function wantedFields(ticket: Ticket): readonly TextField[] {
  const fields: TextField[] = ["size"];
  if (isPriced(ticket)) fields.push("price");
  if (STOPPED.has(ticket.type)) fields.push("stopPrice");
  if (ticket.type === OrderType.TRAILING_STOP) fields.push("trailingOffset");
  if (isPriced(ticket) && ticket.timeInForce === TimeInForce.GOOD_TILL_TIME) fields.push("minutes");
  return fields;
}

/** What cannot be sent as it is. Steps and limits are the venue's to judge. */
export function problemsOf(ticket: Ticket): Problems {
  const typed = optionalFields(ticket).filter((field) => ticket[field].trim() !== "");
  const found = [...wantedFields(ticket), ...typed].flatMap((field) => {
    const problem = field === "minutes" ? minutesProblem(ticket) : amountProblem(ticket[field]);
    return problem === undefined ? [] : [[field, problem]];
  });
  if (typed.includes("alternative") && typed.length > 1) {
    found.push(["alternative", "is not for an order that something closes"]);
  }
  return Object.fromEntries(found) as Problems;
}

/** The order that a ticket without problems stands for; what its type does not have is left out. */
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
    postOnly: ticket.postOnly && canBeMaker(ticket),
    reduceOnly,
  });
}

/** The field of a ticket that an error names; undefined when it is none of them. */
export function fieldOf(contractName: string): TextField | undefined {
  return CONTRACT_NAMES[contractName];
}

function amountProblem(text: string): string | undefined {
  const amount = text.trim();
  if (amount === "") return "is missing";
  if (!/^\d+(\.\d+)?$/.test(amount)) return "must be digits with at most one point";
  if (amount.length > AMOUNT_LENGTH_MAX) return "has too many digits";
  return /^[0.]+$/.test(amount) ? "must be above zero" : undefined;
}

function minutesProblem({ minutes }: Ticket): string | undefined {
  const isWhole = /^[1-9]\d{0,6}$/.test(minutes.trim());
  if (isWhole && Number(minutes) <= MINUTES_MAX) return undefined;
  return "must be a whole number of minutes, up to a year";
}
