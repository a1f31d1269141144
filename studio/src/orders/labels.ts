import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { DifferenceKind } from "../gen/venuemesh/tradeflow/v1/differences_pb";
import {
  type Fill,
  GroupRole,
  Liquidity,
  type Order,
  type OrderContent,
  type OrderGroup,
  OrderState,
  OrderType,
  RejectReason,
  TimeInForce,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { AccountState } from "../gen/venuemesh/tradeflow/v1/accounts_pb";

const STATES: Record<OrderState, string> = {
  [OrderState.UNSPECIFIED]: "unspecified",
  [OrderState.INTENDED]: "pending",
  [OrderState.SENT]: "sent",
  [OrderState.ACKNOWLEDGED]: "acknowledged",
  [OrderState.OPEN]: "open",
  [OrderState.PARTLY_FILLED]: "partially filled",
  [OrderState.UNKNOWN]: "unknown",
  [OrderState.FILLED]: "filled",
  [OrderState.CANCELLED]: "cancelled",
  [OrderState.REJECTED]: "rejected",
  [OrderState.EXPIRED]: "expired",
};

/** Characters of a group id that are shown. */
const GROUP_ID_SHOWN = 6;
const UNKNOWN_TEXT = "The state of the order is not known. The venue is being queried.";

/** Order types, in the order of the menu. */
export const ORDER_TYPES: readonly [OrderType, string][] = [
  [OrderType.LIMIT, "limit"],
  [OrderType.MARKET, "market"],
  [OrderType.STOP, "stop"],
  [OrderType.STOP_LIMIT, "stop limit"],
  [OrderType.TAKE_PROFIT, "take profit"],
  [OrderType.TAKE_PROFIT_LIMIT, "take profit limit"],
  [OrderType.TRAILING_STOP, "trailing stop"],
];

export const TIMES_IN_FORCE: readonly [TimeInForce, string][] = [
  [TimeInForce.GOOD_TILL_CANCEL, "good till cancelled (GTC)"],
  [TimeInForce.IMMEDIATE_OR_CANCEL, "immediate or cancel (IOC)"],
  [TimeInForce.FILL_OR_KILL, "fill or kill (FOK)"],
  [TimeInForce.GOOD_TILL_TIME, "good till time (GTT)"],
];

const ACCOUNT_STATES: Record<AccountState, string> = {
  [AccountState.UNSPECIFIED]: "unspecified",
  [AccountState.RECONCILING]: "reconciling",
  [AccountState.READY]: "ready",
  [AccountState.DISCONNECTED]: "disconnected",
  [AccountState.REFUSED]: "rejected by the venue",
};

export function stateLabel(state: OrderState): string {
  return STATES[state];
}

export function accountLabel(state: AccountState): string {
  return ACCOUNT_STATES[state];
}

export function typeLabel(type: OrderType): string {
  return ORDER_TYPES.find(([each]) => each === type)?.[1] ?? "unspecified";
}

export function sideLabel(side: Side): string {
  if (side === Side.UNSPECIFIED) return "Unspecified";
  return side === Side.BUY ? "Buy" : "Sell";
}

/** The fees of a fill, or a dash. */
export function feesLabel(fill: Fill): string {
  const fees = fill.fee ? [fill.fee, ...fill.furtherFees] : [];
  return fees.map((fee) => `${fee.amount} ${fee.asset}`).join(", ") || "—";
}

export function liquidityLabel(liquidity: Liquidity): string {
  return liquidity === Liquidity.UNSPECIFIED ? "unspecified" : Liquidity[liquidity].toLowerCase();
}

export function differenceLabel(kind: DifferenceKind): string {
  return kind === DifferenceKind.UNSPECIFIED ? "unspecified" : plain(DifferenceKind[kind]);
}

/** Whether an order is final: filled, cancelled, rejected or expired. */
export function isFinal({ state }: Order): boolean {
  return state >= OrderState.FILLED;
}

/** The prices of an order: limit, stop, trailing offset, or market. */
export function priceText({ type, price, stopPrice, trailingOffset }: OrderContent): string {
  const parts = [price];
  if (stopPrice !== "") parts.push(`stop ${stopPrice}`);
  if (trailingOffset !== "") parts.push(`trailing by ${trailingOffset}`);
  if (type === OrderType.MARKET) parts.push("market");
  return parts.filter((part) => part !== "").join(", ");
}

/** Time in force, flags and group of an order. */
export function flagsText({ content, heldHere, external }: Order): string {
  const time = TIMES_IN_FORCE.find(([each]) => each === content?.timeInForce);
  const flags = [
    time && time[0] !== TimeInForce.GOOD_TILL_CANCEL ? time[1] : "",
    content?.postOnly ? "post-only" : "",
    content?.reduceOnly ? "reduce-only" : "",
    heldHere ? "held by this process" : "",
    external ? "placed elsewhere" : "",
    groupLabel(content?.group),
  ];
  return flags.filter((flag) => flag !== "").join(" · ");
}

/** The role of an order in its group and the end of the group's id: "exit of …3f9a". */
function groupLabel(group: OrderGroup | undefined): string {
  if (!group || group.role === GroupRole.UNSPECIFIED) return "";
  const { groupId } = group;
  const short = groupId.length > GROUP_ID_SHOWN ? `…${groupId.slice(-GROUP_ID_SHOWN)}` : groupId;
  return `${plain(GroupRole[group.role])} of ${short}`;
}

/** The reason of an order's state. */
export function detailText({ state, rejectReason, detail }: Order): string {
  const reason = rejectReason === RejectReason.UNSPECIFIED ? "" : plain(RejectReason[rejectReason]);
  const parts = [reason, detail].filter((part) => part !== "");
  if (state === OrderState.UNKNOWN) parts.unshift(UNKNOWN_TEXT);
  return parts.join(": ").replace(".: ", ". ");
}

/** "WOULD_TAKE" is "would take". */
function plain(name: string): string {
  return name.toLowerCase().replaceAll("_", " ");
}
