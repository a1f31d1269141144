import { type Difference, DifferenceKind } from "../gen/venuemesh/tradeflow/v1/differences_pb";
import type { Balance, Fill, Order, Position } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { StreamExecutionsResponse } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";
import type { ExecutionSnapshot } from "../gen/venuemesh/tradeflow/v1/snapshots_pb";
import { isFinal } from "./labels";

export const ENDED_MAX = 200;
export const FILLS_MAX = 200;
export const DIFFERENCES_MAX = 50;

/** Orders, fills, balances and positions of an account. Amounts are decimal text as received. */
export interface AccountView {
  /** Whether a snapshot was received. */
  readonly isKnown: boolean;
  /** Orders that are not final. */
  readonly open: readonly Order[];
  /** Final orders, newest first, at most ENDED_MAX. */
  readonly ended: readonly Order[];
  /** Newest first, at most FILLS_MAX. */
  readonly fills: readonly Fill[];
  /** Non-zero balances, by asset. */
  readonly balances: readonly Balance[];
  /** Non-zero positions, by symbol. */
  readonly positions: readonly Position[];
  /** Differences found by reconciliation, newest first, at most DIFFERENCES_MAX. */
  readonly differences: readonly Difference[];
  /** Positions that groups left open without an exit, oldest first, at most DIFFERENCES_MAX. */
  readonly leftOpen: readonly Difference[];
}

export const EMPTY_VIEW: AccountView = {
  isKnown: false,
  open: [],
  ended: [],
  fills: [],
  balances: [],
  positions: [],
  differences: [],
  leftOpen: [],
};

/** A unique key of an order, also of one that was placed elsewhere without a client order id. */
export function orderKey({ clientOrderId, venueOrderId }: Order): string {
  return clientOrderId || `venue:${venueOrderId}`;
}

/** The view after an event of the account's stream. */
export function applyEvent(view: AccountView, { event }: StreamExecutionsResponse): AccountView {
  switch (event.case) {
    case "snapshot":
      return applySnapshot(view, event.value);
    case "order":
      return putOrder(view, event.value);
    case "fill":
      return addFills(view, [event.value]);
    case "balance":
      return { ...view, balances: putBalance(view.balances, event.value) };
    case "position":
      return { ...view, positions: putPosition(view.positions, event.value) };
    case "difference":
      return putDifference(view, event.value);
    default:
      return view;
  }
}

/** The view after a response to a call, which may be older than the view. */
export function mergeOrder(view: AccountView, order: Order): AccountView {
  const known = findOrder(view, order);
  if (known && (isFinal(known) || known.updatedTimeNs > order.updatedTimeNs)) return view;
  return putOrder(view, order);
}

/** The view with further fills. Known fills are skipped. */
export function addFills(view: AccountView, fills: readonly Fill[]): AccountView {
  const known = new Set(view.fills.map(fillKey));
  const fresh = fills.filter((fill) => !known.has(fillKey(fill)));
  if (fresh.length === 0) return view;
  const all = [...fresh, ...view.fills].sort((left, right) =>
    newestFirst(left.venueTimeNs, right.venueTimeNs),
  );
  return { ...view, fills: all.slice(0, FILLS_MAX) };
}

/** Both orders of a self-trade have a fill of the same id. */
export function fillKey({ symbol, clientOrderId, venueOrderId, fillId }: Fill): string {
  return [symbol, clientOrderId, venueOrderId, fillId].join("/");
}

/** Open orders that a snapshot does not have: they ended while the stream was away. */
export function missingOrders(view: AccountView, snapshot: ExecutionSnapshot): readonly Order[] {
  const present = new Set(snapshot.orders.map(orderKey));
  return view.open.filter((order) => !present.has(orderKey(order)));
}

/** Open orders in display order: orders in an unknown state first, then the newest. */
export function sortOpen(open: readonly Order[], isUnknown: (order: Order) => boolean) {
  return [...open].sort(
    (left, right) =>
      Number(isUnknown(right)) - Number(isUnknown(left)) ||
      newestFirst(left.createdTimeNs, right.createdTimeNs),
  );
}

function applySnapshot(view: AccountView, snapshot: ExecutionSnapshot): AccountView {
  const { orders, balances, positions } = snapshot;
  const isOpen = new Set(orders.map(orderKey));
  return {
    ...view,
    isKnown: true,
    open: orders.filter((order) => !isFinal(order)),
    ended: view.ended.filter((order) => !isOpen.has(orderKey(order))),
    balances: balances.reduce<readonly Balance[]>(putBalance, []),
    positions: positions.reduce<readonly Position[]>(putPosition, []),
    leftOpen: snapshot.leftOpen.slice(-DIFFERENCES_MAX),
  };
}

function putDifference(view: AccountView, difference: Difference): AccountView {
  if (difference.kind === DifferenceKind.LEFT_OPEN) {
    return { ...view, leftOpen: [...view.leftOpen, difference].slice(-DIFFERENCES_MAX) };
  }
  const differences = [difference, ...view.differences].slice(0, DIFFERENCES_MAX);
  return { ...view, differences };
}

function findOrder(view: AccountView, order: Order): Order | undefined {
  const key = orderKey(order);
  const isIt = (other: Order) => orderKey(other) === key;
  return view.open.find(isIt) ?? view.ended.find(isIt);
}

function putOrder(view: AccountView, order: Order): AccountView {
  const key = orderKey(order);
  const isOther = (other: Order) => orderKey(other) !== key;
  const open = view.open.filter(isOther);
  if (!isFinal(order)) return { ...view, open: [...open, order] };
  const ended = [order, ...view.ended.filter(isOther)].sort((left, right) =>
    newestFirst(left.updatedTimeNs, right.updatedTimeNs),
  );
  return { ...view, open, ended: ended.slice(0, ENDED_MAX) };
}

function putBalance(balances: readonly Balance[], balance: Balance): readonly Balance[] {
  const others = balances.filter(({ asset }) => asset !== balance.asset);
  if (isZero(balance.total)) return others;
  return [...others, balance].sort((left, right) => left.asset.localeCompare(right.asset));
}

function putPosition(positions: readonly Position[], position: Position): readonly Position[] {
  const others = positions.filter(({ symbol }) => symbol !== position.symbol);
  if (isZero(position.size)) return others;
  return [...others, position].sort((left, right) => left.symbol.localeCompare(right.symbol));
}

function isZero(amount: string): boolean {
  return /^-?[0.]+$/.test(amount);
}

function newestFirst(left: bigint, right: bigint): number {
  if (left === right) return 0;
  return left < right ? 1 : -1;
}
