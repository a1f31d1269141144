import { clone, create } from "@bufbuild/protobuf";

import { Side } from "../gen/venuemesh/common/v1/types_pb";
import {
  GroupRole,
  type OrderContent,
  OrderContentSchema,
  OrderGroupSchema,
  OrderType,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { orderText } from "./orderText";
import { canHaveAlternative, isStop, type Ticket } from "./ticket";

/** The orders that are placed together with the order of a valid ticket; often none. */
export function linkedOrders(ticket: Ticket, first: OrderContent): readonly OrderContent[] {
  const instead = canHaveAlternative(ticket) ? ticket.alternative.trim() : "";
  return instead === "" ? exitsOf(ticket, first) : [alternativeOf(first, instead)];
}

/** The exits that close the position of an entry: take-profit, stop, or both. */
function exitsOf({ profit, loss }: Ticket, entry: OrderContent): readonly OrderContent[] {
  const { venue, account, symbol, size } = entry;
  const side = entry.side === Side.BUY ? Side.SELL : Side.BUY;
  const whole = { venue, account, symbol, size, side };
  const exits: OrderContent[] = [];
  const [gain, stop] = [profit.trim(), loss.trim()];
  if (gain !== "") {
    exits.push(create(OrderContentSchema, { ...whole, type: OrderType.LIMIT, price: gain }));
  }
  if (stop !== "") {
    exits.push(create(OrderContentSchema, { ...whole, type: OrderType.STOP, stopPrice: stop }));
  }
  return exits;
}

/** The other order of an OCO pair: a limit order for a stop, a stop for the other types. */
function alternativeOf(first: OrderContent, at: string): OrderContent {
  const { venue, account, symbol, size, side, reduceOnly } = first;
  const where = isStop(first)
    ? { type: OrderType.LIMIT, price: at }
    : { type: OrderType.STOP, stopPrice: at };
  return create(OrderContentSchema, { venue, account, symbol, size, side, reduceOnly, ...where });
}

/** The members of a group with their roles: an order of the same side is an alternative, orders of
 * the other side are exits. */
export function grouped(
  first: OrderContent,
  others: readonly OrderContent[],
  groupId: string,
): readonly OrderContent[] {
  const [own, theirs] = isAlternative(first, others)
    ? [GroupRole.ALTERNATIVE, GroupRole.ALTERNATIVE]
    : [GroupRole.ENTRY, GroupRole.EXIT];
  return [first, ...others].map((content) => {
    const role = content === first ? own : theirs;
    const member = clone(OrderContentSchema, content);
    member.group = create(OrderGroupSchema, { groupId, role, count: others.length + 1 });
    return member;
  });
}

/** An order and its linked orders as sentences, with the unit of their sizes. */
export function groupText(
  first: OrderContent,
  others: readonly OrderContent[],
  unit: string,
): string {
  const text = orderText(first, unit);
  if (others.length === 0) return text;
  const rest = others.map((other) => orderText(other, unit)).join(". Or: ");
  if (isAlternative(first, others)) {
    const most = `${first.size} ${unit}`.trim();
    return `${text}. Or (OCO): ${rest}. Together they fill at most ${most}`;
  }
  return `${text}. After the fill: ${rest}`;
}

function isAlternative(first: OrderContent, others: readonly OrderContent[]): boolean {
  return others.every(({ side }) => side === first.side);
}
