import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { DifferenceKind } from "../gen/venuemesh/tradeflow/v1/differences_pb";
import {
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
import { AccountState } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";

const STATES: Record<OrderState, string> = {
  [OrderState.UNSPECIFIED]: "not said",
  [OrderState.INTENDED]: "not sent yet",
  [OrderState.SENT]: "on its way",
  [OrderState.ACKNOWLEDGED]: "taken",
  [OrderState.OPEN]: "open",
  [OrderState.PARTLY_FILLED]: "partly filled",
  [OrderState.UNKNOWN]: "unknown",
  [OrderState.FILLED]: "filled",
  [OrderState.CANCELLED]: "cancelled",
  [OrderState.REJECTED]: "rejected",
  [OrderState.EXPIRED]: "expired",
};

/** Of the id of a group: enough to see which orders belong together. */
const GROUP_ID_SHOWN = 6;
const UNKNOWN_MEANS = "What has become of it is not known. The venue is being asked.";

/** The types of order, in the order in which they are offered. */
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
  [TimeInForce.GOOD_TILL_CANCEL, "until cancelled"],
  [TimeInForce.IMMEDIATE_OR_CANCEL, "at once, cancel the rest"],
  [TimeInForce.FILL_OR_KILL, "at once, all or nothing"],
  [TimeInForce.GOOD_TILL_TIME, "for a time"],
];

const ACCOUNT_STATES: Record<AccountState, string> = {
  [AccountState.UNSPECIFIED]: "not said",
  [AccountState.RECONCILING]: "reconciling",
  [AccountState.READY]: "ready",
  [AccountState.DISCONNECTED]: "disconnected",
  [AccountState.REFUSED]: "refused",
};

export function stateWord(state: OrderState): string {
  return STATES[state];
}

export function accountWord(state: AccountState): string {
  return ACCOUNT_STATES[state];
}

export function typeWord(type: OrderType): string {
  return ORDER_TYPES.find(([each]) => each === type)?.[1] ?? "not said";
}

export function sideWord(side: Side): string {
  if (side === Side.UNSPECIFIED) return "Not said";
  return side === Side.BUY ? "Buy" : "Sell";
}

export function liquidityWord(liquidity: Liquidity): string {
  return liquidity === Liquidity.UNSPECIFIED ? "not said" : Liquidity[liquidity].toLowerCase();
}

export function differenceWord(kind: DifferenceKind): string {
  return kind === DifferenceKind.UNSPECIFIED ? "not said" : plain(DifferenceKind[kind]);
}

/** FILLED and those after it do not change any more. */
export function isFinal({ state }: Order): boolean {
  return state >= OrderState.FILLED;
}

/** Prices of an order, however it finds its price. */
export function priceText({ type, price, stopPrice, trailingOffset }: OrderContent): string {
  const parts = [price];
  if (stopPrice !== "") parts.push(`stop ${stopPrice}`);
  if (trailingOffset !== "") parts.push(`trailing by ${trailingOffset}`);
  if (type === OrderType.MARKET) parts.push("market");
  return parts.filter((part) => part !== "").join(", ");
}

/** What is special about an order besides its type. */
export function flagsText({ content, heldHere, external }: Order): string {
  const time = TIMES_IN_FORCE.find(([each]) => each === content?.timeInForce);
  const flags = [
    time && time[0] !== TimeInForce.GOOD_TILL_CANCEL ? time[1] : "",
    content?.postOnly ? "maker only" : "",
    content?.reduceOnly ? "reduce only" : "",
    heldHere ? "held here" : "",
    external ? "placed elsewhere" : "",
    groupText(content?.group),
  ];
  return flags.filter((flag) => flag !== "").join(" · ");
}

/** What it is in its group, and the end of the group's id: "exit of …3f9a". */
function groupText(group: OrderGroup | undefined): string {
  if (!group || group.role === GroupRole.UNSPECIFIED) return "";
  const { groupId } = group;
  const short = groupId.length > GROUP_ID_SHOWN ? `…${groupId.slice(-GROUP_ID_SHOWN)}` : groupId;
  return `${plain(GroupRole[group.role])} of ${short}`;
}

/** Why it stands where it stands. */
export function detailText({ state, rejectReason, detail }: Order): string {
  const reason = rejectReason === RejectReason.UNSPECIFIED ? "" : plain(RejectReason[rejectReason]);
  const parts = [reason, detail].filter((part) => part !== "");
  if (state === OrderState.UNKNOWN) parts.unshift(UNKNOWN_MEANS);
  return parts.join(": ").replace(".: ", ". ");
}

/** "WOULD_TAKE" is "would take". */
function plain(name: string): string {
  return name.toLowerCase().replaceAll("_", " ");
}
